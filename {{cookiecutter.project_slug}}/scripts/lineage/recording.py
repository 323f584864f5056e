"""Write one finished run to its own xetrack database."""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineage.databases import Column, Table, create_statement
from lineage.errors import BadInput, Refused
from lineage.sql import quote_all

if TYPE_CHECKING:
    import pandas as pd

METRICS, PREDICTIONS = "metrics", "predictions"
UNSYNCED = "PRAGMA synchronous = OFF"
TIMESTAMP_FORMAT = "%Y-%m-%d %H:%M:%S.%f"
KEY = ("track_id", "timestamp")
"""xetrack's primary key."""

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
Value = int | float | str | None
Cell = tuple[str, str, Value]
"""Name, declared type and value of one column of a row."""


@dataclass(frozen=True)
class Provenance:
    """What every row says about where it comes from. Hashes are md5, 32 hexadecimal digits; None: not known.

    Attributes:
        version: `eX.Y.Z` of the experiment.
        git_commit: HEAD when the run began.
        git_dirty: 1 when tracked files differed from it.
        data_hash: of the training data.
        dvc_hash: of `dvc.lock` when the run began.
    """

    version: str
    git_commit: str | None
    git_dirty: int | None
    data_hash: str | None
    dvc_hash: str | None

    def cells(self) -> list[Cell]:
        """The columns, as every row has them."""
        return [
            ("version", "TEXT", self.version),
            ("git_commit", "TEXT", self.git_commit),
            ("git_dirty", "INTEGER", self.git_dirty),
            ("data_hash", "TEXT", self.data_hash),
            ("dvc_hash", "TEXT", self.dvc_hash),
        ]


FACTS = {
    **dict.fromkeys(("status", "error", "run_hash", "test_hash", "model_hash"), "TEXT"),
    **{"seed": "INTEGER", "duration_seconds": "REAL", "python": "TEXT", "platform": "TEXT", "lock_hash": "TEXT"},
}
"""What `metrics` says about every run beside provenance, params and metrics, and the declared types.

`status` is `ok` or `failed`, `error` says why; `run_hash` stands for all that the run depends on (`sessions.plan_runs`);
`duration_seconds` is the time of the user's code; `lock_hash` is the md5 of `requirements.lock`.
"""

METRIC_ROW_COLUMNS = (*KEY, "version", "git_commit", "git_dirty", "data_hash", "dvc_hash", *FACTS)
"""Columns of `metrics` that are neither a param (those begin with `model_`) nor a metric."""


def write_run(
    path: Path,
    track_id: str,
    provenance: Provenance,
    cells: Sequence[Cell],
    metrics: Mapping[str, Any],
    predictions: pd.DataFrame | None,
) -> None:
    """Write a run's row of `metrics` (through xetrack) and its rows of `predictions`.

    The tables are created with declared types before the first value, since xetrack gives a column the type of the
    first value it sees. Predictions go in one transaction: xetrack looks the schema up once per text value.

    Args:
        path: a database that does not exist yet. It is not flushed to disk: the caller does that, once.
        track_id: unique id of the run.
        provenance: see there.
        cells: facts and params, from `fact_cells` and `param_cells`.
        metrics: name to number; NaN is stored as NULL. Empty when the run failed.
        predictions: one row per test item; None when the run failed.
    Raises:
        BadInput: a name cannot be a column, two names are one column, or a metric is not a number.
        Refused: fewer rows arrived than were written.
    """
    from xetrack import Tracker

    taken = [name for name in metrics if str(name).startswith("model_")]
    if taken:
        raise BadInput(f"metric {taken[0]!r} would look like a param (they begin with model_)", "rename it")
    columns = [*provenance.cells(), *cells]
    columns += [(str(name), "REAL", to_metric(name, value)) for name, value in metrics.items()]
    check_columns(METRICS, [*KEY, *(name for name, _, _ in columns)])
    expected = {METRICS: 1}
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(f"{UNSYNCED}; BEGIN")
        connection.execute(create_statement(_table(METRICS, [(name, kind) for name, kind, _ in columns])))
        if predictions is not None:
            kinds = [(name, kind) for name, kind, _ in provenance.cells()]
            kinds += [(str(name), _frame_type(predictions[name])) for name in predictions.columns]
            check_columns(PREDICTIONS, [*KEY, *(name for name, _ in kinds)])
            connection.execute(create_statement(_table(PREDICTIONS, kinds)))
            _insert_predictions(connection, track_id, provenance, predictions)
            expected[PREDICTIONS] = len(predictions)
        connection.execute("COMMIT")
    tracker = Tracker(db=str(path), engine="sqlite", table=METRICS, track_id=track_id, warnings=False)
    try:
        tracker.conn.execute(UNSYNCED)
        tracker.log({name: value for name, _, value in columns})
    finally:
        tracker.engine.close()
    _check_counts(path, expected)


def fact_cells(facts: Mapping[str, Value]) -> list[Cell]:
    """Turn facts about a run into all columns of `FACTS`; what is not known is NULL."""
    return [(name, kind, facts.get(name)) for name, kind in FACTS.items()]


def param_cells(runs: Sequence[Mapping[str, Any]]) -> list[list[Cell]]:
    """Turn the params of a session's runs into columns `model_…`, each with one declared type for all of them.

    A sweep over `[null, 3]` or `[0.5, auto]` would otherwise end in databases that cannot be merged.

    Args:
        runs: the params of each run; nested ones are flattened with `_`.
    Raises:
        BadInput: a name cannot be a column.
    """
    flat = [list(flatten("model", params)) for params in runs]
    kinds: dict[str, str] = {}
    for name, value in (pair for pairs in flat for pair in pairs):
        found = {kinds.get(name), None if value is None else _declared(value)}
        kinds[name] = next((kind for kind in ("TEXT", "REAL", "INTEGER") if kind in found), "")
    for pairs in flat:
        check_columns(METRICS, [*METRIC_ROW_COLUMNS, *(name for name, _ in pairs)])
    return [[(name, kinds[name] or "TEXT", value) for name, value in pairs] for pairs in flat]


def flatten(prefix: str, params: Mapping[str, Any]) -> Iterable[tuple[str, Value]]:
    """Yield `prefix_key` and a plain value for each param, nested mappings included."""
    for key, value in params.items():
        if isinstance(value, Mapping):
            yield from flatten(f"{prefix}_{key}", value)
        else:
            yield f"{prefix}_{key}", to_plain(value)


def to_plain(value: Any) -> Value:
    """Turn numpy scalars, paths, dates and containers into what SQLite stores; xetrack would pickle them."""
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        value = value.item()
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        return str(value)
    if value is None or isinstance(value, (int, float, str)):
        return value
    return value.isoformat() if isinstance(value, (date, datetime)) else str(value)


def to_metric(name: str, value: Any) -> float | None:
    """Turn a metric into a float; NaN becomes None.

    Raises:
        BadInput: not a number.
    """
    plain = to_plain(value)
    if plain is not None and not isinstance(plain, (int, float)):
        raise BadInput(f"metric {name!r} is {value!r}, not a number", "return numbers from evaluate() in experiment.py")
    return None if plain is None else float(plain)


def check_columns(table: str, names: Sequence[str]) -> None:
    """Check that xetrack and SQLite take the names as columns of `table`, each as a column of its own.

    Raises:
        BadInput: a name that they would change, refuse or confuse.
    """
    seen: dict[str, str] = {}
    for name in names:
        if not NAME.fullmatch(name) or table in name or not _is_free_word(name):
            raise BadInput(
                f"{name!r} cannot be a column of {table}",
                f"use letters, digits and _ (at most 64), no SQL keyword, and not the word {table!r}",
            )
        if name.lower() in seen:
            raise BadInput(f"{seen[name.lower()]!r} and {name!r} would be one column of {table}", "rename one of them")
        seen[name.lower()] = name


def _is_free_word(name: str) -> bool:
    """Ask SQLite whether it takes the name unquoted, as xetrack writes it."""
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute(f"CREATE TABLE t ({name} TEXT)")
        except sqlite3.OperationalError:
            return False
    return True


def _declared(value: Value) -> str:
    if isinstance(value, float):
        return "REAL"
    return "INTEGER" if isinstance(value, int) else "TEXT"


def _frame_type(column: pd.Series) -> str:
    return {"i": "INTEGER", "u": "INTEGER", "b": "INTEGER", "f": "REAL"}.get(column.dtype.kind, "TEXT")


def _table(name: str, columns: Sequence[tuple[str, str]]) -> Table:
    keys = [Column(key, "TEXT", place) for place, key in enumerate(KEY, start=1)]
    return Table(name, (*keys, *(Column(column, kind, 0) for column, kind in columns)))


def _insert_predictions(
    connection: sqlite3.Connection, track_id: str, provenance: Provenance, predictions: pd.DataFrame
) -> None:
    """Insert one row per test item; timestamps are one microsecond apart, since (track_id, timestamp) is the key."""
    shared = tuple(value for _, _, value in provenance.cells())
    names = [*KEY, *(name for name, _, _ in provenance.cells()), *map(str, predictions.columns)]
    began = datetime.now()
    columns = [[to_plain(value) for value in predictions[name].tolist()] for name in predictions.columns]
    rows = (
        (track_id, (began + timedelta(microseconds=place)).strftime(TIMESTAMP_FORMAT), *shared, *values)
        for place, values in enumerate(zip(*columns))
    )
    marks = ", ".join("?" * len(names))
    connection.executemany(f"INSERT INTO {PREDICTIONS} ({quote_all(names)}) VALUES ({marks})", rows)


def _check_counts(path: Path, expected: Mapping[str, int]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for table, rows in expected.items():
            found = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            if found != rows:
                raise Refused(f"{path.name}: {found} of {rows} rows arrived in table {table}")
