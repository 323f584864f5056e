"""Read runs back from the results database, best first. Nothing here writes."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lineage.databases import describe_tables, open_read_only
from lineage.errors import BadInput
from lineage.recording import METRIC_ROW_COLUMNS, METRICS
from lineage.sql import quote


def metric_names(database: Path) -> list[str]:
    """Names of the metrics that the database holds, in the order of its columns."""
    with open_read_only(database) as connection:
        return _metric_names(connection)


def _metric_names(connection: sqlite3.Connection) -> list[str]:
    table = describe_tables(connection).get(METRICS)
    if table is None:
        raise BadInput(f"the database has no table {METRICS!r}")
    return [name for name in table.column_names if name not in METRIC_ROW_COLUMNS and not name.startswith("model_")]


def measured(value: Any) -> float | None:
    """The number that a metric's value is compared by; None for NULL, text, NaN and infinities."""
    is_number = isinstance(value, (int, float)) and math.isfinite(value)
    return float(value) if is_number else None


def best_runs(
    database: Path,
    metric: str,
    mode: str,
    *,
    track_ids: Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Read rows of `metrics`, best first, the earlier run first on a tie; runs without a number to compare come last.

    Args:
        database: a results database.
        metric: column to sort by.
        mode: `max` or `min`.
        track_ids: only these runs; None: all.
        where: columns and the values that they must have.
        limit: at most so many rows.
    Raises:
        BadInput: no such metric.
    """
    with open_read_only(database) as connection:
        names = _metric_names(connection)
        if metric not in names:
            raise BadInput(f"metric {metric!r} is not in {database.name}; it has: {', '.join(names) or 'none'}")
        conditions, values = (
            [f"{quote(METRICS)}.{quote(name)} IS ?" for name in where or {}],
            list((where or {}).values()),
        )
        if track_ids is not None:  # as one value: a database may take no more than 999
            conditions.append("track_id IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(list(track_ids)))
        column, direction = quote(metric), "DESC" if mode == "max" else "ASC"
        number = f"(typeof({column}) IN ('integer', 'real') AND abs({column}) < 9e999)"
        connection.row_factory = sqlite3.Row
        cursor = connection.execute(
            f"SELECT * FROM {quote(METRICS)} WHERE {' AND '.join(conditions) or 'true'}"
            f" ORDER BY {number} DESC, CASE WHEN {number} THEN {column} END {direction}, timestamp, track_id LIMIT ?",
            (*values, -1 if limit is None else limit),
        )
        return [dict(row) for row in cursor]
