"""What only this task has to do."""

from __future__ import annotations

import pandas as pd
import pytest

import experiment


def test_easy_images_are_told_apart(rows: pd.DataFrame) -> None:
    model = experiment.fit(rows, {"name": "logistic_regression", "C": 1.0, "max_iter": 100})
    metrics, predictions = experiment.evaluate(model, rows)
    assert metrics["accuracy"] == 1.0
    assert list(predictions["predicted"]) == list(rows["label"])


def test_an_unknown_model_is_refused(rows: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"model\.name 'forest' is not known"):
        experiment.fit(rows, {"name": "forest"})
