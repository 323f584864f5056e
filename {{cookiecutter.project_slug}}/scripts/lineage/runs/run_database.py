"""Write the database of a run, through xetrack: one row of the table `metrics`."""

import re
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from lineage.core.errors import BadInput, Refused
from lineage.core.param_names import Value, flatten, is_param, to_plain
from lineage.tables.sql import fold
from lineage.tracked.whole_file import write_whole

METRICS = "metrics"
PREDICTIONS = "predictions"
"""The table of predictions in databases from before they were parquet."""

KEY = ("track_id", "timestamp")
"""xetrack's primary key."""

NUMBERS = {"git_dirty": "INTEGER", "seed": "INTEGER", "duration_seconds": "REAL"}
"""Declared types of those facts that are not text."""

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
UNSYNCED = "PRAGMA synchronous = OFF"
"""The finished file is flushed to the disk once."""


class Cell(NamedTuple):
    """One column of a row: its name, its declared type in SQL, its value."""

    name: str
    type: str
    value: Value


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a row of `metrics` says beside params and metrics; None: not known.

    Hashes are md5, 32 hexadecimal digits.

    Attributes:
        version: `eX.Y.Z` of the experiment.
        git_commit: HEAD when the run began.
        git_dirty: 1 when tracked files differed from it.
        data_hash: of the training data.
        dvc_hash: of `dvc.lock` when the run began.
        status: `ok` or `failed`.
        error: why it failed.
        run_hash: stands for all that the run depends on (`run_plan.plan_runs`).
        test_hash: of the test data.
        model_hash: of the model file.
        predictions_hash: of the predictions file.
        seed: of `random` and `numpy.random`.
        duration_seconds: the time of the user's code.
        python: its version.
        platform: the operating system and the machine.
        lock_hash: of `requirements.lock`.
    """

    version: str
    git_commit: str | None = None
    git_dirty: int | None = None
    data_hash: str | None = None
    dvc_hash: str | None = None
    status: str = "ok"
    error: str | None = None
    run_hash: str | None = None
    test_hash: str | None = None
    model_hash: str | None = None
    predictions_hash: str | None = None
    seed: int = 0
    duration_seconds: float | None = None
    python: str | None = None
    platform: str | None = None
    lock_hash: str | None = None

    def cells(self) -> list[Cell]:
        """Return them as columns, in this order."""
        return [Cell(name, NUMBERS.get(name, "TEXT"), value) for name, value in vars(self).items()]


METRIC_ROW_COLUMNS = (*KEY, *(field.name for field in fields(Facts)))
"""Columns of `metrics` that are neither a param (those begin with `model_`) nor a metric."""


def write_run(
    path: Path,
    track_id: str,
    cells: list[Cell],
    metrics: Mapping[str, float | None],
) -> None:
    """Write the database of a run, whole or not at all.

    The table is created with declared types before the first value, since xetrack gives a column
    the type of the first value that it sees.

    Args:
        path: the file to make.
        track_id: unique id of the run.
        cells: facts and params.
        metrics: from `to_metrics`; empty when the run failed.

    Raises:
        BadInput: a name cannot be a column, or two names are one.
        Refused: the row did not arrive.
    """
    row = [*cells, *(Cell(name, "REAL", value) for name, value in metrics.items())]
    check_columns([*KEY, *(cell.name for cell in row)])

    def build(temporary: Path) -> bool:
        _write_row(temporary, track_id, row)
        return True

    write_whole(path, build, locked=False)


def _write_row(path: Path, track_id: str, row: list[Cell]) -> None:
    from xetrack import Tracker

    columns = ", ".join(f"{cell.name} {cell.type}" for cell in row)
    keys = "track_id TEXT, timestamp TEXT, PRIMARY KEY (track_id, timestamp)"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(UNSYNCED)
        connection.execute(f"CREATE TABLE metrics ({columns}, {keys})")
    tracker = Tracker(db=str(path), table=METRICS, track_id=track_id, warnings=False)
    with closing(tracker.engine):
        tracker.conn.execute(UNSYNCED)
        tracker.log({cell.name: cell.value for cell in row})
        if len(tracker) != 1:
            raise Refused(f"the row of run {track_id} did not arrive in table {METRICS}")


def to_cells(plan: list[dict[str, Any]]) -> list[list[Cell]]:
    """Turn the params of a plan's runs into columns `model_…`, each of one type in all of them.

    A sweep over `[null, 3]` or `[0.5, auto]` would otherwise end in databases that do not merge.

    Args:
        plan: the params of each run; nested ones are flattened with `_`.

    Raises:
        BadInput: a name cannot be a column.
    """
    rows = [list(flatten("model", params)) for params in plan]
    types: dict[str, set[type]] = {}
    for row in rows:
        check_columns([*METRIC_ROW_COLUMNS, *(name for name, _ in row)])
        for name, value in row:
            types.setdefault(name, set()).add(type(value))
    cells: list[list[Cell]] = []
    for row in rows:
        cells.append([Cell(name, _declared_type(types[name]), value) for name, value in row])
    return cells


def _declared_type(types: set[type]) -> str:
    """Choose the type that holds values of all these types: text, else floating point."""
    if str in types or types == {type(None)}:
        return "TEXT"
    return "REAL" if float in types else "INTEGER"


def to_metrics(measured: Mapping[Any, Any]) -> dict[str, float | None]:
    """Turn what `evaluate()` measured into numbers by name; NaN becomes None, as it is stored.

    Raises:
        BadInput: a value is not a number, or a name is like that of a param.
    """
    metrics: dict[str, float | None] = {}
    for name, value in measured.items():
        plain = to_plain(value)
        if isinstance(plain, str):
            problem = f"metric {name!r} is {value!r}, not a number"
            raise BadInput(problem, "return numbers from evaluate() in experiment.py")
        if is_param(str(name)):
            problem = f"metric {name!r} would look like a param (they begin with model_)"
            raise BadInput(problem, "rename it")
        metrics[str(name)] = None if plain is None else float(plain)
    return metrics


def check_columns(names: list[str]) -> None:
    """Check that xetrack and SQLite take the names as columns of `metrics`, each as its own.

    Raises:
        BadInput: a name that they would change, refuse or confuse.
    """
    for name in names:
        if not NAME.fullmatch(name) or METRICS in name or not _is_free_word(name):
            problem = f"{name!r} cannot be a column of {METRICS}"
            allowed = "letters, digits and _ (at most 64), no SQL keyword, and not the word"
            raise BadInput(problem, f"use {allowed} {METRICS!r}")
    check_distinct(METRICS, names)


def check_distinct(table: str, names: Iterable[str]) -> None:
    """Check that names differ in more than the case of their letters.

    Raises:
        BadInput: they would be one column of `table`.
    """
    seen: dict[str, str] = {}
    for name in names:
        if fold(name) in seen:
            problem = f"{seen[fold(name)]!r} and {name!r} would be one column of {table}"
            raise BadInput(problem, "rename one of them")
        seen[fold(name)] = name


@cache
def _is_free_word(name: str) -> bool:
    """Ask SQLite whether it takes the name unquoted, as xetrack writes it."""
    with closing(sqlite3.connect(":memory:")) as connection, suppress(sqlite3.OperationalError):
        connection.execute(f"CREATE TABLE t ({name} TEXT)")
        return True
    return False
