"""Write one finished run to its own xetrack database."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineage.core.errors import BadInput, Refused
from lineage.core.param_names import Value, flatten, to_plain
from lineage.tables.sqlite_files import Column, Table, count_rows, create_statement

if TYPE_CHECKING:
    import pandas as pd

METRICS, PREDICTIONS = "metrics", "predictions"
UNSYNCED = "PRAGMA synchronous = OFF"
DECLARED: dict[type, str] = {int: "INTEGER", float: "REAL", str: "TEXT"}
DTYPES = {"i": "INTEGER", "u": "INTEGER", "b": "INTEGER", "f": "REAL"}
"""Declared types by the kind of a numpy dtype; others become text."""

KEY = ("track_id", "timestamp")
"""xetrack's primary key."""

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
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
            (name, "INTEGER" if name == "git_dirty" else "TEXT", value)
            for name, value in asdict(self).items()
        ]


FACTS = {
    **dict.fromkeys(("status", "error", "run_hash", "test_hash", "model_hash"), "TEXT"),
    **{
        "seed": "INTEGER",
        "duration_seconds": "REAL",
        "python": "TEXT",
        "platform": "TEXT",
        "lock_hash": "TEXT",
    },
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

    if taken := [name for name in metrics if str(name).startswith("model_")]:
        raise BadInput(
            f"metric {taken[0]!r} would look like a param (they begin with model_)", "rename it"
        )
    columns = [*provenance.cells(), *cells]
    columns += [(str(name), "REAL", to_metric(name, value)) for name, value in metrics.items()]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(f"{UNSYNCED}; BEGIN")
        _create_table(connection, METRICS, [(name, kind) for name, kind, _ in columns])
        if predictions is not None:
            kinds = [(name, kind) for name, kind, _ in provenance.cells()]
            kinds += [
                (str(name), DTYPES.get(predictions[name].dtype.kind, "TEXT"))
                for name in predictions.columns
            ]
            _create_table(connection, PREDICTIONS, kinds)
            insert = f"INSERT INTO {PREDICTIONS} VALUES ({', '.join('?' * len([*KEY, *kinds]))})"
            connection.executemany(insert, _prediction_rows(track_id, provenance, predictions))
        connection.execute("COMMIT")
    tracker = Tracker(
        db=str(path), engine="sqlite", table=METRICS, track_id=track_id, warnings=False
    )
    with closing(tracker.engine):
        tracker.conn.execute(UNSYNCED)
        tracker.log({name: value for name, _, value in columns})
    _check_counts(
        path, {METRICS: 1} if predictions is None else {METRICS: 1, PREDICTIONS: len(predictions)}
    )


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
        found = {kinds.get(name), DECLARED.get(type(value))}
        kinds[name] = next((kind for kind in ("TEXT", "REAL", "INTEGER") if kind in found), "")
    for pairs in flat:
        check_columns(METRICS, [*METRIC_ROW_COLUMNS, *(name for name, _ in pairs)])
    return [[(name, kinds[name] or "TEXT", value) for name, value in pairs] for pairs in flat]


def to_metric(name: str, value: Any) -> float | None:
    """Turn a metric into a float; NaN becomes None.

    Raises:
        BadInput: not a number.
    """
    if isinstance(plain := to_plain(value), str):
        raise BadInput(
            f"metric {name!r} is {value!r}, not a number",
            "return numbers from evaluate() in experiment.py",
        )
    return None if plain is None else float(plain)


def check_columns(table: str, names: Sequence[str]) -> None:
    """Check that xetrack and SQLite take the names as columns of `table`, each as a column of its own.

    Raises:
        BadInput: a name that they would change, refuse or confuse.
    """
    seen: dict[str, str] = {}
    for name in names:
        if not NAME.fullmatch(name) or table in name or not _is_free_word(name):
            remedy = f"use letters, digits and _ (at most 64), no SQL keyword, and not the word {table!r}"
            raise BadInput(f"{name!r} cannot be a column of {table}", remedy)
        if name.lower() in seen:
            raise BadInput(
                f"{seen[name.lower()]!r} and {name!r} would be one column of {table}",
                "rename one of them",
            )
        seen[name.lower()] = name


def _is_free_word(name: str) -> bool:
    """Ask SQLite whether it takes the name unquoted, as xetrack writes it."""
    with closing(sqlite3.connect(":memory:")) as connection, suppress(sqlite3.OperationalError):
        connection.execute(f"CREATE TABLE t ({name} TEXT)")
        return True
    return False


def _create_table(
    connection: sqlite3.Connection, table: str, columns: Sequence[tuple[str, str]]
) -> None:
    """Create a table of xetrack's key and the columns (name, declared type), whose names are checked."""
    check_columns(table, [*KEY, *(name for name, _ in columns)])
    keys = [Column(key, "TEXT", place) for place, key in enumerate(KEY, start=1)]
    connection.execute(
        create_statement(Table(table, (*keys, *(Column(name, kind, 0) for name, kind in columns))))
    )


def _prediction_rows(
    track_id: str, provenance: Provenance, predictions: pd.DataFrame
) -> Iterator[tuple[Value, ...]]:
    """Yield one row per test item; timestamps are one microsecond apart, since (track_id, timestamp) is the key."""
    shared, began = [value for _, _, value in provenance.cells()], datetime.now()
    columns = [
        [to_plain(value) for value in predictions[name].tolist()] for name in predictions.columns
    ]
    for place, values in enumerate(zip(*columns)):
        yield (
            track_id,
            (began + timedelta(microseconds=place)).strftime("%Y-%m-%d %H:%M:%S.%f"),
            *shared,
            *values,
        )


def _check_counts(path: Path, expected: Mapping[str, int]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for table, rows in expected.items():
            if (found := count_rows(connection, table)) != rows:
                raise Refused(f"{path.name}: {found} of {rows} rows arrived in table {table}")
