"""What one writes without the template: pandas and sqlite3, one script, no record of what has been merged.

Merges the batches into the training data, fits, evaluates, appends metrics and predictions, keeps the best model. Prints
the seconds of the user's own code (experiment.py).
"""

from __future__ import annotations

import shutil
import sqlite3
import time
import uuid
from pathlib import Path

import pandas as pd

TRAIN, TEST = Path("data/train.parquet"), Path("data/test.parquet")
BATCHES = Path("data/incoming")
DATABASE = Path("results/experiments.db")
PRODUCTION = Path("models/production.bin")


def merge_batches() -> None:
    """Append the rows whose id is new."""
    paths = [TRAIN] if TRAIN.exists() else []
    frames = [pd.read_parquet(path) for path in [*paths, *sorted(BATCHES.glob("*.parquet"))]]
    pd.concat(frames).drop_duplicates("id").to_parquet(TRAIN, compression="zstd", index=False)


def append_results(run: str, metrics: dict[str, float], predictions: pd.DataFrame) -> None:
    """Append one row of metrics, and one row for each test item."""
    moment = pd.Timestamp.now().isoformat()
    with sqlite3.connect(DATABASE) as connection:
        row = pd.DataFrame([{"track_id": run, "timestamp": moment, **metrics}])
        row.to_sql("metrics", connection, if_exists="append", index=False)
        rows = predictions.assign(track_id=run, timestamp=moment)
        rows.to_sql("predictions", connection, if_exists="append", index=False)


def keep_best(run: str, model: Path) -> None:
    """Put the model into production if its run is the best so far."""
    with sqlite3.connect(DATABASE) as connection:
        query = "SELECT track_id FROM metrics ORDER BY f1_score DESC LIMIT 1"
        if connection.execute(query).fetchone() == (run,):
            shutil.copyfile(model, PRODUCTION)


def main() -> None:
    """Do everything once."""
    merge_batches()
    began = time.perf_counter()
    import experiment

    train = experiment.load_data(TRAIN)
    test = experiment.load_data(TEST)
    model = experiment.fit(train, {"var_smoothing": 1e-9})
    metrics, predictions = experiment.evaluate(model, test)
    run = uuid.uuid4().hex
    path = Path("models") / f"{run}.bin"
    experiment.save_model(model, path)
    own = time.perf_counter() - began
    append_results(run, metrics, predictions)
    keep_best(run, path)
    print(own)


if __name__ == "__main__":
    main()
