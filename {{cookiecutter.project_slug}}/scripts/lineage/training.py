"""The verb behind `train.py`: params and data in, one database and one model per run out."""

from __future__ import annotations

import copy
import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from lineage import layout, merge_tables
from lineage.accumulate import check_base
from lineage.errors import BadInput, LineageError, Refused
from lineage.experiment_file import load_experiment
from lineage.model_files import make_reproducible
from lineage.params import Sweep, read_params
from lineage.recording import Provenance, write_run
from lineage.records import file_md5, recorded_output
from lineage.repository import code_state

PIPELINE_FILES = (layout.PIPELINE_LOCK, "results", "models", "data")


@dataclass(frozen=True)
class Run:
    """One run to do: its id and the model's params."""

    track_id: str
    params: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its metrics, or the error that stopped it."""

    run: Run
    metrics: dict[str, float]
    error: str | None = None


def train_stage(say: Callable[[str], None], warn: Callable[[str], None]) -> None:
    """Run the experiment once, or once for each point of `sweep.grid`.

    Raises:
        BadInput: params, data or experiment.py do not fit.
        Refused: the results database could not take the runs afterwards, or a run failed.
    """
    root = layout.find_root()
    params = read_params(root / layout.PARAMS)
    check_base(root, layout.DATABASE, merge_tables.holds_all_rows)  # hours of training before a refusal are a loss too
    for name in (layout.TRAIN_DATA, layout.TEST_DATA):
        if not (root / name).is_file():
            raise BadInput(f"{name} is missing", f"dvc pull {name}")
    provenance = describe_origin(root, params.experiment.version, warn)
    runs = plan_runs(params.model, params.sweep)
    earlier: list[Path] = []
    for folder in (layout.RUNS, layout.TRAINED_MODELS):
        (root / folder).mkdir(parents=True, exist_ok=True)
        earlier += (root / folder).iterdir()
    outcomes = []
    for outcome in _do_all(root, runs, provenance, params.sweep.jobs):
        outcomes.append(outcome)
        say(f"[{len(outcomes)}/{len(runs)}] {_line(outcome)}")
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if failed:
        lines = "\n".join(f"  {outcome.run.track_id} {outcome.run.params}: {outcome.error}" for outcome in failed)
        raise Refused(f"{len(failed)} of {len(runs)} runs failed:\n{lines}")
    for path in earlier:  # merged into the database, and in the cache; a failed stage leaves them in place
        path.unlink()


def describe_origin(root: Path, version: str, warn: Callable[[str], None]) -> Provenance:
    """Collect what every row of this session says about code and data.

    Args:
        root: the project's root.
        version: `experiment.version`.
        warn: is told what cannot be traced.
    """
    code = code_state(root, written_by_pipeline=PIPELINE_FILES)
    lock = root / layout.PIPELINE_LOCK
    data_hash = file_md5(root / layout.TRAIN_DATA)
    recorded = recorded_output(root, layout.TRAIN_DATA)
    if code.commit is None:
        warn("outside a Git repository, or before its first commit: rows cannot lead back to the code")
    if recorded is None or recorded.md5 != data_hash:
        warn(f"{layout.TRAIN_DATA} is not what dvc.lock records: rows cannot lead back to the data; use dvc repro")
    return Provenance(
        version=version,
        git_commit=code.commit,
        git_dirty=None if code.dirty is None else int(code.dirty),
        data_hash=data_hash,
        dvc_hash=file_md5(lock) if lock.is_file() else None,
    )


def plan_runs(model: dict[str, Any], sweep: Sweep) -> list[Run]:
    """Turn the grid into runs: the product of its lists, in the order given; an empty grid is one run.

    Args:
        model: the section `model` of params.yaml.
        sweep: its section `sweep`; keys look like `model.C`.
    """
    began = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
    runs = []
    for values in itertools.product(*sweep.grid.values()):
        params = copy.deepcopy(model)
        for key, value in zip(sweep.grid, values):
            params[key.partition(".")[2]] = value
        runs.append(Run(f"{began}-{secrets.token_hex(4)}", params))
    return runs


def _do_all(root: Path, runs: list[Run], provenance: Provenance, jobs: int) -> Any:
    if len(runs) == 1:
        return [do_run(root, runs[0], provenance)]
    from joblib import Parallel, delayed

    workers = Parallel(n_jobs=jobs, backend="loky", return_as="generator_unordered")
    return workers(delayed(do_run)(root, run, provenance) for run in runs)


def do_run(root: Path, run: Run, provenance: Provenance) -> Outcome:
    """Do one run: load, fit, evaluate, save, record. Files appear whole or not at all; an error is returned, not raised.

    Args:
        root: the project's root.
        run: id and params.
        provenance: what its rows say about code and data.
    """
    model_path = root / layout.TRAINED_MODELS / f"{run.track_id}_model.bin"
    database = root / layout.RUNS / f"{run.track_id}.db"
    temporary_model = model_path.with_name(f".{model_path.name}.tmp")
    temporary_database = database.with_name(f".{database.name}.tmp")
    try:
        experiment = load_experiment(root)
        train = experiment.load_data(root / layout.TRAIN_DATA)
        test = experiment.load_data(root / layout.TEST_DATA)
        if train.empty:
            raise BadInput(f"{layout.TRAIN_DATA} has no rows")
        model = experiment.fit(train, copy.deepcopy(run.params))
        metrics, predictions = experiment.evaluate(model, test)
        experiment.save_model(model, temporary_model)
        make_reproducible(temporary_model)
        hashes = {"test_hash": file_md5(root / layout.TEST_DATA), "model_hash": file_md5(temporary_model)}
        write_run(temporary_database, run.track_id, provenance, run.params, metrics, hashes, predictions)
        temporary_model.replace(model_path)
        temporary_database.replace(database)  # last: a database says that the run is complete
        return Outcome(run, {name: float(value) for name, value in metrics.items()})
    except LineageError as error:
        return Outcome(run, {}, str(error))
    except Exception as error:
        return Outcome(run, {}, f"{type(error).__name__}: {error}")
    finally:
        temporary_model.unlink(missing_ok=True)
        temporary_database.unlink(missing_ok=True)


def _line(outcome: Outcome) -> str:
    if outcome.error is not None:
        return f"{outcome.run.track_id} failed: {outcome.error}"
    values = ", ".join(f"{name}={value:.4f}" for name, value in outcome.metrics.items())
    return f"{outcome.run.track_id} {values}"
