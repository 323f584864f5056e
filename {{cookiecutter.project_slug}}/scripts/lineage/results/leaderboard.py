"""Read runs back from the results database, best first. Nothing here writes."""

import difflib
import json
import math
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lineage.core import paths
from lineage.core.errors import BadInput
from lineage.core.listing import print_rows
from lineage.core.params import read_params
from lineage.runs.run_database import METRIC_ROW_COLUMNS, METRICS
from lineage.tables.sql import quote
from lineage.tables.sqlite_files import Table, affinity, describe_tables, open_read_only

Row = dict[str, Any]
"""A row of `metrics`: its columns by name."""

CONDITION = re.compile(r"([\w.]+)\s*(!=|<=|>=|=|<|>)\s*(.*)", re.DOTALL)
NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
LOSS = re.compile(
    r"(^|_)(\w*loss|error|err|r?mse|mae|mape|nll|perplexity|brier)(_|$)", re.IGNORECASE
)


def looks_like_loss(metric: str) -> bool:
    """Tell by its name whether less of a metric is better."""
    return LOSS.search(metric) is not None


def _conditions(table: Table, where: Sequence[str]) -> tuple[str, list[str]]:
    """Turn `model.C>=0.5` into SQL and its values, which are bound; raises BadInput as `best_runs`."""
    kinds = {column.name: affinity(column.type) for column in table.columns}
    parts, values = ["1"], []
    for text in where:
        if (found := CONDITION.fullmatch(text)) is None:
            raise BadInput(
                f"{text!r} is not a condition",
                "write it as in --where model_C=1.0 --where 'f1_score>=0.9'",
            )
        name, operator, value = found[1].replace(".", "_"), found[2], found[3]
        if name not in kinds:
            near = difflib.get_close_matches(name, kinds, 3, 0.4) or list(kinds)
            raise BadInput(f"{name!r} is not a column of {table.name}; it has: {', '.join(near)}")
        if value == "NULL" and operator in ("=", "!="):
            parts.append(f"{quote(name)} IS {'NOT ' if operator == '!=' else ''}NULL")
            continue
        if kinds[name] == "number" and not re.fullmatch(NUMBER, value):
            raise BadInput(f"{text!r}: {name} holds numbers, and {value!r} is none")
        if kinds[name] == "text" and operator not in ("=", "!="):
            raise BadInput(f"{text!r}: {name} holds text, which can be = or != only")
        cast = (
            f"CAST(? AS {'NUMERIC' if re.fullmatch(NUMBER, value) else 'TEXT'})"
            if kinds[name] == "any"
            else "?"
        )
        parts.append(f"{quote(name)} {operator} {cast}")
        values.append(value)
    return " AND ".join(parts), values


def metric_names(database: Path) -> list[str]:
    """Names of the metrics that the database holds, in the order of its columns."""
    with open_read_only(database) as connection:
        table = describe_tables(connection).get(METRICS)
    if table is None:
        raise BadInput(f"the database has no table {METRICS!r}")
    return [
        name
        for name in table.column_names
        if name not in METRIC_ROW_COLUMNS and not name.startswith("model_")
    ]


def measured(value: Any) -> float | None:
    """The number that a metric's value is compared by; None for NULL, text, NaN and infinities."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def best_runs(
    database: Path,
    metric: str,
    mode: str,
    *,
    track_ids: Sequence[str] | None = None,
    where: Sequence[str] = (),
    limit: int | None = None,
) -> list[Row]:
    """Read rows of `metrics`, best first, the earlier run first on a tie; runs without a number to compare come last.

    Args:
        database: a results database.
        metric: column to sort by.
        mode: `max` or `min`.
        track_ids: only these runs; None: all.
        limit: at most so many rows.
        where: conditions as in `model_C=1.0`, all of which hold; `NULL` stands for NULL.
    Raises:
        BadInput: no such metric or column, or a condition that cannot be.
    """
    if metric not in (names := metric_names(database)):
        raise BadInput(
            f"metric {metric!r} is not in {database.name}; it has: {', '.join(names) or 'none'}"
        )
    with open_read_only(database) as connection:
        condition, values = _conditions(describe_tables(connection)[METRICS], where)
        if track_ids is not None:  # as one value: a database may take no more than 999
            condition += " AND track_id IN (SELECT value FROM json_each(?))"
            values.append(json.dumps(list(track_ids)))
        column, direction = quote(metric), "DESC" if mode == "max" else "ASC"
        number = f"(typeof({column}) IN ('integer', 'real') AND abs({column}) < 9e999)"
        connection.row_factory = sqlite3.Row
        order = (
            f"{number} DESC, CASE WHEN {number} THEN {column} END {direction}, timestamp, track_id"
        )
        query = f"SELECT * FROM {quote(METRICS)} WHERE {condition} ORDER BY {order} LIMIT ?"
        return [
            dict(row)
            for row in connection.execute(query, (*values, -1 if limit is None else limit))
        ]


def print_leaderboard(
    database: Path | None,
    metric: str | None,
    mode: str | None,
    limit: int,
    form: str,
    where: Sequence[str] = (),
) -> None:
    """Print the best runs of a results database.

    Args:
        database: None: the project's own.
        metric: what to sort by; None: `promote.metric`.
        mode: `max` or `min`; None: `promote.mode` for its metric, for another what its name says.
        limit: at most so many runs.
        form: table, json, csv or md.
        where: conditions, as in `best_runs`.
    Raises:
        BadInput: no database, no such metric or column.
    """
    if database is None or metric is None or mode is None:
        root = paths.find_root()
        promote = read_params(root / paths.PARAMS).promote
        database, metric = database or root / paths.DATABASE, metric or promote.metric
        by_name = "min" if looks_like_loss(metric) else "max"
        mode = mode or (promote.mode if metric == promote.metric else by_name)
    if not database.exists():
        raise BadInput(f"{database} does not exist", "dvc repro   # or, in a fresh clone: dvc pull")
    rows = best_runs(database, metric, mode, limit=limit, where=where)
    params = sorted(
        {name for row in rows for name in row if name.startswith("model_") and name != "model_hash"}
    )
    names = ["version", "track_id", *params, *metric_names(database)]
    print_rows(names, [[row.get(name) for name in names] for row in rows], form)
