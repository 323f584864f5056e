"""The small files that DVC shows: metrics of the newest best run, and the data of its plots."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lineage.core import paths
from lineage.core.console import say
from lineage.core.param_names import is_param
from lineage.core.version_numbers import version_key
from lineage.results.leaderboard import Row, best_runs, choice_of, conditions_of, metric_names
from lineage.tables.engine import open_engine
from lineage.tables.parquet_files import scan
from lineage.tables.sql import quote
from lineage.tables.sqlite_reading import open_read_only
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
Lines = list[Sequence[Any]]
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
    write_text(
        root / paths.METRICS_FILE,
        json.dumps({name: best[name] for name in metrics}, indent=2) + "\n",
    )

    score = choice_of(best, metric)
    tables = {
        "versions": version_lines(best_runs(database, metric, mode, first=best), best, metrics),
        "curves": [CURVE_COLUMNS, *curve_points(database, track_ids)],
        "sweep": [SWEEP_COLUMNS, *sweep_lines(database, newest, metrics, score)],
        "confusion": [CELL_COLUMNS, *confusion_cells(root, best["track_id"])],
    }
    for name, lines in tables.items():
        table = io.StringIO()
        csv.writer(table, lineterminator="\n").writerows(lines)
        write_text(root / paths.PLOTS / f"{name}.csv", table.getvalue())


def version_lines(runs: list[Row], best: Row, metrics: list[str]) -> Lines:
    """List each version and the metrics of its best run, in the order of versions.

    Versions without a run that was measured as the best one was are left out, and named. Rows that
    name none, as those of another project may, are no version.

    Args:
        runs: rows of `metrics`, best first.
        best: the best of all.
        metrics: names of metrics.

    Returns:
        a header, and a line for each version.
    """
    best_of = {run["version"]: run for run in reversed(runs) if run["version"]}
    conditions = conditions_of(best)
    names = ("version", *metrics)
    lines: Lines = [names]
    others = []
    for version in sorted(best_of, key=version_key):
        run = best_of[version]
        if conditions_of(run) == conditions:
            lines.append(list(map(run.get, names)))
        else:
            others.append(version)
    if others:
        say(f"not in the plot of versions, since not measured on {conditions}: {', '.join(others)}")
    return lines


def sweep_lines(database: Path, runs: list[Row], metrics: Sequence[str], score: str) -> Lines:
    """Make the lines of parallel coordinates: one for each run and axis.

    Args:
        database: a results database.
        runs: rows of its table `metrics`, in the order of the lines.
        metrics: names of metrics; each is an axis, after the params that differ between runs.
        score: the metric that colours the lines; a run without it has none.

    Returns:
        `SWEEP_COLUMNS` of each line. What a run has no value of is left out.
    """
    track_ids = json.dumps([run["track_id"] for run in runs])
    lines: Lines = []
    with open_read_only(database) as connection:
        for axis in [*filter(is_param, runs[0]), *metrics]:
            bound = {"track_ids": track_ids, "axis": axis}
            lines += connection.execute(axis_sql(axis, score), bound).fetchall()
    return lines


def axis_sql(axis: str, score: str) -> str:
    """Write the query for the lines of one axis, on which positions go from 0 to 1.

    A metric has its place by its size, a param by its rank, since sweeps often go by factors of
    ten: 0.1, 1 and 10 are at 0, 0.5 and 1. An axis with one value has it at 0.5.
    """
    place = "dense_rank() OVER (ORDER BY value)" if is_param(axis) else "value"
    least = 2 if is_param(axis) else 0  # values of an axis
    return f"""
        WITH scored AS (
            SELECT
                run.key AS number,
                metrics.track_id,
                metrics.{quote(axis)} AS value,
                metrics.{quote(score)} AS score
            FROM json_each(:track_ids) AS run
            JOIN metrics ON metrics.track_id = run.value
            WHERE metrics.{quote(score)} IS NOT NULL
        ),
        placed AS (
            SELECT *, {place} AS place FROM scored WHERE value IS NOT NULL
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
        WHERE (SELECT count(DISTINCT value) + max(value IS NULL) FROM scored) >= {least}
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
    lines: Lines = []
    with open_read_only(database) as connection:
        for (name,) in connection.execute(LOGGED_NAMES):
            for track_id in track_ids:
                points = connection.execute(curve_sql(name), [name, track_id]).fetchall()
                each = len(points) // CURVE_POINTS + 1
                lines += [*points[:-1:each], *points[-1:]]
    return lines


def curve_sql(name: str) -> str:
    """Write the query for the points of what a run logged by a name."""
    return f"""
        SELECT track_id, step, ?, {quote(name)}
        FROM events
        WHERE track_id = ? AND step IS NOT NULL AND {quote(name)} IS NOT NULL
        ORDER BY timestamp
    """


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
        if not {"actual", "predicted"} <= set(engine.sql(f"FROM {scan(file)}").columns):
            return []
        return engine.execute(f"""
            SELECT actual, predicted, count(*)
            FROM {scan(file)}
            GROUP BY ALL
            ORDER BY ALL
        """).fetchall()
