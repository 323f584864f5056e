"""`models/production` changes here, the model and its card; the model folders are locked here."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from lineage.core import paths
from lineage.core.console import say
from lineage.core.param_names import is_param
from lineage.models.gate import Decision, decide, metric_text
from lineage.models.model_card import (
    CARD,
    MODEL,
    Card,
    describe_environment,
    read_card,
    read_signature,
    write_card,
)
from lineage.models.run_model import Models, find_model, find_run, missing_code, open_models
from lineage.results.chosen_by import Row, conditions_of
from lineage.results.leaderboard import measured, metric_names
from lineage.runs.model_file import models_in
from lineage.tracked.cache import cached_object, copy_out, object_path, read_listing
from lineage.tracked.guarded_output import check_base, keep_recoverable, locked
from lineage.tracked.hashes import path_md5
from lineage.tracked.recorded import recorded_md5
from lineage.tracked.whole_file import recover, write_whole

STAGE = "promote_model"
COPIED = (
    "track_id",
    "version",
    "git_commit",
    "git_dirty",
    "data_hash",
    "test_hash",
    "evaluate_hash",
    "model_hash",
)
"""What the card says as the row of the run says it."""


@contextmanager
def locked_folders(root: Path) -> Iterator[None]:
    """Hold the lock of the model folders; complete what a killed process left in them.

    A process may have been killed after it changed a folder and before `dvc.lock` said so: such a
    folder is taken as it is.

    Raises:
        Refused: another process holds the lock for too long, or a folder is neither as `dvc.lock`
            records it nor what follows from that.
    """

    def may_differ(folder: Path, listing: Path) -> bool:
        files = read_listing(listing)
        if not all(cached_object(root, md5) for md5 in files.values()):
            return False
        if folder != root / paths.PRODUCTION:
            return True  # some were pruned, and their bytes can be brought back
        card = read_card(root) or {}
        before = json.loads(object_path(root, files[CARD]).read_bytes())
        follows = before["track_id"] in (card.get("track_id"), card.get("replaced"))
        return follows and path_md5(folder / MODEL) == card["model_hash"]

    with locked(root, paths.PRODUCTION):
        for name in (paths.PRODUCTION, paths.CANDIDATES, paths.ARTIFACTS):
            recover(root / name)
            check_base(root, name, may_differ)
        yield


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
    models = open_models(database, metric, mode)
    with locked_folders(models.root):
        if run_id is None and version is None:
            kept = models_in(models.root / paths.CANDIDATES)
            runs = models.best_runs(where=["model_hash!=NULL"])
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
    if before is None:
        return Decision(run, reason, by_hand=True)
    if all(before[name] == run[name] for name in ("track_id", "model_hash")):
        return Decision(None, f"{before['track_id']} ({before['version']}) is there already")
    reason += f" replaces {metric_text(before['metrics'].get(metric))}"
    conditions = conditions_of(before)
    if conditions != conditions_of(run):
        reason += f", measured on {conditions}"
    return Decision(run, reason, by_hand=True)


def carry_out(models: Models, decision: Decision) -> None:
    """Do and say what was decided.

    Args:
        models: of the project, whose folders are locked.
        decision: of the gate, or of a user.

    Raises:
        Refused: the model is nowhere, or the one before could not be brought back.
        BadInput: the run's id or hash cannot be one.
    """
    run = decision.run
    if run is None:
        say(f"production: {decision.why}")
        return
    source = find_model(models.root, run)
    put_into_production(models.root, source, make_card(models, run, decision))
    say(f"production: {run['track_id']} ({run['version']}) promoted — {decision.why}")


def note_comparison(models: Models) -> None:
    """Note in the card that the model in production was compared with all that are there."""
    card = read_card(models.root) or {}
    write_card(models.root / paths.PRODUCTION, {**card, **compared_now(models)})


def compared_now(models: Models) -> Card:
    """List the models that are there, and the rules by which models are compared now."""
    there: set[str] = set()
    for folder in (paths.TRAINED_MODELS, paths.CANDIDATES):
        there |= models_in(models.root / folder).keys()
    return {"compared": sorted(there), "compared_under": models.rules}


def make_card(models: Models, run: Row, decision: Decision) -> Card:
    """Collect what `model.json` says about a run's model."""
    before = read_card(models.root) or {}
    # the signature first: it loads the packages that experiment.py needs
    signature = read_signature(models.root, run["data_hash"])
    return {
        **{name: run.get(name) for name in COPIED},
        "params": {name: value for name, value in run.items() if is_param(name)},
        "metrics": {name: measured(run.get(name)) for name in metric_names(models.database)},
        "promoted_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "replaced": before.get("track_id"),
        "reason": decision.why,
        "by_hand": decision.by_hand,
        "input_signature": signature,
        "environment": describe_environment(),
        **compared_now(models),
    }


def put_into_production(root: Path, source: Path, card: Card) -> None:
    """Swap a model and its card in together; the model before must be recoverable.

    Args:
        root: the project's root.
        source: the model, a file or a folder, as `find_model` finds it.
        card: what `model.json` shall say.

    Raises:
        Refused: it is not.
    """
    folder = root / paths.PRODUCTION
    if folder.exists():
        keep_recoverable(root, paths.PRODUCTION)

    def build(new_folder: Path) -> None:
        copy_out(source, new_folder / MODEL)
        write_card(new_folder, card)

    write_whole(folder, build)


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
