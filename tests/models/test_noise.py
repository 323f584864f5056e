"""How much of a gain may be noise: a paired bootstrap over the predictions of two models."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

from lineage.core.errors import Refused
from lineage.extras.confidence.noise import margin_of_error, share_of_right


def predictions(right: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"actual": 1, "predicted": right.astype(int)})


@pytest.fixture
def pair() -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """Predictions of a new and an old model for 500 items, and the gain in accuracy."""
    generator = np.random.default_rng(3)
    old = generator.random(500) < 0.8
    new = np.where(generator.random(500) < 0.1, ~old, old)
    return predictions(new), predictions(old), float(new.mean() - old.mean())


def test_the_margin_is_that_of_paired_differences(pair: tuple[pd.DataFrame, pd.DataFrame, float]) -> None:
    new, old, gain = pair
    differences = (new["predicted"] - old["predicted"]).to_numpy()
    error = differences.std(ddof=1) / np.sqrt(500)
    margin = margin_of_error(share_of_right, new, old, gain, 0.95)
    assert margin == pytest.approx(1.96 * error, rel=0.1), "far less than if the items were not the same"
    assert margin == margin_of_error(share_of_right, new, old, gain, 0.95), "the same draws each time"
    wider = margin_of_error(share_of_right, new, old, gain, 1 - 0.05 / 20)
    assert wider / margin == pytest.approx(NormalDist().inv_cdf(1 - 0.025 / 20) / NormalDist().inv_cdf(0.975))


def test_predictions_that_do_not_give_the_gain_are_refused(pair: tuple[pd.DataFrame, pd.DataFrame, float]) -> None:
    new, old, gain = pair
    with pytest.raises(Refused, match=f"they give a difference of {gain:.4f}, and it is 0.3000"):
        margin_of_error(share_of_right, new, old, 0.3, 0.95)


def test_equal_models_have_no_margin() -> None:
    same = predictions(np.ones(50))
    assert margin_of_error(share_of_right, same, same, 0.0, 0.95) == 0


def test_a_metric_without_a_value_in_some_draws_is_known_from_the_others() -> None:
    old = predictions(np.arange(20) % 3 > 0)
    new = predictions(np.arange(20) % 4 > 0)

    def score(some: pd.DataFrame) -> float:
        return float("nan") if some["predicted"].sum() > 16 else share_of_right(some)

    assert 0 < margin_of_error(score, new, old, score(new) - score(old), 0.95) < 1
