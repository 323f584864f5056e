"""A small neural network: epochs, checkpoints, early stopping, learning curves.

`make example NAME=neural-net` puts it in place of the project's experiment. The same in PyTorch:
`make example NAME=neural-net/torch`.

Data: Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI Machine Learning
Repository (1998), https://doi.org/10.24432/C50P49, licence CC BY 4.0, as shipped with scikit-learn.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import skops.io
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.neural_network import MLPClassifier

if TYPE_CHECKING:
    from lineage.extras.tracking.active_run import ActiveRun

TARGET = "label"
ID = "id"
CLASSES = np.arange(10)
BATCH = 64
TRUSTED = ["sklearn.neural_network._stochastic_optimizers.AdamOptimizer"]
"""Part of a network that goes on learning; skops loads only what it knows or is told."""


def load_data(path: Path) -> pd.DataFrame:
    """Read a data set: one row per image, `id`, `label` (0 to 9) and 64 pixels (0 to 16)."""
    return pd.read_parquet(path)


def fit(train: pd.DataFrame, params: dict[str, Any], run: ActiveRun) -> MLPClassifier:
    """Learn until the rows that are set aside have not got better for some epochs.

    A run that was killed goes on behind the last epoch of its checkpoint.

    Args:
        train: rows to learn from.
        params: `hidden` units, `rate` of learning, `epochs` at most, and `patience` in epochs.
        run: sets rows aside (`validation` in params.yaml), logs, and keeps the checkpoint.

    Raises:
        ValueError: no rows are set aside.
    """
    if run.validation is None:
        raise ValueError("early stopping needs rows: set validation.fraction in params.yaml")
    network = MLPClassifier(
        hidden_layer_sizes=(params["hidden"],),
        learning_rate_init=params["rate"],
        batch_size=min(BATCH, len(train)),
        random_state=run.seed,
    )
    state = {"epoch": -1, "network": network, "best": network, "best_loss": np.inf, "best_epoch": 0}
    checkpoint = run.checkpoint / "state.skops"
    if checkpoint.exists():
        state = skops.io.load(checkpoint, trusted=TRUSTED)
    for epoch in range(state["epoch"] + 1, params["epochs"]):
        if epoch - state["best_epoch"] > params["patience"]:
            break
        state = _learn(state, epoch, train, run)
        part = checkpoint.with_suffix(".part")
        skops.io.dump(state, part)
        part.replace(checkpoint)
    return state["best"]


def _learn(
    state: dict[str, Any],
    epoch: int,
    train: pd.DataFrame,
    run: ActiveRun,
) -> dict[str, Any]:
    """Go through the rows once; keep a copy of the network where it is the best so far."""
    assert run.validation is not None
    network = state["network"].partial_fit(_features(train), train[TARGET], classes=CLASSES)
    metrics, _ = evaluate(network, run.validation)
    run.log(
        step=epoch,
        train_loss=network.loss_,
        val_loss=metrics["log_loss"],
        val_f1=metrics["f1_score"],
    )
    state = {**state, "epoch": epoch, "network": network}
    if metrics["log_loss"] < state["best_loss"]:
        best = copy.deepcopy(network)
        state |= {"best": best, "best_loss": metrics["log_loss"], "best_epoch": epoch}
    return state


def evaluate(model: MLPClassifier, test: pd.DataFrame) -> tuple[dict[str, float], pd.DataFrame]:
    """Measure a model on images that it has not seen."""
    probabilities = model.predict_proba(_features(test))
    predictions = pd.DataFrame(
        {
            "item_id": test[ID].to_numpy(),
            "actual": test[TARGET].to_numpy(),
            "predicted": CLASSES[probabilities.argmax(axis=1)],
            "confidence": probabilities.max(axis=1),
        }
    )
    metrics = score(predictions)
    metrics["log_loss"] = log_loss(test[TARGET], probabilities, labels=CLASSES)
    return metrics, predictions


def score(predictions: pd.DataFrame) -> dict[str, float]:
    """Compute the metrics that follow from predictions: the gate does it for many draws of them."""
    actual = predictions["actual"].to_numpy()
    predicted = predictions["predicted"].to_numpy()
    return {
        "f1_score": f1_score(actual, predicted, average="macro"),
        "accuracy": accuracy_score(actual, predicted),
    }


def save_model(model: MLPClassifier, path: Path) -> None:
    """Write a model to a file, without pickle."""
    skops.io.dump(model, path)


def load_model(path: Path) -> MLPClassifier:
    """Read a model back. A file that needs other types than those of a network is refused."""
    return skops.io.load(path, trusted=TRUSTED)


def _features(data: pd.DataFrame) -> np.ndarray:
    """Scale the pixels of images, one a row, from 0…16 to 0…1."""
    return data.drop(columns=[ID, TARGET]).to_numpy() / 16
