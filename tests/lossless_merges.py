"""Merges of small tables and files in one line, for tests that look at every cell."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lineage.extras.merge_artifacts.databases import merge_databases
from lineage.merge.data import merge_data
from lineage.merge.plan import Plan
from lineage.merge.rules import Rules

Rows = Sequence[tuple[Any, ...]]


def database(path: Path, *statements: str, **rows: Rows) -> Path:
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
        for table, lines in rows.items():
            connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(lines[0]))})", lines)
    return path


def query(path: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def merge(base: Path | None, *sources: Path, strategy: str = "merge", **rules: Any) -> Plan:
    """Merge table `t` into `out.db` beside the first source."""
    out = sources[0].with_name("out.db")
    out.unlink(missing_ok=True)
    [plan] = merge_databases(base, sources, out, Rules(strategy, **rules))
    return plan


def parquet(path: Path, **columns: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def merge_files(base: Path, *sources: Path, keys: tuple[str, ...] = ("id",), strategy: str = "merge") -> list[Any]:
    out = sources[0].with_name("out.parquet")
    merge_data([base], sources, out, Rules(strategy, keys), "data")
    rows: list[Any] = pq.ParquetFile(out).read().to_pylist()
    return rows
