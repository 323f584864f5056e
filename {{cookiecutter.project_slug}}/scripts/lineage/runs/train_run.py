"""Train one run: load, fit, evaluate, save, record. A worker does it, so it imports little."""

import copy
import random
import sqlite3
import time
import traceback
from dataclasses import replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from lineage.core import paths
from lineage.core.code_hash import check_listed, code_files, code_hash
from lineage.core.errors import BadInput, LineageError, Refused
from lineage.core.experiment_file import imported_files, load_experiment
from lineage.runs import model_origin
from lineage.runs.model_file import checked_md5, files_of_model, save_alone
from lineage.runs.predictions_file import write_predictions
from lineage.runs.run import Metrics, Outcome, Run
from lineage.runs.run_argument import begin_run, call_with_run, logged_events
from lineage.runs.run_database import to_metrics, write_run
from lineage.tracked.hashes import file_md5
from lineage.tracked.whole_file import flush_to_disk, remove


def train_or_fail(root: Path, run: Run) -> Outcome:
    """Do one run, and record it as failed when it raises. An error is returned, not raised."""
    try:
        return train_run(root, run)
    except (Exception, SystemExit) as error:
        return record_failure(root, run, _describe(error))


def train_run(root: Path, run: Run) -> Outcome:
    """Do one run and record it; what the user's code raises passes.

    The model is saved, loaded back, and the loaded one is evaluated: the metrics are those of the
    bytes that are kept.

    Args:
        root: the project's root.
        run: what to do.

    Raises:
        BadInput: there are no rows, there is no model, a module is not listed in dvc.yaml, or
            metrics or predictions cannot be recorded.
        Refused: the code is not that of the plan, or the saved model cannot be loaded.
    """
    import numpy

    random.seed(run.facts.seed)
    numpy.random.seed(run.facts.seed)
    experiment = load_experiment(root)
    check_code(root, run)
    check_listed(root, imported_files(root))
    files = run.files(root)
    functions = [experiment.fit, experiment.evaluate]
    active = begin_run(functions, files.folder, run.track_id, run.params, run.facts.seed)
    began = time.perf_counter()
    metrics, predictions, dtypes = _fit_and_evaluate(experiment, root, run, active)
    seconds = time.perf_counter() - began
    check_listed(root, imported_files(root))  # fit() and evaluate() may have imported more
    origin = model_origin.as_metadata(dtypes)
    write_predictions(files.predictions, run.track_id, predictions, **origin)
    for path in chain.from_iterable(map(files_of_model, files)):
        flush_to_disk(path)
    facts = replace(
        run.facts,
        duration_seconds=seconds,
        model_hash=checked_md5(root, files.model),
        predictions_hash=file_md5(files.predictions),
    )
    write_events = logged_events(files.folder, run.track_id)
    write_run(files.database, replace(run, facts=facts), metrics, write_events)
    if active:
        active.end()
    return Outcome(run, metrics)


def _fit_and_evaluate(
    experiment: ModuleType, root: Path, run: Run, active: Any
) -> tuple[Metrics, Any, Any]:
    """Fit, save, load back, and evaluate: on the test set, and on the validation side if there is.

    Of what `evaluate` logs and writes, only that of the test set is kept.

    Returns:
        metrics, predictions, and the dtypes of the training data; None: they are no DataFrame.
    """
    train = _load(experiment, root, paths.TRAIN_DATA)
    if run.validation:
        train, aside = run.validation.split(train)
        if active:
            active.validation = aside
    dtypes = getattr(train, "dtypes", None)  # before fit() changes them
    test = _load(experiment, root, paths.TEST_DATA)
    fitted = call_with_run(experiment.fit, train, copy.deepcopy(run.params), active)
    file = run.files(root).model
    save_alone(experiment, fitted, file)
    del fitted  # memory may hold one model only
    try:
        model = experiment.load_model(file)
    except Exception as error:
        raise Refused(
            f"the model that save_model() wrote cannot be loaded: {_describe(error)}"
        ) from error
    metrics, predictions = _evaluate(experiment, model, train, test, active)
    if run.validation:
        with TemporaryDirectory(dir=file.parent) as folder:
            kept_nowhere = active and replace(active, folder=Path(folder))
            validated, _ = _evaluate(experiment, model, train, aside, kept_nowhere)
        run.validation.add(metrics, validated)
    return metrics, predictions, dtypes


def record_failure(root: Path, run: Run, error: str) -> Outcome:
    """Record a run as failed: params, facts, events and the error; nothing else."""
    files = run.files(root)
    facts = replace(run.facts, status="failed", error=error)
    try:
        write_events = logged_events(files.folder, run.track_id)
        remove(files.folder)
        write_run(files.database, replace(run, facts=facts), {}, write_events)
    except (OSError, sqlite3.Error, LineageError) as problem:  # a full disk, most of all
        error += f" (and it could not be recorded: {problem})"
    return Outcome(run, {}, error)


def check_code(root: Path, run: Run) -> None:
    """Check that the code in the working tree is that for which a run was planned.

    Raises:
        Refused: it was changed since.
    """
    if code_hash(code_files(root)) != run.facts.code_hash:
        raise Refused(
            f"{paths.EXPERIMENT}, or a module that it imports, was changed during the runs",
            "dvc repro   # all runs, by the code as it is now",
        )


def _load(experiment: ModuleType, root: Path, name: str) -> Any:
    data = experiment.load_data(root / name)
    if getattr(data, "empty", False):
        raise BadInput(f"{name} has no rows")
    return data


def _evaluate(
    experiment: ModuleType, model: Any, train: Any, test: Any, active: Any
) -> tuple[Metrics, Any]:
    """Evaluate; when that fails, say too which columns only one of the data sets has."""
    try:
        metrics, predictions = call_with_run(experiment.evaluate, model, test, active)
    except Exception as error:
        differ = set(getattr(train, "columns", ())) ^ set(getattr(test, "columns", ()))
        if not differ:
            raise
        names = ", ".join(sorted(map(str, differ)))
        raise Refused(
            f"{_describe(error)}; only one of training and test data has {names}"
        ) from error
    return to_metrics(metrics), predictions


def _describe(error: BaseException) -> str:
    """Write an exception with the last line of experiment.py that it came through."""
    if isinstance(error, LineageError):
        return str(error)
    text = f"{type(error).__name__}: {error}"
    for step in reversed(traceback.extract_tb(error.__traceback__)):
        if step.filename.endswith(paths.EXPERIMENT):
            return f"{text} ({paths.EXPERIMENT}, line {step.lineno})"
    return text
