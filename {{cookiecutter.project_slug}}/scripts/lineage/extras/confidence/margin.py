"""How much of a challenger's gain may be noise, for the gate: `promote.confidence`."""

from typing import Any

from lineage.core import paths
from lineage.core.console import progress, say
from lineage.core.experiment_file import load_experiment
from lineage.extras.confidence.noise import corrected, margin_of_error, share_of_right
from lineage.models.measure import measure_again
from lineage.models.run_model import Models
from lineage.results.leaderboard import Row
from lineage.runs.run import Frame

SCORE = "define score(predictions) in experiment.py, see docs/models.md"


def find_margin(models: Models, wanted: float, challengers: list[Row], old: Row) -> float | None:
    """Estimate how much of the best challenger's gain may be noise, or say why it cannot be known.

    Args:
        models: of the project.
        wanted: the confidence, as in 0.95.
        challengers: best first; confidence is corrected for how many they are.
        old: the row of the model in production.

    Returns:
        half the width of the gain's confidence interval; None where nothing is known of it.
    """
    metric = models.promote.metric
    best = challengers[0]
    confidence = corrected(wanted, len(challengers))
    experiment = load_experiment(models.root)

    def score(predictions: Any) -> float:
        if not hasattr(experiment, "score"):
            return share_of_right(predictions)
        return float(experiment.score(predictions)[metric])

    try:
        new = predicted_now(models, best)
        before = predicted_now(models, old)
        with progress("comparing predictions"):
            return margin_of_error(score, new, before, best[metric] - old[metric], confidence)
    except Exception as error:  # of the user's code, or for want of a column
        reason = f"{metric} does not follow from predictions ({type(error).__name__}: {error})"
        say(f"promote.confidence is not applied, as {reason}; {SCORE}")
        return None


def predicted_now(models: Models, run: Row) -> Frame:
    """Read what a run predicts on the present test data, or have its model predict it again.

    Raises:
        Refused: as `measure_again`.
    """
    import pandas

    file = models.root / paths.PREDICTIONS / f"{run['track_id']}.parquet"
    if models.covers(run) and file.is_file():
        return pandas.read_parquet(file)
    return measure_again(models, run)[1]
