"""The user's own code in benchmarks/pipeline.py: a cheap classifier of ten measurements, the same on both sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import pandas as pd
from sklearn.metrics import accuracy_score, f1_score
from sklearn.naive_bayes import GaussianNB


def load_data(path: Path) -> pd.DataFrame:
    """Read `id`, `label` and ten measurements."""
    return pd.read_parquet(path)


def fit(train: pd.DataFrame, params: dict[str, Any]) -> GaussianNB:
    """Fit one Gaussian for each class."""
    return GaussianNB(var_smoothing=params["var_smoothing"]).fit(features(train), train["label"])


def evaluate(model: GaussianNB, test: pd.DataFrame) -> tuple[dict[str, float], pd.DataFrame]:
    """Measure the model; one row of predictions for each test item."""
    probabilities = model.predict_proba(features(test))
    predicted = model.classes_[probabilities.argmax(axis=1)]
    metrics = {
        "f1_score": float(f1_score(test["label"], predicted, average="macro")),
        "accuracy": float(accuracy_score(test["label"], predicted)),
    }
    predictions = {
        "item_id": test["id"].to_numpy(),
        "actual": test["label"].to_numpy(),
        "predicted": predicted,
        "confidence": probabilities.max(axis=1),
    }
    return metrics, pd.DataFrame(predictions)


def save_model(model: GaussianNB, path: Path) -> None:
    """Write the model."""
    joblib.dump(model, path)


def load_model(path: Path) -> GaussianNB:
    """Read the model back."""
    return joblib.load(path)


def features(data: pd.DataFrame) -> pd.DataFrame:
    """The measurements."""
    return data.drop(columns=["id", "label"])
