"""Gradient boosting with LightGBM: early stopping, learning curves, the model in its own format.

`make example NAME=boosting` puts it in place of the project's experiment.

Data: Breast Cancer Wisconsin (Diagnostic), W. Wolberg, O. Mangasarian, N. Street and W. Street, UCI
Machine Learning Repository (1993), https://doi.org/10.24432/C5DW2B, licence CC BY 4.0, as shipped
with scikit-learn.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, f1_score, log_loss, roc_auc_score

if TYPE_CHECKING:
    from lightgbm.callback import CallbackEnv

    from lineage.extras.tracking.active_run import ActiveRun

TARGET = "malignant"
ID = "id"


def load_data(path: Path) -> pd.DataFrame:
    """Read a data set: one row per tumour, `id`, `malignant` (0 or 1), thirty measurements."""
    return pd.read_parquet(path)


def fit(train: pd.DataFrame, params: dict[str, Any], run: ActiveRun) -> lgb.Booster:
    """Add trees until the rows that are set aside have not got better for some rounds.

    Args:
        train: rows to learn from.
        params: `rounds` and `patience` are counted in trees; all others are LightGBM's own.
        run: sets rows aside (`validation` in params.yaml), and logs the learning curves.

    Raises:
        ValueError: no rows are set aside.
    """
    if run.validation is None:
        raise ValueError("early stopping needs rows: set validation.fraction in params.yaml")
    known = {**params, "objective": "binary", "metric": "binary_logloss", "verbosity": -1}
    rounds = known.pop("rounds")
    patience = known.pop("patience")
    rows = lgb.Dataset(_features(train), train[TARGET])
    held_out = lgb.Dataset(_features(run.validation), run.validation[TARGET], reference=rows)

    def log_losses(round_: CallbackEnv) -> None:
        losses = {f"{name}_loss": loss for name, _, loss, *_ in round_.evaluation_result_list or []}
        run.log(step=round_.iteration, **losses)

    return lgb.train(
        known,
        rows,
        num_boost_round=rounds,
        valid_sets=[rows, held_out],
        valid_names=["train", "val"],
        callbacks=[lgb.early_stopping(patience, verbose=False), log_losses],
    )


def evaluate(model: lgb.Booster, test: pd.DataFrame) -> tuple[dict[str, float], pd.DataFrame]:
    """Measure a model: `f1_score` of malignant tumours, and what does not depend on a threshold."""
    probability = np.asarray(model.predict(_features(test)))
    predictions = pd.DataFrame(
        {
            "item_id": test[ID].to_numpy(),
            "actual": test[TARGET].to_numpy(),
            "predicted": (probability > 0.5).astype(int),
            "probability": probability,
        }
    )
    metrics = score(predictions)
    metrics["log_loss"] = log_loss(test[TARGET], probability, labels=[0, 1])
    return metrics, predictions


def score(predictions: pd.DataFrame) -> dict[str, float]:
    """Compute the metrics that follow from predictions: the gate does it for many draws of them."""
    actual = predictions["actual"].to_numpy()
    predicted = predictions["predicted"].to_numpy()
    return {
        "f1_score": f1_score(actual, predicted, zero_division=0.0),
        "accuracy": accuracy_score(actual, predicted),
        "roc_auc": roc_auc_score(actual, predictions["probability"].to_numpy()),
    }


def save_model(model: lgb.Booster, path: Path) -> None:
    """Write the trees up to the best round as text, which any LightGBM reads."""
    model.save_model(path)


def load_model(path: Path) -> lgb.Booster:
    """Read a model back; nothing in it is run."""
    return lgb.Booster(model_file=path)


def _features(data: pd.DataFrame) -> pd.DataFrame:
    return data.drop(columns=[ID, TARGET])
