"""Read the runs of a results database, best first: what gate, plots and extras compare.

Runs are compared under equal conditions, and chosen on the validation side if there is one. Of
equal runs the earliest is chosen, so test data break no tie of the validation side.
"""

import json
import math
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lineage.core.code_hash import evaluate_hash
from lineage.core.errors import BadInput
from lineage.core.param_names import is_param
from lineage.core.paths import METRICS, TEST_DATA
from lineage.runs.run import choice_metric
from lineage.runs.run_database import METRIC_ROW_COLUMNS
from lineage.tables.sql import quote
from lineage.tables.sqlite_files import Table, describe_tables
from lineage.tables.sqlite_reading import open_read_only
from lineage.tracked.hashes import path_md5

Row = dict[str, Any]
"""A row of `metrics`: its columns by name."""

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
        BadInput: it does not exist, or has no table `metrics`.
    """
    with open_read_only(existing_database(database)) as connection:
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


def conditions_of(run: Row) -> str:
    """Say under which conditions a run was measured.

    Example: `test data 7ffe0c, evaluation code 8549af`, the first six digits of both hashes.
    """
    test = str(run.get("test_hash"))[:6]
    return f"test data {test}, evaluation code {str(run.get('evaluate_hash'))[:6]}"


def present_conditions(root: Path) -> Row:
    """Hash the test data and the evaluation code that lie in the project now.

    Returns:
        `test_hash` and `evaluate_hash`; nothing when one of them is missing or cannot be read.
    """
    with suppress(OSError, BadInput):
        return {"test_hash": path_md5(root / TEST_DATA), "evaluate_hash": evaluate_hash(root)}
    return {}


def choice_of(run: Row, metric: str) -> str:
    """Name the metric by which a run is chosen: `val_f1_score` if it has one, for `f1_score`."""
    return choice_metric({name for name in run if run[name] is not None}, metric)


def best_on_validation(runs: list[Row], metric: str) -> list[Row]:
    """Keep the best of runs that were validated alike; where none of them was, keep them all.

    Alike are runs of one version, on the same data, by the same evaluation code.

    Args:
        runs: rows of `metrics`, best first.
        metric: by which models are judged.
    """
    chosen = set()
    kept = []
    for run in runs:
        alike = (run["version"], run["data_hash"], conditions_of(run))
        if alike not in chosen:
            kept.append(run)
        if how_chosen(run, metric):
            chosen.add(alike)
    return kept


def how_chosen(run: Row, metric: str) -> str:
    """Say by what a run was chosen: `, chosen by val_f1_score 0.9512`; nothing if by the test."""
    name = choice_of(run, metric)
    return "" if name == metric else f", chosen by {name} {run[name]:.4f}"
