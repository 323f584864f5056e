"""What only this task has to do."""

from __future__ import annotations

import pandas as pd
import pytest

import experiment


def test_a_line_is_found_where_there_is_one(rows: pd.DataFrame) -> None:
    metrics, _ = experiment.evaluate(experiment.fit(rows, {"alpha": 1e-9}), rows)
    assert metrics["rmse"] == pytest.approx(0, abs=1e-6)
    assert metrics["r2"] == pytest.approx(1)
