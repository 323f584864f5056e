"""The small files that DVC shows: metrics of the newest best run, and data for its plots."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lineage.core import paths
from lineage.core.version_numbers import version_key
from lineage.results.leaderboard import best_runs, metric_names
from lineage.runs.run_database import PREDICTIONS
from lineage.tables.sql import quote
from lineage.tables.sqlite_files import describe_tables, open_read_only
from lineage.tracked.whole_file import write_text

PLOTTED = ("actual", "predicted")
SWEEP_COLUMNS = ("track_id", "axis", "position", "value", "score")


def write_reports(root: Path, track_ids: Sequence[str], metric: str, mode: str) -> None:
    """Write `results/metrics.json` and the plot data below `results/plots`.

    Args:
        root: the project's root.
        track_ids: the newest runs; the best of them is reported.
        metric: what "best" means.
        mode: `max` or `min`.
    Raises:
        BadInput: the database has no such metric.
    """
    database = root / paths.DATABASE
    names = metric_names(database)
    best = best_runs(database, metric, mode, track_ids=track_ids)[0]
    write_text(
        root / paths.METRICS_FILE, json.dumps({name: best[name] for name in names}, indent=2) + "\n"
    )
    runs = best_runs(database, metric, mode)
    versions = {row["version"]: row for row in reversed(runs)}
    lines = [
        [version, *(versions[version][name] for name in names)]
        for version in sorted(versions, key=version_key)
    ]
    write_csv(root / paths.PLOTS / "versions.csv", ["version", *names], lines)
    newest = [run for run in runs if run["track_id"] in set(track_ids) and run[metric] is not None]
    write_csv(root / paths.PLOTS / "sweep.csv", SWEEP_COLUMNS, sweep_lines(newest, names, metric))
    write_csv(
        root / paths.PLOTS / "predictions.csv", PLOTTED, _predictions(database, best["track_id"])
    )


def sweep_lines(
    runs: Sequence[dict[str, Any]], metrics: Sequence[str], score: str
) -> list[tuple[Any, ...]]:
    """Make the lines of parallel coordinates: one for each run and axis.

    Args:
        runs: rows of `metrics`.
        metrics: names of metrics; each is an axis.
        score: the metric that colours the lines.
    Returns:
        `SWEEP_COLUMNS` of each line. The axes are the params that differ between runs, then the metrics. Positions go
        from 0 to 1: of a metric by its size, of a param by its rank, since sweeps often go by factors of ten. An axis
        with one value has it at 0.5; what a run has no value of is left out.
    """
    params = (
        [name for name in runs[0] if name.startswith("model_") and name != "model_hash"]
        if runs
        else []
    )
    axes = [name for name in params if len({run[name] for run in runs}) > 1]
    rows = []
    for axis in [*axes, *metrics]:
        known = sorted({run[axis] for run in runs if run[axis] is not None})
        places = {value: float(rank) if axis in axes else value for rank, value in enumerate(known)}
        low, high = (places[known[0]], places[known[-1]]) if known else (0.0, 0.0)
        scale = {
            value: (place - low) / (high - low) if high > low else 0.5
            for value, place in places.items()
        }
        rows += [
            (run["track_id"], axis, scale[run[axis]], run[axis], run[score])
            for run in runs
            if run[axis] in scale
        ]
    return rows


def _predictions(database: Path, track_id: str) -> list[tuple[Any, ...]]:
    with open_read_only(database) as connection:
        table = describe_tables(connection).get(PREDICTIONS)
        if table is None or not set(PLOTTED) <= set(table.column_names):
            return []
        columns = ", ".join(quote(name) for name in PLOTTED)
        query = f"SELECT {columns} FROM {quote(PREDICTIONS)} WHERE track_id = ? ORDER BY timestamp"
        return connection.execute(query, (track_id,)).fetchall()


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a CSV file whole."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    write_text(path, text.getvalue())
