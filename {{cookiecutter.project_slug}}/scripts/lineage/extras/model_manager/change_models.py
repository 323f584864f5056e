"""Promote a model, add a candidate, prune candidates, and record it in `dvc.lock`."""

from dataclasses import replace
from pathlib import Path

from lineage.core import paths
from lineage.core.console import say
from lineage.core.errors import Refused
from lineage.extras.show.models import find_run
from lineage.models.candidates import find_lost, find_surplus, write_candidates
from lineage.models.gate import Decision, decide, metric_text
from lineage.models.model_card import read_card
from lineage.models.production import carry_out, locked_folders
from lineage.models.run_model import Models, missing_code, open_models
from lineage.results.leaderboard import Row, conditions_of
from lineage.runs.model_file import checked_md5
from lineage.tracked.recorded import recorded_md5
from lineage.tracked.remote import missing_in_remote, open_remote

STAGE = "promote_model"
TO_RECORD = (
    "git add dvc.lock && git commit   # a commit that names them\n"
    "  → dvc push   # or a copy in the remote"
)


def promote_by_hand(
    database: Path | None,
    run_id: str | None,
    version: str | None,
    metric: str | None,
    mode: str | None,
) -> None:
    """Put a chosen run's model into production, or let the best run of a database try the gate.

    Args:
        database: None: the project's own.
        run_id: the run to promote, without a gate.
        version: promote the best run of this version, without a gate: the rollback.
        metric: None: `promote.metric`.
        mode: None: `promote.mode`.

    Raises:
        BadInput: no such run, version or metric.
        Refused: the run's model is nowhere, or production is not what `dvc.lock` records.
    """
    models = open_models(database)
    own = models.promote
    wanted = own.model_copy(update={"metric": metric or own.metric, "mode": mode or own.mode})
    models = replace(models, promote=wanted)
    with locked_folders(models.root):
        if run_id is None and version is None:
            kept = models.kept
            runs = models.best_runs(where="model_hash IS NOT NULL")
            there = [run for run in runs if models.covers(run) or run["track_id"] in kept]
            decision = decide(models, there, None)
        else:
            option = f"--run-id {run_id}" if run_id else f"--version {version}"
            run = find_run(models, run_id, version, metric, mode)
            decision = choose(models, run, option)
        carry_out(models, decision)
        if decision.run:
            record_models(models.root)


def choose(models: Models, run: Row, option: str) -> Decision:
    """Decide for a run without a gate, unless its model is in production already.

    Args:
        models: of the project.
        run: the one that was chosen.
        option: by which it was.
    """
    metric = models.promote.metric
    before = read_card(models.root)
    reason = f"by hand ({option}): {metric} {metric_text(run.get(metric))}"
    if missing := missing_code(models.root, run):
        reason += f", {missing.problem} ({missing.remedy})"
    if before:
        if all(before[name] == run[name] for name in ("track_id", "model_hash")):
            return Decision(None, f"{before['track_id']} ({before['version']}) is there already")
        reason += f" replaces {metric_text(before['metrics'].get(metric))}"
        conditions = conditions_of(before)
        if conditions != conditions_of(run):
            reason += f", measured on {conditions}"
    return Decision(run, reason, by_hand=True)


def add_candidate(file: Path, run_id: str) -> None:
    """Keep a model from elsewhere as a candidate under its own run id.

    Args:
        file: the model, a file or a folder.
        run_id: the run that made it.

    Raises:
        BadInput: no such run, or it is no model.
        Refused: the file is not the run's model, or another one is kept under that id.
    """
    models = open_models()
    md5 = checked_md5(models.root, file)
    run = find_run(models, run_id, None)
    recorded = run["model_hash"]
    if md5 != recorded:
        raise Refused(
            f"{file} (md5 {md5}) is not the model that run {run_id} recorded (md5 {recorded})"
        )
    with locked_folders(models.root):
        present = models.kept
        if run_id not in present:
            write_candidates(models.root, {**present, run_id: file})
            metric = models.promote.metric
            value = metric_text(run[metric])
            say(f"candidates: {run_id} ({run['version']}) added, {metric} {value}")
            record_models(models.root)
        elif checked_md5(models.root, present[run_id]) == md5:
            say(f"candidates: {run_id} is there already")
        else:
            raise Refused(
                f"{present[run_id]} holds other bytes; it is not overwritten",
                f"dvc checkout --force {paths.CANDIDATES}",
            )


def prune(keep: int) -> None:
    """Drop all candidates but so many of the best ones and the one in production.

    Raises:
        Refused: a model to drop could not be brought back; nothing is dropped.
    """
    models = open_models()
    with locked_folders(models.root):
        old = models.kept
        surplus = find_surplus(models, old, keep)
        lost = find_lost(models.root, surplus)
        remote = open_remote(models.root) if lost else None
        if remote:
            left = missing_in_remote(models.root, remote, set().union(*lost.values()))
            lost = {track_id: hashes for track_id, hashes in lost.items() if hashes & left}
        if lost:
            names = ", ".join(sorted(lost))
            raise Refused(
                f"{len(lost)} models could not be brought back, so nothing is pruned: {names}",
                TO_RECORD,
            )
        kept = {track_id: old[track_id] for track_id in old.keys() - surplus.keys()}
        changed = write_candidates(models.root, kept)
        say(f"candidates: {len(kept)} kept in {paths.CANDIDATES}/ ({len(surplus)} pruned)")
        if changed:
            record_models(models.root)


def record_models(root: Path) -> None:
    """Write the hashes of changed model folders into `dvc.lock`, and say how to go on.

    `dvc commit` would record the deps and params of the moment, too, and the stage would then not
    run for them.
    """
    if recorded_md5(root, paths.PRODUCTION) is None:
        say("next: dvc repro   # records it")
        return
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo, repo.lock:
            stage = repo.stage.load_one(str(root / paths.PIPELINE), STAGE)
            stage.add_outs(allow_missing=True)
            stage.dump(update_pipeline=False)
    except Exception as error:  # DVC is busy, or its cache cannot be written; the models are there
        problem = f"dvc.lock does not name this yet: {' '.join(str(error).split())}"
        say(f"{problem}\n  → dvc commit --force {STAGE}")
    say(f"next: git add {paths.PIPELINE_LOCK} && git commit -m 'Change the models'")
