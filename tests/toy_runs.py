"""A small experiment whose runs take no time, and what its runs leave: rows, databases, predictions, models."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
from baked_projects import Project

from lineage.runs.run import unfinished_files

TOY = """
import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd


def load_data(path):
    return pd.read_parquet(path)


def fit(train, params):
    x = params["x"]
{body}
    return {{"params": params, "drawn": [random.random(), float(np.random.rand())], "order": list({{"a", "b", "c"}})}}


def evaluate(model, test):
    x = model["params"]["x"]
    metrics = {{"f1_score": 0.5, "drawn": model["drawn"][0]}}
{measure}
    return metrics, pd.DataFrame({{"item_id": test["id"], "actual": test["label"], "predicted": 0}})


def save_model(model, path):
    path.write_text(json.dumps(model, sort_keys=True))


def load_model(path):
    return json.loads(path.read_text())
"""


def toy(project: Project, body: str = "pass", measure: str = "pass", xs: list[Any] | None = None) -> Project:
    """Give the project a small experiment with one param, x: lines of `fit` and `evaluate`, and the xs to sweep over."""
    code = TOY.format(body=indent(body), measure=indent(measure))
    (project.path / "experiment.py").write_text(code, encoding="utf-8")
    project.set_param("model", {"x": 0})
    project.set_param("sweep.grid", {"model.x": xs} if xs else {})
    project.set_param("promote.strategy", "merge")  # the sample's model in production cannot be measured by this code
    return project


def indent(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def rows(database: Path, query: str = "SELECT * FROM metrics ORDER BY track_id") -> list[dict[str, Any]]:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute(query)]
    finally:
        connection.close()


def databases(project: Project, folder: str = "results/runs") -> list[Path]:
    """Those that are there; a run may end, and its folder go, while one looks."""
    walked = os.walk(project.path / folder)
    return sorted(Path(place, name) for place, _, names in walked for name in names if name.endswith(".db"))


def new_rows(project: Project, folder: str = "results/runs") -> list[dict[str, Any]]:
    """The rows of the runs that belong to the toy; the run that `trained` began with is no toy."""
    return [row for path in databases(project, folder) for row in rows(path) if "model_x" in row]


UNFINISHED = "results/unfinished"
"""Where runs are until all of the plan have ended, each in a folder of its own."""


def left_of(project: Project, row: dict[str, Any]) -> list[str]:
    """The files of a run that is not finished."""
    files = unfinished_files(project.path, row["run_hash"], row["track_id"])
    return sorted(path.name for path in files.folder.iterdir())


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def predictions(files: Path, select: str = "SELECT *", rest: str = "") -> list[dict[str, Any]]:
    """What a query finds in a file of predictions, or in all that a glob names."""
    with duckdb.connect() as connection:
        found = connection.execute(f"{select} FROM read_parquet(?, union_by_name=true) {rest}", [str(files)])
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def models(project: Project) -> dict[str, str]:
    found = {row["model_x"]: row["model_hash"] for row in new_rows(project)}
    for row in new_rows(project):
        assert md5(project.path / f"models/trained/{row['track_id']}_model.bin") == row["model_hash"]
    return found


def start(project: Project) -> subprocess.Popen[str]:
    """Start train.py in a session of its own."""
    return subprocess.Popen(
        ["python", "scripts/train.py"], cwd=project.path, env=project.environment, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )  # fmt: skip


def contents(project: Project, folder: str, track_ids: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Hashes of the database and the predictions of runs."""
    places = {path.stem: path for path in databases(project, folder)}
    return {track_id: (md5(places[track_id]), md5(places[track_id].with_suffix(".parquet"))) for track_id in track_ids}
