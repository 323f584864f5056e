"""A run as data: its params and facts, how it ended, and where its files are."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lineage.core import paths
from lineage.core.param_names import Value
from lineage.runs.model_file import model_name

ARTIFACTS_SUFFIX = ".artifacts"
EVENTS_FILE = "events.csv"
"""What a run logs, until it ends."""

VALIDATED = "val_"
"""What the names of metrics begin with that were measured on a validation side."""

Frame = Any
"""A DataFrame of pandas, whose package is loaded only where it is used."""

Row = dict[str, Value]
Metrics = dict[str, float | None]
"""Values by name; NaN is None, as it is stored."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a row of `metrics` says beside params and metrics; None: not known.

    Hashes are md5, 32 hexadecimal digits.

    Attributes:
        version: `eX.Y.Z` of the experiment.
        git_commit: HEAD when the run began.
        git_dirty: 1 when tracked files differed from it.
        data_hash: of the training data.
        dvc_hash: of `dvc.lock` when the run began.
        status: `ok` or `failed`.
        error: why it failed.
        run_hash: stands for all that the run depends on (`run_plan.Plan`).
        code_hash: of experiment.py and all modules of the project that it imports.
        evaluate_hash: of the part of them that evaluates (`core.code_hash.evaluate_hash`).
        test_hash: of the test data.
        model_hash: of the model; that of a folder ends in `.dir`.
        predictions_hash: of the predictions file.
        seed: of `random` and `numpy.random`.
        duration_seconds: the time of the user's code.
        python: its version.
        platform: the operating system and the machine.
        lock_hash: of `requirements.lock`.
    """

    version: str
    git_commit: str | None = None
    git_dirty: int | None = None
    data_hash: str | None = None
    dvc_hash: str | None = None
    status: str = "ok"
    error: str | None = None
    run_hash: str | None = None
    code_hash: str | None = None
    evaluate_hash: str | None = None
    test_hash: str | None = None
    model_hash: str | None = None
    predictions_hash: str | None = None
    seed: int = 0
    duration_seconds: float | None = None
    python: str | None = None
    platform: str | None = None
    lock_hash: str | None = None


@dataclass(frozen=True)
class Run:
    """One run to do.

    Attributes:
        track_id: its id.
        point: what the sweep changes, by key as in params.yaml.
        params: passed to `fit`.
        param_types: the declared types of the params as columns `model_…` of `metrics`.
        facts: what else its row says.
        validation: sets rows aside (`extras.validation.split.Side`); None: there are none.
    """

    track_id: str
    point: dict[str, Any]
    params: dict[str, Any]
    param_types: dict[str, str]
    facts: Facts
    validation: Any = None

    def described(self) -> str:
        """Say what the sweep changes: `model.C=0.1, model.name=ridge`."""
        return ", ".join(f"{key}={value}" for key, value in self.point.items())

    def files(self, root: Path) -> "RunFiles":
        """Name its files until all runs of its plan have ended."""
        return unfinished_files(root, self.facts.run_hash, self.track_id)


@dataclass(frozen=True)
class Outcome:
    """How a run ended: with metrics, or with the error that stopped it."""

    run: Run
    metrics: Metrics
    error: str | None = None


class RunFiles(NamedTuple):
    """The files of a run, in the order in which they are made and moved.

    The database comes last and holds the hashes of model and predictions. A failed run has nothing
    else; only a run that made artifacts has a folder of them.
    """

    model: Path
    artifacts: Path
    predictions: Path
    database: Path

    @property
    def folder(self) -> Path:
        """The folder of a run that is not finished."""
        return self.database.parent


def run_files(root: Path, track_id: str) -> RunFiles:
    """Name the files of a run where DVC takes them."""
    models = root / paths.TRAINED_MODELS
    runs = root / paths.RUNS
    return RunFiles(
        models / model_name(track_id),
        models / f"{track_id}{ARTIFACTS_SUFFIX}",
        runs / f"{track_id}.parquet",
        runs / f"{track_id}.db",
    )


def unfinished_files(root: Path, run_hash: str | None, track_id: str) -> RunFiles:
    """Name the files of a run until all of its plan have ended: they are in a folder of its own."""
    folder = root / paths.UNFINISHED_RUNS / f"{run_hash}.{track_id}"
    return RunFiles(*[folder / path.name for path in run_files(root, track_id)])


def choice_metric(names: Collection[str], metric: str) -> str:
    """Name the metric by which runs are chosen: `val_f1_score` where there is one, for `f1_score`.

    Args:
        names: of the metrics that there are.
        metric: by which models are judged, on the test set.
    """
    return VALIDATED + metric if VALIDATED + metric in names else metric
