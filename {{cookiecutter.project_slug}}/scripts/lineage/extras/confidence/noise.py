"""How much of the difference between two models may be noise: a paired bootstrap.

Test items are drawn with replacement, the same for both models, and the metric is computed anew
from the predictions that both made for them. How much the difference varies between such draws is
its standard error (Efron and Tibshirani, “An Introduction to the Bootstrap”, 1993, chapter 6).
What it costs is the user's metric, twice a draw: `f1_score` of scikit-learn takes 2 ms for any
number of items. So draws end when more of them would not change what the gate decides.
"""

import math
import warnings
from collections.abc import Callable
from statistics import NormalDist

from lineage.core.errors import Refused
from lineage.runs.run import Frame

DRAWS = 400
"""With so many, the standard error is known to 3.5 %."""

FEW = 50
"""After each so many draws it is asked whether it is clear on which side of the gain the margin is.

The standard error of a standard error is its share 1 / sqrt(2 draws).
"""

CLEAR = 3
"""How many of its standard errors the margin is away from the gain then."""

Score = Callable[[Frame], float]
"""Computes a metric from predictions."""


def share_of_right(predictions: Frame) -> float:
    """Compute the accuracy: the metric for which no user has to say how it is computed."""
    right = predictions["actual"].to_numpy() == predictions["predicted"].to_numpy()
    return float(right.mean())


def corrected(confidence: float, challengers: int) -> float:
    """Correct a confidence for how many challenge: the best of many is often better by chance.

    Confidence is that in all of them together (Bonferroni): `corrected(0.95, 2)` is 0.975.
    """
    return 1 - (1 - confidence) / challengers


def margin_of_error(score: Score, new: Frame, old: Frame, gain: float, confidence: float) -> float:
    """Estimate how far the gain of a new model over an old one may be from the true one.

    Args:
        score: of predictions.
        new: predictions of the new model, one row per test item.
        old: predictions of the old model for the same items, in the same order.
        gain: the difference of their metrics as it was measured.
        confidence: how surely `gain` ± the margin holds the true gain, as in 0.95.

    Returns:
        the margin, in units of the metric.

    Raises:
        Refused: the predictions do not give that gain.
    """
    import numpy

    items = len(new)
    computed = score(new) - score(old)
    if not math.isclose(computed, gain, rel_tol=1e-6, abs_tol=1e-9):
        raise Refused(f"they give a difference of {computed:.4f}, and it is {gain:.4f}")
    generator = numpy.random.default_rng(0)
    width = NormalDist().inv_cdf((1 + confidence) / 2)
    gains: list[float] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of metrics that lack a class in some draws
        while len(gains) < DRAWS:
            for _ in range(FEW):
                drawn = generator.integers(items, size=items)
                gains.append(score(new.iloc[drawn]) - score(old.iloc[drawn]))
            margin = width * float(numpy.nanstd(gains, ddof=1))
            unsure = CLEAR * margin / numpy.sqrt(2 * numpy.isfinite(gains).sum())
            if 0 < unsure < abs(gain - margin):
                break
    return margin
