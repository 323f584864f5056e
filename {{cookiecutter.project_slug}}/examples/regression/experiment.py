"""Another kind of task: regression. Copy this file over the project's experiment.py to try it.

Data: disease progression of 442 diabetes patients a year after ten baseline measurements, from
B. Efron, T. Hastie, I. Johnstone and R. Tibshirani, "Least Angle Regression", Annals of Statistics
32 (2004), as shipped with scikit-learn (BSD 3-Clause).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import skops.io
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

TARGET = "progression"
ID = "id"


def load_data(path: Path) -> pd.DataFrame:
    """Read a data set: one row per patient, `id`, `progression` (25 to 346), ten measurements."""
    return pd.read_parquet(path)


def fit(train: pd.DataFrame, params: dict[str, Any]) -> Pipeline:
    """Train a ridge regression; `params` is the section `model` of params.yaml."""
    model = make_pipeline(StandardScaler(), Ridge(alpha=params["alpha"]))
    return model.fit(_features(train), train[TARGET])


def evaluate(model: Pipeline, test: pd.DataFrame) -> tuple[dict[str, float], pd.DataFrame]:
    """Measure a model; `rmse` and `mae` are in units of `progression`, and smaller is better."""
    predicted = model.predict(_features(test))
    predictions = pd.DataFrame(
        {"item_id": test[ID].to_numpy(), "actual": test[TARGET].to_numpy(), "predicted": predicted}
    )
    return score(predictions), predictions


def score(predictions: pd.DataFrame) -> dict[str, float]:
    """Compute the metrics from predictions: the gate does it for many draws of them."""
    actual = predictions["actual"].to_numpy()
    predicted = predictions["predicted"].to_numpy()
    return {
        "rmse": root_mean_squared_error(actual, predicted),
        "mae": mean_absolute_error(actual, predicted),
        "r2": r2_score(actual, predicted),
    }


def save_model(model: Pipeline, path: Path) -> None:
    """Write a model to a file, without pickle."""
    skops.io.dump(model, path)


def load_model(path: Path) -> Pipeline:
    """Read a model back."""
    return skops.io.load(path)


def _features(data: pd.DataFrame) -> pd.DataFrame:
    return data.drop(columns=[ID, TARGET])
