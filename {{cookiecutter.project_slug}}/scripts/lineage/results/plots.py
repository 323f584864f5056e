"""The small files that DVC shows: metrics of the newest best run, and the data of its plots."""

import csv
import io
import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from lineage.core import paths
from lineage.core.console import say
from lineage.core.param_names import is_param
from lineage.core.version_numbers import version_key
from lineage.results.chosen_by import choice_of
from lineage.results.leaderboard import Row, best_runs, metric_names
from lineage.results.measured_under import conditions_of
from lineage.tables.engine import open_engine
from lineage.tables.parquet_files import scan
from lineage.tables.sql import quote
from lineage.tables.sqlite_files import open_read_only
from lineage.tracked.whole_file import write_text

CURVE_COLUMNS = ("track_id", "step", "name", "value")
CURVE_POINTS = 300
"""So many points of each learning curve are drawn."""

LOGGED_NAMES = """
    SELECT name
    FROM pragma_table_info('events')
    WHERE name NOT IN ('track_id', 'timestamp', 'step')
      AND EXISTS (SELECT 1 FROM pragma_table_info('events') WHERE name = 'step')
    ORDER BY name
"""
"""What runs logged; nothing in a table of others that only has the same name."""

CELL_COLUMNS = ("actual", "predicted", "count")
SWEEP_COLUMNS = ("track_id", "axis", "position", "value", "score")
Lines = Sequence[Sequence[Any]]
"""The lines of a CSV file, below its header."""


def write_reports(root: Path, track_ids: Sequence[str], metric: str, mode: str) -> None:
    """Write `results/metrics.json` and the plot data below `results/plots`.

    Args:
        root: the project's root.
        track_ids: the newest runs; the best of them is reported, or of all if they were replaced.
        metric: what “best” means.
        mode: `max` or `min`.

    Raises:
        BadInput: the database has no such metric.
    """
    database = root / paths.DATABASE
    metrics = metric_names(database)
    newest = best_runs(database, metric, mode, track_ids=track_ids)
    newest = newest or best_runs(database, metric, mode)
    best = newest[0]
    text = json.dumps({name: best[name] for name in metrics}, indent=2)
    write_text(root / paths.METRICS_FILE, text + "\n")

    plots = root / paths.PLOTS
    columns = ["version", *metrics]
    conditions = conditions_of(best)
    runs = best_runs(database, metric, mode, first=best)
    versions = {}
    for run in reversed(runs):
        if conditions_of(run) == conditions:
            versions[run["version"]] = list(map(run.get, columns))
    others = {run["version"] for run in runs} - versions.keys()
    if others:
        names = ", ".join(sorted(others, key=version_key))
        say(f"not in the plot of versions, since not measured on {conditions}: {names}")
    lines = [versions[version] for version in sorted(versions, key=version_key)]
    write_csv(plots / "versions.csv", columns, lines)
    write_csv(plots / "curves.csv", CURVE_COLUMNS, curve_points(database, track_ids))
    score = choice_of(best, metric)
    write_csv(plots / "sweep.csv", SWEEP_COLUMNS, sweep_lines(database, newest, metrics, score))
    write_csv(plots / "confusion.csv", CELL_COLUMNS, confusion_cells(root, best["track_id"]))


def sweep_lines(database: Path, runs: list[Row], metrics: list[str], score: str) -> Lines:
    """Make the lines of parallel coordinates: one for each run and axis.

    Args:
        database: a results database.
        runs: rows of its table `metrics`, in the order of the lines.
        metrics: names of metrics; each is an axis, after the params that differ between runs.
        score: the metric that colours the lines; a run without it has none.

    Returns:
        `SWEEP_COLUMNS` of each line. What a run has no value of is left out.
    """
    scored = [run for run in runs if run[score] is not None]
    track_ids = json.dumps([run["track_id"] for run in scored])
    lines: list[Sequence[Any]] = []
    with open_read_only(database) as connection:
        for axis in [*filter(is_param, runs[0]), *metrics]:
            values = {run[axis] for run in scored}
            if len(values) > 1 or not is_param(axis):
                bound = {"track_ids": track_ids, "axis": axis}
                lines += connection.execute(axis_sql(axis, score), bound).fetchall()
    return lines


def axis_sql(axis: str, score: str) -> str:
    """Write the query for the lines of one axis, on which positions go from 0 to 1.

    A metric has its place by its size, a param by its rank, since sweeps often go by factors of
    ten: 0.1, 1 and 10 are at 0, 0.5 and 1. An axis with one value has it at 0.5.
    """
    column = f"metrics.{quote(axis)}"
    place = f"dense_rank() OVER (ORDER BY {column})" if is_param(axis) else column
    return f"""
        WITH placed AS (
            SELECT
                run.key AS number,
                track_id,
                {place} AS place,
                {column} AS value,
                metrics.{quote(score)} AS score
            FROM json_each(:track_ids) AS run
            JOIN metrics ON track_id = run.value
            WHERE {column} IS NOT NULL
        )
        SELECT
            track_id,
            :axis AS axis,
            coalesce(
                1.0 * (place - min(place) OVER ()) / (max(place) OVER () - min(place) OVER ()),
                0.5
            ) AS position,
            value,
            score
        FROM placed
        ORDER BY number
    """


def curve_points(database: Path, track_ids: Sequence[str]) -> Lines:
    """Thin the learning curves of runs evenly; the first and the last point of each stay.

    Args:
        database: a results database.
        track_ids: the runs.

    Returns:
        `CURVE_COLUMNS` of each point; what was logged without a step is not among them.
    """
    lines: list[Sequence[Any]] = []
    with open_read_only(database) as connection:
        names = connection.execute(LOGGED_NAMES).fetchall()
        for (name,), track_id in product(names, track_ids):
            column = quote(name)
            statement = f"""
                SELECT track_id, step, ? AS name, {column} AS value
                FROM events
                WHERE track_id = ? AND step IS NOT NULL AND {column} IS NOT NULL
                ORDER BY timestamp
            """
            points = connection.execute(statement, (name, track_id)).fetchall()
            every = len(points) // CURVE_POINTS + 1
            lines += [*points[:-1:every], *points[-1:]]
    return lines


def confusion_cells(root: Path, track_id: str) -> Lines:
    """Count the test items of a run by what they are and what it predicted, ordered by both.

    The predictions themselves are kept once, in the run's own file: a copy of them in the data of a
    plot would nearly double what each version costs.

    Args:
        root: the project's root.
        track_id: the run.

    Returns:
        `CELL_COLUMNS` of each pair that there is; nothing where the run did not say so.
    """
    file = root / paths.PREDICTIONS / f"{track_id}.parquet"
    if not file.is_file():  # a run that failed, or came without its predictions
        return []
    with open_engine() as engine:
        described = engine.execute(f"DESCRIBE SELECT * FROM {scan(file)}").fetchall()
        if not {"actual", "predicted"} <= {column[0] for column in described}:
            return []
        return engine.execute(f"""
            SELECT actual, predicted, count(*)
            FROM {scan(file)}
            GROUP BY ALL
            ORDER BY ALL
        """).fetchall()


def write_csv(path: Path, header: Sequence[str], lines: Lines) -> None:
    """Write a CSV file whole."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *lines])
    write_text(path, text.getvalue())
