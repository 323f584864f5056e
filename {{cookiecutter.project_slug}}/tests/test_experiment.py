"""The contract between experiment.py and the pipeline, whatever the task is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import experiment
from lineage.runs.model_file import files_of_model, make_reproducible
from lineage.runs.predictions_file import write_predictions
from lineage.runs.run_argument import begin_run, call_with_run
from lineage.runs.run_database import check_columns, to_metrics
from lineage.tracked.hashes import path_md5

ROOT = Path(__file__).parents[1]


@pytest.fixture
def params() -> dict[str, Any]:
    """The section `model` of the project's params.yaml."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    model: dict[str, Any] = content["model"]
    return model


@pytest.fixture
def run(rows: pd.DataFrame, params: dict[str, Any], tmp_path: Path) -> Any:
    """What `fit` and `evaluate` get as their third argument; None where they take none."""
    folder = tmp_path / "run"
    active = begin_run([experiment.fit, experiment.evaluate], folder, "run-1", params)
    if active:
        active.validation = rows
    return active


def saved(model: Any, path: Path) -> Path:
    """Save a model as the pipeline does."""
    experiment.save_model(model, path)
    for file in files_of_model(path):
        make_reproducible(file)
    return path


def test_metrics_and_predictions_can_be_recorded(
    rows: pd.DataFrame, params: dict[str, Any], run: Any, tmp_path: Path
) -> None:
    model = call_with_run(experiment.fit, rows, params, run)
    metrics, predictions = call_with_run(experiment.evaluate, model, rows, run)
    check_columns(list(to_metrics(metrics)))
    write_predictions(tmp_path / "run-1.parquet", "run-1", predictions)
    assert len(pd.read_parquet(tmp_path / "run-1.parquet")) == len(rows)


def test_a_saved_model_predicts_the_same_and_equal_models_are_equal_bytes(
    rows: pd.DataFrame, params: dict[str, Any], run: Any, tmp_path: Path
) -> None:
    model = call_with_run(experiment.fit, rows, params, run)
    _, before = call_with_run(experiment.evaluate, model, rows, run)
    path = saved(model, tmp_path / "model.bin")
    loaded = experiment.load_model(path)
    _, after = call_with_run(experiment.evaluate, loaded, rows, run)
    pd.testing.assert_frame_equal(before, after)
    again = saved(experiment.load_model(path), tmp_path / "again.bin")
    assert path_md5(again) == path_md5(path)
