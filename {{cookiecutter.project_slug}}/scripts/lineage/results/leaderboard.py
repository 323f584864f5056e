"""The leaderboard: runs of a results database, best first."""

import json
import math
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lineage.core.errors import BadInput
from lineage.core.param_names import is_param
from lineage.core.paths import METRICS
from lineage.results.chosen_by import Row
from lineage.runs.run import choice_metric
from lineage.runs.run_database import METRIC_ROW_COLUMNS
from lineage.tables.sql import quote
from lineage.tables.sqlite_files import Table, describe_tables
from lineage.tables.sqlite_reading import open_read_only

NUMBER = """
CASE WHEN typeof({0}) IN ('integer', 'real') AND abs({0}) < 9e999 THEN {0} END
"""
"""The number that a metric is compared by, as `measured` has it."""

ONLY_THESE = "(:track_ids = 'null' OR track_id IN (SELECT value FROM json_each(:track_ids)))"
"""The condition that a run is asked for by its id, or that none is."""

ANY_CONDITIONS = {"test_hash": "", "evaluate_hash": ""}
"""What a run is measured on, by which no run is."""


def measured(value: Any) -> float | None:
    """Give the number that a metric is compared by; None for NULL, text, NaN and infinities."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


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
    return [
        name for name in table.column_names if name not in METRIC_ROW_COLUMNS and not is_param(name)
    ]


def best_runs(  # noqa: PLR0913 — what to read, and how to order it
    database: Path,
    metric: str,
    mode: str,
    *,
    track_ids: Sequence[str] | None = None,
    where: str = "TRUE",
    first: Row = ANY_CONDITIONS,
    validated: bool = True,
) -> list[Row]:
    """Read runs, best first, the earlier one first on a tie, those without a number last.

    Runs with a validation side are ranked by it, before those that have none. Only runs on the same
    test data and by the same evaluation code are ranked: those under the conditions of `first`, or
    of the newest run. All others follow.

    Args:
        database: a results database.
        metric: column by which models are judged.
        mode: `max` or `min`.
        track_ids: only these runs; None: all.
        where: the condition of the rows, in SQLite's words.
        first: a row with the conditions under which runs are ranked, if there are such runs.
        validated: whether the validation side counts before the metric itself.

    Returns:
        rows of `metrics`.

    Raises:
        BadInput: no such metric, or no such column.
    """
    names = metric_names(database)
    if metric not in names:
        listed = ", ".join(names) or "none"
        raise BadInput(f"metric {metric!r} is not in {database.name}; it has: {listed}")
    with open_read_only(database) as connection:
        table = describe_tables(connection)[METRICS]
        choice = choice_metric(names, metric) if validated else metric
        query = ranking_sql(table, f"{ONLY_THESE} AND {where}", choice, metric, mode)
        values = {"track_ids": json.dumps(track_ids), **ANY_CONDITIONS, **first}
        connection.row_factory = sqlite3.Row
        return list(map(dict, connection.execute(query, values)))


def ranking_sql(table: Table, condition: str, choice: str, metric: str, mode: str) -> str:
    """Write the query for the rows of `metrics` that meet a condition, best first.

    Runs under the conditions `:test_hash` and `:evaluate_hash` come first or, where there are none,
    those under the conditions of the newest run with a number. Best is who is best by `choice`;
    runs without a number of it follow, by `metric`.
    """
    first = NUMBER.format(quote(choice))
    second = NUMBER.format(quote(metric))
    direction = "DESC" if mode == "max" else "ASC"
    known = [name if name in table.column_names else "NULL" for name in ANY_CONDITIONS]
    conditions = ", ".join(known)
    return f"""
        WITH ranked (ranked_test, ranked_evaluate) AS (
            SELECT {conditions}
            FROM metrics
            WHERE {condition}
            ORDER BY
                ({conditions}) IS (:test_hash, :evaluate_hash) DESC,
                {second} IS NULL,
                timestamp DESC
            LIMIT 1
        )
        SELECT metrics.*
        FROM metrics, ranked
        WHERE {condition}
        ORDER BY
            ({conditions}) IS (ranked_test, ranked_evaluate) DESC,
            {conditions},
            {first} {direction} NULLS LAST,
            CASE WHEN {first} IS NULL THEN {second} END {direction} NULLS LAST,
            timestamp,
            track_id
    """
