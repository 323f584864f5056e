"""Inboxes, as the tests of them are: files that are dropped, records that are read from outside, commands that are typed."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from baked_projects import Project

MERGE = "--strategy merge --on-conflict fail --key-columns id"
REBASE = "--strategy rebase --on-conflict fail --key-columns id"
UNDO = "to take it back: "


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def merged_data(project: Project) -> list[list[Any]]:
    """What was merged into the training data, by pyarrow alone."""
    notes = pq.read_metadata(project.path / "data/train.parquet").metadata
    return json.loads(notes.get(b"lineage_sources", "[]"))


def merged_results(database: Path) -> list[tuple[Any, ...]]:
    """What was merged into a results database, by SQLite alone."""
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT md5, name, rows, rule FROM lineage_sources ORDER BY rowid").fetchall()


def labels(project: Project) -> dict[int, int]:
    frame = pd.read_parquet(project.path / "data/train.parquet")
    return dict(zip(frame["id"], frame["label"], strict=True))


def drop(project: Project, name: str, *, rows: int = 3, shift: int = 1) -> dict[int, int]:
    """Drop a batch with some rows of the first one and other labels; return those."""
    frame = pd.read_parquet(project.path / "data/test.parquet").head(rows)
    frame = frame.assign(id=range(rows), label=(frame["label"] + shift) % 10)
    (project.path / "data/incoming" / name).unlink(missing_ok=True)
    frame.to_parquet(project.path / "data/incoming" / name)
    return dict(zip(frame["id"], frame["label"], strict=True))


def command_in(printed: str, before: str) -> str:
    """The command of the last line that begins with some words."""
    lines = [line.strip() for line in printed.splitlines() if line.strip().startswith(before)]
    return lines[-1].removeprefix(before)


def type_it(project: Project, command: str) -> str:
    """Type a line into a shell."""
    done = project.run("bash", "-ec", command)
    return done.stdout + done.stderr


def edit(database: Path, statement: str) -> None:
    """Run a statement in a copy of a database that takes its place: never through a link to the cache."""
    content = database.read_bytes()
    database.unlink()
    database.write_bytes(content)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement)
