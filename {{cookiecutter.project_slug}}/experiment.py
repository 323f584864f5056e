"""The experiment: the one file to replace with yours.

`dvc repro` calls these functions and does everything else: it merges the data, runs sweeps,
records every run, and promotes the best model. This sample classifies handwritten digits with a
scaled logistic regression.

Data: Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI Machine Learning
Repository (1998), https://doi.org/10.24432/C50P49, licence CC BY 4.0, as shipped with scikit-learn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

TARGET = "label"
ID = "id"


def load_data(path: Path) -> pd.DataFrame:
    """Read a data set: one row per image, `id`, `label` (0 to 9) and 64 pixels (0 to 16)."""
    return pd.read_parquet(path)


def fit(train: pd.DataFrame, params: dict[str, Any]) -> Pipeline:
    """Train a model.

    Args:
        train: what `load_data` returned for data/train.parquet.
        params: the section `model` of params.yaml, with one point of the sweep in place.

    Raises:
        ValueError: `model.name` is not known here.
    """
    if params["name"] != "logistic_regression":
        raise ValueError(
            f"model.name {params['name']!r} is not known; experiment.py knows: logistic_regression"
        )
    classifier = LogisticRegression(C=params["C"], max_iter=params["max_iter"])
    return make_pipeline(StandardScaler(), classifier).fit(_features(train), train[TARGET])


def evaluate(model: Pipeline, test: pd.DataFrame) -> tuple[dict[str, float], pd.DataFrame]:
    """Measure a model.

    Args:
        model: what `fit` or `load_model` returned.
        test: what `load_data` returned for data/test.parquet.

    Returns:
        metrics by name, and one row per test item. Columns `actual` and `predicted` are plotted;
        any others are kept.
    """
    probabilities = model.predict_proba(_features(test))
    predicted = model.classes_[probabilities.argmax(axis=1)]
    predictions = pd.DataFrame(
        {
            "item_id": test[ID].to_numpy(),
            "actual": test[TARGET].to_numpy(),
            "predicted": predicted,
            "confidence": probabilities.max(axis=1),
        }
    )
    metrics = score(predictions)
    metrics["log_loss"] = log_loss(test[TARGET], probabilities, labels=model.classes_)
    return metrics, predictions


def score(predictions: pd.DataFrame) -> dict[str, float]:
    """Compute the metrics that follow from predictions: the gate does it for many draws of them."""
    actual = predictions["actual"].to_numpy()
    predicted = predictions["predicted"].to_numpy()
    return {
        "f1_score": f1_score(actual, predicted, average="macro"),
        "accuracy": accuracy_score(actual, predicted),
    }


def save_model(model: Pipeline, path: Path) -> None:
    """Write a model to a file; loading a file of skops runs no code, unlike a pickle."""
    skops.io.dump(model, path)


def load_model(path: Path) -> Pipeline:
    """Read a model back. A file that needs types beyond scikit-learn's own is refused by skops."""
    return skops.io.load(path)


def _features(data: pd.DataFrame) -> pd.DataFrame:
    return data.drop(columns=[ID, TARGET])
