"""The verbs that change models: the stage `promote_model` with its gate, and promotion, candidates and pruning by hand."""

import math
from pathlib import Path
from typing import Any

from lineage.core import paths
from lineage.core.console import Say
from lineage.core.errors import Refused
from lineage.core.experiment_file import load_experiment
from lineage.core.params import Promote
from lineage.models import production
from lineage.models.candidates import choose_surplus, write_candidates
from lineage.models.model_card import ModelCard, read_card
from lineage.models.production import Models, open_models
from lineage.results.leaderboard import Row, best_runs, measured
from lineage.runs.model_file import checked_md5, models_in
from lineage.tracked.cache import cached_object
from lineage.tracked.hashes import file_md5
from lineage.tracked.recorded import recorded_md5

TO_RECORD = "git add dvc.lock && git commit   # a commit that names them\n  → dvc push   # or a copy in the remote"


def promote_stage(say: Say) -> None:
    """Keep the new models as candidates and, under `promote.strategy: rebase`, let the best one into production.

    Raises:
        BadInput: params.yaml, or a metric that the database does not have.
        Refused: the guard of `accumulate`; a model whose bytes are not those of its row.
    """
    models = open_models(say)
    with production.locked_folders(models.root):
        new = models_in(models.root / paths.TRAINED_MODELS)
        rows = best_runs(
            models.database, models.promote.metric, models.promote.mode, track_ids=list(new)
        )
        _check_new(models.root, new, rows)
        _gate(
            models, models.promote.strategy, rows
        )  # first: the model in production is always kept
        _keep_candidates(models, new)


def promote_by_hand(
    database: Path | None,
    run_id: str | None,
    version: str | None,
    metric: str | None,
    mode: str | None,
    say: Say,
) -> None:
    """Put a chosen run's model into production; without a choice, let the best run of the database try the gate.

    Args:
        database: None: the project's own.
        run_id: the run to promote, without a gate.
        version: promote the best run of this version, without a gate: the rollback.
        metric: None: `promote.metric`.
        mode: None: `promote.mode`.
        say: is told what was decided.
    Raises:
        BadInput: no such run, version or metric.
        Refused: the run's model is nowhere, or production is not what `dvc.lock` records.
    """
    models = open_models(say, database, metric=metric, mode=mode)
    with production.locked_folders(models.root):
        if run_id is None and version is None:
            where = [f"test_hash={file_md5(models.root / paths.TEST_DATA)}"]
            rows = best_runs(
                models.database, models.promote.metric, models.promote.mode, where=where
            )
            changed = _gate(models, None, [row for row in rows if row["model_hash"] is not None])
        else:
            option = f"--run-id {run_id}" if run_id else f"--version {version}"
            changed = _promote_chosen(models, production.find_run(models, run_id, version), option)
        if changed:
            production.record_models(models)


def add_candidate(file: Path, run_id: str, say: Say) -> None:
    """Keep a model from elsewhere as a candidate under its own run id.

    Args:
        file: the model file.
        run_id: the run that made it.
        say: is told what was done.
    Raises:
        BadInput: no such run, or the file is no model file.
        Refused: the file is not the run's model, or another one is kept under that id.
    """
    models = open_models(say)
    md5, row = checked_md5(models.root, file), production.find_run(models, run_id, None)
    if md5 != row["model_hash"]:
        raise Refused(
            f"{file} (md5 {md5}) is not the model that run {run_id} recorded (md5 {row['model_hash']})"
        )
    with production.locked_folders(models.root):
        metric, present = models.promote.metric, models_in(models.root / paths.CANDIDATES)
        if run_id not in present:
            write_candidates(models.root, {**present, run_id: file})
            say(f"candidates: {run_id} ({row['version']}) added, {metric} {_show(row[metric])}")
            production.record_models(models)
        elif checked_md5(models.root, present[run_id]) == md5:
            say(f"candidates: {run_id} is there already")
        else:
            remedy = f"dvc checkout --force {paths.CANDIDATES}"
            raise Refused(f"{present[run_id]} holds other bytes; it is not overwritten", remedy)


def prune(keep: int, say: Say) -> None:
    """Drop all candidates but the best `keep` and the one in production.

    Raises:
        Refused: a model to drop could not be brought back; nothing is dropped.
    """
    models = open_models(say)
    with production.locked_folders(models.root):
        present = models_in(models.root / paths.CANDIDATES)
        free, stuck = choose_surplus(models, present, keep, ask_remote=True)
        if stuck:
            problem = f"{len(stuck)} models could not be brought back, so nothing is pruned: {', '.join(sorted(stuck))}"
            raise Refused(problem, TO_RECORD)
        changed = write_candidates(
            models.root, {name: path for name, path in present.items() if name not in free}
        )
        say(
            f"candidates: {len(present) - len(free)} kept in {paths.CANDIDATES}/ ({len(free)} pruned)"
        )
        if changed:
            production.record_models(models)


def _check_new(root: Path, new: dict[str, Path], rows: list[Row]) -> None:
    """Refuse a new model without a row, or with other bytes than its row says."""
    for row in rows:
        if checked_md5(root, new[row["track_id"]]) != row["model_hash"]:
            raise Refused(
                f"{new[row['track_id']]} is not the model that run {row['track_id']} recorded"
            )
    if unknown := sorted(set(new) - {row["track_id"] for row in rows}):
        raise Refused(
            f"run {unknown[0]} has a model but no row in {paths.DATABASE}",
            "dvc repro merge_results",
        )


def _keep_candidates(models: Models, new: dict[str, Path]) -> None:
    """Add the best of the new models, drop what is beyond `keep` and recoverable; new ones are in the cache anyway."""
    old = models_in(models.root / paths.CANDIDATES)
    both = {**old, **new}
    free, stuck = choose_surplus(models, both, models.promote.keep, ask_remote=False)
    free |= {name for name in stuck - set(old) if cached_object(models.root, file_md5(new[name]))}
    if write_candidates(
        models.root, {name: path for name, path in both.items() if name not in free}
    ):
        models.say(
            f"candidates: {len(both) - len(free)} kept in {paths.CANDIDATES}/ ({len(free & set(old))} pruned)"
        )
    if held := stuck - free:
        models.say(
            f"candidates: {len(held)} beyond promote.keep stay until a commit of dvc.lock names their bytes"
        )


def _gate(models: Models, strategy: str | None, rows: list[Row]) -> bool:
    """Let the best of the runs challenge production; say what was decided and why.

    Args:
        models: of the project.
        strategy: `promote.strategy`; None: asked for by hand, which no earlier decision stands against.
        rows: the runs, best first.
    Returns:
        whether production changed.
    """
    metric, before, say = models.promote.metric, read_card(models.root), models.say
    numbers = [row for row in rows if measured(row[metric]) is not None]
    for row in rows[len(numbers) :]:
        say(
            f"run {row['track_id']} does not take part: its {metric} is {_show(row[metric])}, no number to compare"
        )
    if not numbers:
        if before is None:
            raise Refused(
                f"no run with a model has a value of {metric}, so there is no first model for production"
            )
        say(f"production: {before.track_id} stays; no new run has a model and a value of {metric}")
        return False
    challenger, value = numbers[0], numbers[0][metric]
    if (tied := sum(row[metric] == value for row in numbers)) > 1:
        say(
            f"{tied} runs tie at {metric} {value:.4f}; the earliest, {challenger['track_id']}, stands for them"
        )
    if before is None:
        return _promote(
            models, challenger, None, f"first model of the project, {metric}={value:.4f}"
        )
    if before.track_id == challenger["track_id"]:
        why = "; it is the best of the newest runs"
    elif strategy == "merge":
        why = " (promote.strategy: merge keeps new models as candidates only)"
    elif (
        strategy
        and before.chosen_over
        and before.chosen_over == recorded_md5(models.root, paths.TRAINED_MODELS)
    ):
        why = "; it was chosen by hand when these runs were there already"
    else:
        old = _value_of_incumbent(models, before, challenger)
        comparison = f"{metric} {value:.4f} against {_show(old)}"
        if old is None or beats(value, old, models.promote):
            return _promote(models, challenger, before, f"better: {comparison}")
        need = (
            f" by at least {models.promote.min_improvement}"
            if models.promote.min_improvement
            else ""
        )
        why = f"; {challenger['track_id']} does not beat it{need}: {comparison}{' (a tie)' * (value == old)}"
    say(f"production: {before.track_id} stays{why}")
    return False


def beats(value: float, old: float, promote: Promote) -> bool:
    """Tell whether a value is better, by at least `min_improvement`; a tie is not."""
    gain = value - old if promote.mode == "max" else old - value
    return gain > 0 and (
        gain >= promote.min_improvement or math.isclose(gain, promote.min_improvement)
    )


def _value_of_incumbent(models: Models, before: ModelCard, row: Row) -> float | None:
    """The incumbent's metric on the challenger's test data; it is evaluated again when its own were others."""
    metric, test = models.promote.metric, models.root / paths.TEST_DATA
    if before.test_hash == row["test_hash"] is not None and metric in before.metrics:
        return measured(before.metrics[metric])
    if file_md5(test) != row["test_hash"]:
        raise Refused(
            f"run {row['track_id']} was measured on other test data than {paths.TEST_DATA}",
            "dvc repro",
        )
    experiment = load_experiment(models.root)
    try:
        model = experiment.load_model(models.root / paths.PRODUCTION / production.MODEL)
        metrics, _ = experiment.evaluate(model, experiment.load_data(test))
        return measured(float(metrics.get(metric, math.nan)))
    except Exception as error:
        problem = f"the model in production cannot be measured on the new test data: {type(error).__name__}: {error}"
        remedy = "set promote.strategy: merge to keep it, or read “Your own task in a project that has run already” in docs/use-cases.md"
        raise Refused(problem, remedy) from error


def _promote_chosen(models: Models, row: Row, option: str) -> bool:
    """Put a run's model into production without a gate; returns whether production changed."""
    metric, before = models.promote.metric, read_card(models.root)
    if before and (before.track_id, before.model_hash) == (row["track_id"], row["model_hash"]):
        models.say(f"production: {before.track_id} ({before.version}) is there already")
        return False
    reason = f"by hand ({option}): {metric} {_show(row[metric])}"
    if before:
        reason += f" replaces {_show(before.metrics.get(metric))}"
        reason += ", measured on other test data" * (before.test_hash != row["test_hash"])
    return _promote(models, row, before, reason, by_hand=True)


def _promote(
    models: Models, row: Row, before: ModelCard | None, reason: str, *, by_hand: bool = False
) -> bool:
    source = production.find_model(models.root, row)
    card = production.make_card(models, row, before, reason, by_hand=by_hand)
    production.put_into_production(models.root, source, card)
    models.say(f"production: {row['track_id']} ({row['version']}) promoted — {reason}")
    return True


def _show(value: Any) -> str:
    return "NULL" if value is None else f"{value:.4f}" if isinstance(value, float) else repr(value)
