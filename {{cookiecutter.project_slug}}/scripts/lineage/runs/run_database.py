"""The database of a run: names and values checked and typed, then written through xetrack."""

import re
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import fields
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any

from lineage.core.errors import BadInput, Refused
from lineage.core.param_names import flatten, is_param, to_plain
from lineage.core.paths import METRICS
from lineage.runs.run import Facts, Metrics, Row, Run
from lineage.tables.sql import fold
from lineage.tracked.whole_file import written_whole

KEY = ("track_id", "timestamp")
"""xetrack's primary key."""

METRIC_ROW_COLUMNS = (*KEY, *(field.name for field in fields(Facts)))
"""Columns of `metrics` that are neither a param (those begin with `model_`) nor a metric."""

NUMBERS = {"git_dirty": "INTEGER", "seed": "INTEGER", "duration_seconds": "REAL"}
"""Declared types of those facts that are not text."""

DECLARED = {NoneType: "TEXT", int: "INTEGER", float: "REAL", str: "TEXT"}
"""Declared types of params; in a column of several types the last of them counts."""

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
UNSYNCED = "PRAGMA synchronous = OFF"
"""The finished file is flushed to the disk once."""


def write_run(
    path: Path, run: Run, metrics: Metrics, write_events: Callable[[Path], None] | None = None
) -> None:
    """Write the database of a run, whole or not at all.

    The tables are created with declared types before the first value, since xetrack gives a column
    the type of the first value that it sees.

    Args:
        path: the file to make.
        run: what its row says beside metrics.
        metrics: from `to_metrics`; empty when the run failed.
        write_events: writes what the run logged into a database; None: it logged nothing.

    Raises:
        BadInput: a name cannot be a column, or two names are one.
        Refused: the row did not arrive.
    """
    params = to_row(run.params)
    check_columns([*METRIC_ROW_COLUMNS, *params, *metrics])
    row = {**vars(run.facts), **params, **metrics}
    types = dict.fromkeys(row, "TEXT") | NUMBERS
    types |= {name: run.param_types[name] for name in params}
    types |= dict.fromkeys(metrics, "REAL")
    with written_whole(path) as new:
        create_table(new, METRICS, types)
        _log_row(new, run.track_id, row)
        if write_events:
            write_events(new)


def create_table(path: Path, table: str, types: dict[str, str]) -> None:
    """Create a table with xetrack's key, which comes after the columns of the declared types."""
    columns = [f"{name} {kind}" for name, kind in types.items()]
    statement = f"""
        CREATE TABLE {table} (
            {", ".join(columns)},
            track_id TEXT,
            timestamp TEXT,
            PRIMARY KEY (track_id, timestamp)
        )
    """
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(UNSYNCED)
        connection.execute(statement)


def _log_row(path: Path, track_id: str, row: Row) -> None:
    from xetrack import Tracker

    tracker = Tracker(db=str(path), table=METRICS, track_id=track_id, warnings=False)
    with closing(tracker.engine):
        tracker.conn.execute(UNSYNCED)
        tracker.log(row)
        if len(tracker) != 1:
            raise Refused(f"the row of run {track_id} did not arrive in table {METRICS}")


def to_row(params: Mapping[str, Any]) -> Row:
    """Turn params into columns `model_…`; nested ones are flattened with `_`.

    Raises:
        BadInput: a name cannot be a column.
    """
    columns = list(flatten("model", params))
    check_columns([*METRIC_ROW_COLUMNS, *(name for name, _ in columns)])
    return dict(columns)


def declare_types(rows: list[Row]) -> dict[str, str]:
    """Give each column one declared type in all rows of a plan, the widest that it needs.

    A sweep over `[null, 3]` or `[0.5, auto]` would otherwise end in databases that do not merge.
    """
    types: dict[str, str] = {}
    for kind, declared in DECLARED.items():
        for row in rows:
            for name, value in row.items():
                if type(value) is kind:
                    types[name] = declared
    return types


def to_metrics(
    measured: Mapping[Any, Any], remedy: str = "return numbers from evaluate() in experiment.py"
) -> Metrics:
    """Turn what `evaluate()` measured into numbers by name; NaN becomes None, as it is stored.

    Args:
        measured: values by name.
        remedy: what to do where one is not a number.

    Raises:
        BadInput: a value is not a number, or a name is like that of a param.
    """
    metrics: Metrics = {}
    for name, value in measured.items():
        plain = to_plain(value)
        if isinstance(plain, str):
            raise BadInput(f"metric {name!r} is {value!r}, not a number", remedy)
        if is_param(str(name)):
            raise BadInput(
                f"metric {name!r} would look like a param (they begin with model_)", "rename it"
            )
        metrics[str(name)] = None if plain is None else float(plain)
    return metrics


def check_columns(names: list[str], table: str = METRICS) -> None:
    """Check that xetrack and SQLite take the names as columns of a table, each as its own.

    Raises:
        BadInput: a name that they would change, refuse or confuse.
    """
    for name in names:
        is_plain = NAME.fullmatch(name) and table not in name
        if not is_plain or not _is_free_word(name):
            allowed = "letters, digits and _ (at most 64), no SQL keyword, and not the word"
            raise BadInput(f"{name!r} cannot be a column of {table}", f"use {allowed} {table!r}")
    check_distinct(table, names)


def check_distinct(table: str, names: list[str]) -> None:
    """Check that names differ in more than the case of their letters.

    Raises:
        BadInput: they would be one column of `table`.
    """
    seen: dict[str, str] = {}
    for name in names:
        if fold(name) in seen:
            raise BadInput(
                f"{seen[fold(name)]!r} and {name!r} would be one column of {table}",
                "rename one of them",
            )
        seen[fold(name)] = name


@cache
def _is_free_word(name: str) -> bool:
    """Ask SQLite whether it takes the name unquoted, as xetrack writes it."""
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute(f"CREATE TABLE t ({name} TEXT)")
        except sqlite3.OperationalError:
            return False
    return True
