"""What a project holds after a run, read as a user would read it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import yaml
from baked_projects import Project


def md5(path: Path) -> str:
    """The md5 of a file, as DVC names it."""
    return hashlib.md5(path.read_bytes()).hexdigest()


def rows(project: Project, query: str) -> list[sqlite3.Row]:
    """The rows of a query over the results database."""
    with sqlite3.connect(f"file:{project.path}/results/experiments.db?mode=ro", uri=True) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute(query).fetchall()


def predictions(project: Project) -> list[dict[str, Any]]:
    """The predictions of all runs, one row for each test item of each run."""
    import duckdb

    files = f"{project.path}/results/predictions/*.parquet"
    found = duckdb.execute("FROM read_parquet(?, union_by_name = true)", [files])
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def recorded(project: Project, path: str) -> str:
    """The hash of an output in dvc.lock."""
    lock = yaml.safe_load((project.path / "dvc.lock").read_text("utf-8"))
    [found] = [out["md5"] for stage in lock["stages"].values() for out in stage["outs"] if out["path"] == path]
    return str(found)


def card(project: Project) -> dict[str, Any]:
    """The card of the model in production."""
    content: dict[str, Any] = json.loads((project.path / "models/production/model.json").read_text("utf-8"))
    return content


def newest_metrics(project: Project) -> dict[str, float]:
    """The metrics of the newest best run, as DVC shows them."""
    content: dict[str, float] = json.loads((project.path / "results/metrics.json").read_text("utf-8"))
    return content
