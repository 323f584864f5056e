"""The contract between experiment.py and the pipeline. Rows are made here: no data are needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import experiment
from lineage.runs.model_file import make_reproducible
from lineage.runs.predictions_file import write_predictions
from lineage.runs.run_database import check_columns, to_metrics

ROOT = Path(__file__).parents[1]


@pytest.fixture
def rows() -> pd.DataFrame:
    """Forty images of two easy classes."""
    labels = np.arange(40) % 2
    pixels = np.random.default_rng(0).integers(0, 4, (40, 64)) + labels[:, None] * 8
    frame = pd.DataFrame(pixels, columns=[f"pixel_{number:02d}" for number in range(64)])
    return frame.assign(id=range(40), label=labels)


@pytest.fixture
def params() -> dict[str, object]:
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    model: dict[str, object] = content["model"]
    return model


def test_metrics_and_predictions_can_be_recorded(
    rows: pd.DataFrame, params: dict[str, object], tmp_path: Path
) -> None:
    metrics, predictions = experiment.evaluate(experiment.fit(rows, params), rows)
    check_columns(list(to_metrics(metrics)))
    write_predictions(tmp_path / "run-1.parquet", "run-1", predictions)
    assert len(pd.read_parquet(tmp_path / "run-1.parquet")) == len(rows)
    assert metrics["accuracy"] == 1.0
    assert list(predictions["predicted"]) == list(rows["label"])


def test_a_saved_model_predicts_the_same(
    rows: pd.DataFrame, params: dict[str, object], tmp_path: Path
) -> None:
    model = experiment.fit(rows, params)
    path = tmp_path / "model.bin"
    experiment.save_model(model, path)
    make_reproducible(path)
    _, before = experiment.evaluate(model, rows)
    _, after = experiment.evaluate(experiment.load_model(path), rows)
    pd.testing.assert_frame_equal(before, after)


def test_an_unknown_model_is_refused(rows: pd.DataFrame, params: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"model\.name 'forest' is not known"):
        experiment.fit(rows, {**params, "name": "forest"})
