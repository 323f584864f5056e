"""Where things lie in the project. Paths are relative to its root."""

from pathlib import Path

from lineage.core.errors import BadInput

PARAMS = "params.yaml"
PIPELINE = "dvc.yaml"
PIPELINE_LOCK = "dvc.lock"
EXPERIMENT = "experiment.py"
INCOMING_DATA = "data/incoming"
TRAIN_DATA = "data/train.parquet"
TEST_DATA = "data/test.parquet"
RUNS = "results/runs"
UNFINISHED_RUNS = "results/unfinished"
INCOMING_RESULTS = "results/incoming"
DATABASE = "results/experiments.db"
PREDICTIONS = "results/predictions"
METRICS_FILE = "results/metrics.json"
PLOTS = "results/plots"
TRAINED_MODELS = "models/trained"
PRODUCTION = "models/production"
CANDIDATES = "models/candidates"
ARTIFACTS = "results/artifacts"

METRICS = "metrics"
"""The table of the database with one row for each run."""

EVENTS = "events"
"""The table with what runs logged."""


def find_root(start: Path | None = None) -> Path:
    """Find the project's root: the nearest folder that holds `params.yaml` and `dvc.yaml`.

    Args:
        start: where to begin to look, and then upwards; None: the current folder.

    Raises:
        BadInput: no such folder.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / PARAMS).is_file() and (folder / PIPELINE).is_file():
            return folder
    raise BadInput(
        f"{here} is not inside a project (no params.yaml beside a dvc.yaml here or above)",
        f"cd {Path(__file__).parents[3]}",
    )
