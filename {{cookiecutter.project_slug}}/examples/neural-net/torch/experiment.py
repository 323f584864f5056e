"""A small neural network in PyTorch: epochs, checkpoints, early stopping, learning curves.

`make example NAME=neural-net/torch` puts it in place of the project's experiment.

Data: Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI Machine Learning
Repository (1998), https://doi.org/10.24432/C50P49, licence CC BY 4.0, as shipped with scikit-learn.
"""

from __future__ import annotations

import copy
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import accuracy_score, f1_score, log_loss
from torch import nn

if TYPE_CHECKING:
    from lineage.extras.tracking.active_run import ActiveRun

TARGET = "label"
ID = "id"
CLASSES = np.arange(10)
BATCH = 64


class Network(nn.Sequential):
    """A network of one hidden layer: from 64 pixels (0…1) to the scores of ten classes."""

    def __init__(self, hidden: int) -> None:
        """Make a network with random weights; `hidden` units are between."""
        super().__init__(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, len(CLASSES)))
        self.hidden = hidden


@dataclass
class Best:
    """The best network so far, by its loss on the rows that are set aside."""

    epoch: int = 0
    loss: float = float("inf")
    weights: dict[str, torch.Tensor] = field(default_factory=dict)


def load_data(path: Path) -> pd.DataFrame:
    """Read a data set: one row per image, `id`, `label` (0 to 9) and 64 pixels (0 to 16)."""
    return pd.read_parquet(path)


def fit(train: pd.DataFrame, params: dict[str, Any], run: ActiveRun) -> Network:
    """Learn until the rows that are set aside have not got better for some epochs.

    A run that was killed goes on behind the last epoch of its checkpoint.

    Args:
        train: rows to learn from.
        params: `hidden` units, `rate` of learning, `epochs` at most, and `patience` in epochs.
        run: sets rows aside (`validation` in params.yaml), names the device, logs, and keeps the
            checkpoint.

    Raises:
        ValueError: no rows are set aside.
    """
    if run.validation is None:
        raise ValueError("early stopping needs rows: set validation.fraction in params.yaml")
    torch.set_num_threads(1)  # more of them take longer for a network as small as this one
    torch.manual_seed(run.seed)
    network = Network(params["hidden"]).to(run.device)
    optimizer = torch.optim.Adam(network.parameters(), lr=params["rate"])
    best = Best()
    begin = 0
    checkpoint = run.checkpoint / "state.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=run.device, weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        best = Best(**state["best"])
        begin = state["epoch"] + 1
    for epoch in range(begin, params["epochs"]):
        if epoch - best.epoch > params["patience"]:
            break
        torch.manual_seed(run.seed + epoch)  # the same order of rows, killed or not
        train_loss = _learn(network, optimizer, train, run.device)
        metrics, _ = evaluate(network, run.validation)
        loss = metrics["log_loss"]
        run.log(step=epoch, train_loss=train_loss, val_loss=loss, val_f1=metrics["f1_score"])
        if loss < best.loss:
            best = Best(epoch, loss, copy.deepcopy(network.state_dict()))
        state = {
            "epoch": epoch,
            "network": network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "best": vars(best),
        }
        part = checkpoint.with_suffix(".part")
        torch.save(state, part)
        part.replace(checkpoint)
    network.load_state_dict(best.weights)
    return network


def _learn(
    network: Network,
    optimizer: torch.optim.Optimizer,
    train: pd.DataFrame,
    device: str,
) -> float:
    """Go through the rows once, in a random order; return the mean loss."""
    pixels = _features(train).to(device)
    labels = torch.tensor(train[TARGET].to_numpy(np.int64), device=device)
    total = 0.0
    for rows in torch.randperm(len(train)).to(device).split(BATCH):
        loss = nn.functional.cross_entropy(network(pixels[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(rows)
    return total / len(train)


def evaluate(model: Network, test: pd.DataFrame) -> tuple[dict[str, float], pd.DataFrame]:
    """Measure a model on images that it has not seen."""
    device = next(model.parameters()).device
    with torch.no_grad():
        scores = model(_features(test).to(device)).double()
    probabilities = scores.softmax(dim=1).cpu().numpy()
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


def save_model(model: Network, path: Path) -> None:
    """Write the weights; equal models are equal bytes.

    It goes by way of memory, since `torch.save` would write the name of the file into the file.
    """
    file = io.BytesIO()
    torch.save({"hidden": model.hidden, "weights": model.cpu().state_dict()}, file)
    path.write_bytes(file.getvalue())


def load_model(path: Path) -> Network:
    """Read a model back; `weights_only` runs no code of the file."""
    saved = torch.load(path, weights_only=True)
    network = Network(saved["hidden"])
    network.load_state_dict(saved["weights"])
    return network


def _features(data: pd.DataFrame) -> torch.Tensor:
    """Scale the pixels of images, one a row, from 0…16 to 0…1."""
    pixels = data.drop(columns=[ID, TARGET]).to_numpy(np.float32) / 16
    return torch.from_numpy(pixels)
