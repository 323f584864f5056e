"""Measure a model again: load it, and evaluate it on the present test data by the present code."""

import random
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lineage.core import paths
from lineage.core.errors import LineageError, Refused
from lineage.core.experiment_file import load_experiment
from lineage.models.model_card import MODEL
from lineage.models.run_model import Models, find_model
from lineage.results.leaderboard import Row
from lineage.results.version_results import params_of
from lineage.runs.run import Frame
from lineage.runs.run_argument import begin_run, call_with_run
from lineage.runs.run_database import to_metrics


def measure_again(models: Models, run: Row) -> tuple[Row, Frame]:
    """Measure the model of a run under the present test data and code. Nothing is written.

    Args:
        models: of the project.
        run: its row, or the card of its model as one.

    Returns:
        the row with the metrics that were measured now, and the predictions.

    Raises:
        Refused: the model is nowhere, cannot be loaded, or cannot be evaluated.
    """
    import numpy

    source = find_model(models.root, run)
    random.seed(0)
    numpy.random.seed(0)
    try:
        with TemporaryDirectory() as folder:
            experiment, model = load_model(models.root, source, Path(folder))
            evaluate = experiment.evaluate
            test = experiment.load_data(models.root / paths.TEST_DATA)
            run_folder = Path(folder, "run")
            active = begin_run([evaluate], run_folder, run["track_id"], params_of(run))
            metrics, predictions = call_with_run(evaluate, model, test, active)
        return {**run, **models.present, **to_metrics(metrics)}, predictions
    except Exception as error:  # of the user's code
        kind = "" if isinstance(error, LineageError) else f"{type(error).__name__}: "
        problem = f"the model of run {run['track_id']} ({run['version']}) cannot be measured"
        raise Refused(f"{problem} on the present test data: {kind}{error}") from error


def load_model(root: Path, source: Path, folder: Path) -> Any:
    """Load a model by the present `experiment.py`.

    Args:
        root: the project's root.
        source: the model, found by `find_model`.
        folder: a temporary one, for a link to it: an object of the cache has another name.

    Returns:
        that module, and the model.

    Raises:
        BadInput: `experiment.py` cannot be imported.
    """
    experiment = load_experiment(root)
    file = folder / MODEL
    file.symlink_to(source.absolute())
    return experiment, experiment.load_model(file)


def measured_now(models: Models, run: Row) -> Row:
    """Give the row of a run with metrics under the present test data and code.

    Raises:
        Refused: as `measure_again`.
    """
    return run if models.covers(run) else measure_again(models, run)[0]
