"""The verb behind `train.py`: params and data in, one database and one model per run out."""

import copy
import random
import sqlite3
import time
import traceback
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lineage.core import paths
from lineage.core.console import Say
from lineage.core.errors import BadInput, LineageError, Refused
from lineage.core.experiment_file import load_experiment
from lineage.core.params import Params, read_params
from lineage.runs.model_file import make_reproducible
from lineage.runs.progress import show_progress
from lineage.runs.run_database import fact_cells, to_metric, write_run
from lineage.runs.run_plan import Run, find_done, finish, plan_runs
from lineage.runs.workers import count_workers, do_all
from lineage.tracked.guarded_output import check_base, locked
from lineage.tracked.hashes import file_md5
from lineage.tracked.whole_file import flush_to_disk

SHOWN_FAILURES = 20


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its metrics (NaN: None), or the error that stopped it."""

    run: Run
    metrics: dict[str, float | None] = field(default_factory=dict)
    error: str | None = None


def train_stage(say: Say, warn: Say, *, debug: bool = False) -> None:
    """Do the runs that params.yaml asks for, each in a process of its own, and record every one of them.

    Args:
        say: prints progress.
        warn: prints warnings.
        debug: do the runs in this process, one after another, and let their exceptions through.
    Raises:
        BadInput: params, data or experiment.py do not fit.
        Refused: the results database could not take the runs afterwards, or a run failed.
    """
    root = paths.find_root()
    params = read_params(root / paths.PARAMS)
    check_base(root, paths.DATABASE)  # hours of training before a refusal are a loss too
    for name in (paths.TRAIN_DATA, paths.TEST_DATA):
        if not (root / name).is_file():
            raise BadInput(f"{name} is missing", f"dvc pull {name}")
    with locked(root, paths.RUNS):
        runs = plan_runs(root, params, warn)
        if done := find_done(root, runs):
            say(
                f"{len(done)} of {len(runs)} runs are there already, from a session that did not end"
            )
        threads = params.sweep.threads if len(runs) > 1 else 0
        outcomes = _do_runs(
            root, [run for run in runs if run.facts["run_hash"] not in done], params, threads, debug
        )
        _warn_of_gaps([outcome for outcome in outcomes if outcome.error is None], warn)
        _judge(
            [outcome for outcome in outcomes if outcome.error is not None],
            len(runs),
            params.sweep.on_error,
            warn,
        )
        finish(root, [*done.values(), *(outcome.run.track_id for outcome in outcomes)])


def _do_runs(
    root: Path, runs: list[Run], params: Params, threads: int, debug: bool
) -> list[Outcome]:
    """Do the runs and show how they go."""
    workers, outcomes = count_workers(params.sweep.jobs, max(threads, 1)), list[Outcome]()
    results = (_attempt(root, run) for run in runs)
    if not debug:
        results = do_all(runs, partial(do_run, root), partial(_died, root), workers, threads)
    with (
        show_progress(len(runs), workers, params.promote) as ended,
        closing(results),
    ):  # closing ends the workers
        for outcome in results:
            outcomes.append(outcome)
            ended(
                _line(outcome),
                outcome.metrics.get(params.promote.metric),
                outcome.error is not None,
            )
    return outcomes


def _judge(failed: list[Outcome], total: int, on_error: str, warn: Say) -> None:
    """Fail the stage for failed runs, unless `sweep.on_error` keeps the others; at least one must be there."""
    lines = [
        f"  {outcome.run.track_id}  {outcome.run.described()}: {outcome.error}"
        for outcome in failed
    ]
    more = [f"  … and {len(lines) - SHOWN_FAILURES} more"] if len(lines) > SHOWN_FAILURES else []
    problem = "\n".join([f"{len(failed)} of {total} runs failed:", *lines[:SHOWN_FAILURES], *more])
    if failed and on_error == "keep" and len(failed) < total:
        warn(problem)
    elif failed:
        where = "python scripts/train.py --debug   # shows where"
        raise Refused(
            problem, f"{where}\n  → dvc repro   # when the cause is mended: does what is missing"
        )


def _warn_of_gaps(ended: list[Outcome], warn: Say) -> None:
    """Say which metrics are NaN, and which some runs have and others lack."""
    for name in dict.fromkeys(name for outcome in ended for name in outcome.metrics):
        missing = [outcome.run.track_id for outcome in ended if name not in outcome.metrics]
        nan = [outcome.run.track_id for outcome in ended if outcome.metrics.get(name, 0.0) is None]
        for what, ids in (("missing", missing), ("NaN", nan)):
            if ids:
                few = ", ".join(ids[:3]) + (" …" if len(ids) > 3 else "")
                warn(
                    f"metric {name!r} is {what} in {len(ids)} of {len(ended)} runs, recorded as NULL: {few}"
                )


def do_run(root: Path, run: Run) -> Outcome:
    """Do one run, and record it as failed when it raises. An error is returned, not raised.

    Args:
        root: the project's root.
        run: what to do.
    """
    try:
        return _attempt(root, run)
    except (Exception, SystemExit) as error:
        return _fail(root, run, str(error) if isinstance(error, LineageError) else _said(error))


def _attempt(root: Path, run: Run) -> Outcome:
    """Load, fit, evaluate, save, record. Files appear whole or not at all; the database comes last."""
    import numpy

    model_path, database = run.model_path(root), run.database_path(root)
    temporary_model, temporary_database = _temporary(model_path), _temporary(database)
    began, seed = time.perf_counter(), int(run.facts["seed"] or 0)
    try:
        random.seed(seed)
        numpy.random.seed(seed)
        experiment = load_experiment(root)
        train = experiment.load_data(root / paths.TRAIN_DATA)
        test = experiment.load_data(root / paths.TEST_DATA)
        for name, data in ((paths.TRAIN_DATA, train), (paths.TEST_DATA, test)):
            if data.empty:
                raise BadInput(f"{name} has no rows")
        model = experiment.fit(train, copy.deepcopy(run.params))
        try:
            metrics, predictions = experiment.evaluate(model, test)
        except Exception as error:
            if differ := ", ".join(sorted(map(str, set(train.columns) ^ set(test.columns)))):
                raise Refused(
                    f"{_said(error)}; only one of training and test data has {differ}"
                ) from error
            raise
        experiment.save_model(model, temporary_model)
        make_reproducible(temporary_model)
        facts = {
            **run.facts,
            "duration_seconds": time.perf_counter() - began,
            "model_hash": file_md5(temporary_model),
        }
        cells = [*fact_cells({**facts, "status": "ok"}), *run.cells]
        write_run(temporary_database, run.track_id, run.provenance, cells, metrics, predictions)
        for temporary, final in ((temporary_model, model_path), (temporary_database, database)):
            flush_to_disk(temporary)
            temporary.replace(final)
        return Outcome(run, {name: to_metric(name, value) for name, value in metrics.items()})
    finally:
        temporary_model.unlink(missing_ok=True)
        temporary_database.unlink(missing_ok=True)


def _fail(root: Path, run: Run, error: str) -> Outcome:
    """Record a run as failed: params, provenance and the error, no metrics and no model."""
    database = run.database_path(root)
    cells = [*fact_cells({**run.facts, "status": "failed", "error": error}), *run.cells]
    try:
        _temporary(database).unlink(missing_ok=True)  # of a killed process
        write_run(_temporary(database), run.track_id, run.provenance, cells, {}, None)
        _temporary(database).replace(database)
    except (OSError, sqlite3.Error, LineageError) as problem:  # a full disk, most of all
        error += f" (and it could not be recorded: {problem})"
    return Outcome(run, error=error)


def _died(root: Path, run: Run, ending: str) -> Outcome:
    _temporary(run.model_path(root)).unlink(missing_ok=True)
    return _fail(
        root,
        run,
        f"its process died twice ({ending}); is there memory for sweep.jobs runs at a time?",
    )


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


def _said(error: BaseException) -> str:
    """The exception, and the last line of experiment.py that it came through."""
    places = traceback.extract_tb(error.__traceback__)
    lines = [place.lineno for place in places if place.filename.endswith(paths.EXPERIMENT)]
    return f"{type(error).__name__}: {error}" + (
        f" ({paths.EXPERIMENT}, line {lines[-1]})" if lines else ""
    )


def _line(outcome: Outcome) -> str:
    if outcome.error is not None:
        return f"{outcome.run.track_id} failed: {outcome.error}"
    shown = {
        name: "NaN" if value is None else f"{value:.4f}" for name, value in outcome.metrics.items()
    }
    return f"{outcome.run.track_id} " + ", ".join(
        f"{name}={value}" for name, value in shown.items()
    )
