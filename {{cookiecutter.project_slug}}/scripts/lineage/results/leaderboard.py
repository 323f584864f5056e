"""The leaderboard: runs of a results database, best first."""

import json
import math
import re
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lineage.core import paths
from lineage.core.errors import BadInput
from lineage.core.listing import print_rows
from lineage.core.param_names import is_param
from lineage.core.params import read_params
from lineage.core.paths import METRICS
from lineage.results.conditions import condition_sql
from lineage.runs.run_database import METRIC_ROW_COLUMNS
from lineage.tables.sql import quote
from lineage.tables.sqlite_files import describe_tables, open_read_only

Row = dict[str, Any]
"""A row of `metrics`: its columns by name."""

LOSS = re.compile(
    r"(^|_)(\w*loss|error|err|r?mse|mae|mape|nll|perplexity|brier)(_|$)", re.IGNORECASE
)


def looks_like_loss(metric: str) -> bool:
    """Tell by its name whether less of a metric is better."""
    return LOSS.search(metric) is not None


def measured(value: Any) -> float | None:
    """Give the number that a metric is compared by; None for NULL, text, NaN and infinities."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def existing_database(database: Path) -> Path:
    """Return a results database; raise BadInput when it does not exist."""
    if not database.exists():
        raise BadInput(f"{database} does not exist", "dvc repro   # or, in a fresh clone: dvc pull")
    return database


def metric_names(database: Path) -> list[str]:
    """List the metrics that a database holds, in the order of its columns.

    Raises:
        BadInput: it has no table `metrics`.
    """
    with open_read_only(database) as connection:
        table = describe_tables(connection).get(METRICS)
    if table is None:
        raise BadInput(f"the database has no table {METRICS!r}")
    others = METRIC_ROW_COLUMNS
    return [name for name in table.column_names if name not in others and not is_param(name)]


def param_names(rows: Iterable[Row]) -> list[str]:
    """List the params that any of the rows names, sorted."""
    return sorted(filter(is_param, set().union(*rows)))


def best_runs(
    database: Path,
    metric: str,
    mode: str,
    *,
    track_ids: Sequence[str] | None = None,
    where: Sequence[str] = (),
    limit: int = -1,
) -> list[Row]:
    """Read runs, best first, the earlier one first on a tie, those without a number last.

    Args:
        database: a results database.
        metric: column to sort by.
        mode: `max` or `min`.
        track_ids: only these runs; None: all.
        where: conditions as in `model_C=1.0`, all of which hold.
        limit: at most so many runs; -1: all.

    Returns:
        rows of `metrics`.

    Raises:
        BadInput: no such metric or column, or a condition that cannot be.
    """
    names = metric_names(database)
    if metric not in names:
        listed = ", ".join(names) or "none"
        raise BadInput(f"metric {metric!r} is not in {database.name}; it has: {listed}")
    with open_read_only(database) as connection:
        table = describe_tables(connection)[METRICS]
        conditions = [condition_sql(condition, table) for condition in where]
        if track_ids is not None:
            conditions.append("track_id IN (SELECT value FROM json_each(:track_ids))")
        query = ranking_sql(" AND ".join(conditions) or "TRUE", metric, mode)
        values = {"track_ids": json.dumps(track_ids), "limit": limit}  # no more than 999 values
        connection.row_factory = sqlite3.Row
        return list(map(dict, connection.execute(query, values)))


def ranking_sql(condition: str, metric: str, mode: str) -> str:
    """Write the query for the rows of `metrics` that meet a condition, best first."""
    column = quote(metric)
    direction = "DESC" if mode == "max" else "ASC"
    return f"""
        SELECT *
        FROM metrics
        WHERE {condition}
        ORDER BY
            CASE
                WHEN typeof({column}) IN ('integer', 'real') AND abs({column}) < 9e999
                THEN {column}
            END {direction} NULLS LAST,
            timestamp,
            track_id
        LIMIT :limit
    """


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
    if database is None or metric is None or mode is None:  # with all three, no project is needed
        root = paths.find_root()
        promote = read_params(root / paths.PARAMS).promote
        database = database or root / paths.DATABASE
        metric = metric or promote.metric
        by_name = "min" if looks_like_loss(metric) else "max"
        mode = mode or (promote.mode if metric == promote.metric else by_name)
    metrics = metric_names(existing_database(database))
    rows = best_runs(database, metric, mode, where=where, limit=limit)
    names = ["version", "track_id", *param_names(rows), *metrics]
    print_rows(names, [list(map(row.get, names)) for row in rows], form)
