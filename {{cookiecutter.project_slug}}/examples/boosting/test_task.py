"""What only this task has to do."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import experiment
from lineage.extras.tracking.active_run import ActiveRun

PARAMS = {"rounds": 300, "patience": 5, "min_data_in_leaf": 5, "learning_rate": 0.3}


def test_it_stops_early_and_keeps_the_best_round(rows: pd.DataFrame, tmp_path: Path) -> None:
    run = ActiveRun(tmp_path, "run-1", PARAMS, validation=rows[::2])
    model = experiment.fit(rows[1::2], PARAMS, run)
    losses = [event["val_loss"] or 0.0 for event in run.events()]
    assert len(losses) < 300
    experiment.save_model(model, tmp_path / "model.txt")
    kept = experiment.load_model(tmp_path / "model.txt").num_trees()
    assert losses.index(min(losses)) == kept - 1 == len(losses) - 1 - PARAMS["patience"]
    assert (tmp_path / "model.txt").read_text().startswith("tree\n")


def test_early_stopping_needs_rows(rows: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"set validation\.fraction"):
        experiment.fit(rows, PARAMS, ActiveRun(tmp_path, "run-1", PARAMS))
