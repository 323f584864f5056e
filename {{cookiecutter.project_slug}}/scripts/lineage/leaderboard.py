"""Read runs back from the results database, best first. Nothing here writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
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


def best_runs(
    database: Path, metric: str, mode: str, *, track_ids: Sequence[str] | None = None, limit: int | None = None
) -> list[dict[str, Any]]:
    """Read rows of `metrics`, best first; runs without a value of the metric come last.

    Args:
        database: a results database.
        metric: column to sort by.
        mode: `max` or `min`.
        track_ids: only these runs; None: all.
        limit: at most so many rows.
    Raises:
        BadInput: no such metric.
    """
    with open_read_only(database) as connection:
        names = _metric_names(connection)
        if metric not in names:
            raise BadInput(f"metric {metric!r} is not in {database.name}; it has: {', '.join(names) or 'none'}")
        connection.row_factory = sqlite3.Row
        direction = "DESC" if mode == "max" else "ASC"
        cursor = connection.execute(
            f"SELECT * FROM {quote(METRICS)} ORDER BY {quote(metric)} IS NULL, {quote(metric)} {direction},"
            " timestamp, track_id"
        )
        wanted = None if track_ids is None else set(track_ids)
        rows = [dict(row) for row in cursor if wanted is None or row["track_id"] in wanted]
    return rows[:limit]
