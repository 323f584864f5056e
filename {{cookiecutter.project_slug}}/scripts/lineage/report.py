"""The small files that DVC shows: metrics of the newest best run, and data for its plots."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from lineage import layout
from lineage.accumulate import write_whole
from lineage.databases import describe_tables, open_read_only
from lineage.leaderboard import best_runs, metric_names
from lineage.recording import PREDICTIONS
from lineage.sql import quote

PLOTTED = ("actual", "predicted")


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
    database = root / layout.DATABASE
    names = metric_names(database)
    best = best_runs(database, metric, mode, track_ids=track_ids)[0]
    write_text(root / layout.METRICS_FILE, json.dumps({name: best[name] for name in names}, indent=2) + "\n")
    runs = best_runs(database, metric, mode)
    versions = {row["version"]: row for row in reversed(runs)}
    lines = [[version, *(versions[version][name] for name in names)] for version in sorted(versions, key=version_key)]
    write_csv(root / layout.PLOTS / "versions.csv", ["version", *names], lines)
    write_csv(root / layout.PLOTS / "predictions.csv", PLOTTED, _predictions(database, best["track_id"]))


def version_key(version: str) -> tuple[int, ...]:
    """Sort key of `eX.Y.Z`: by number, not by letter."""
    return tuple(int(part) for part in version.removeprefix("e").split("."))


def _predictions(database: Path, track_id: str) -> list[tuple[Any, ...]]:
    with open_read_only(database) as connection:
        table = describe_tables(connection).get(PREDICTIONS)
        if table is None or not set(PLOTTED) <= set(table.column_names):
            return []
        columns = ", ".join(quote(name) for name in PLOTTED)
        with closing(
            connection.execute(
                f"SELECT {columns} FROM {quote(PREDICTIONS)} WHERE track_id = ? ORDER BY timestamp", (track_id,)
            )
        ) as cursor:
            return cursor.fetchall()


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a CSV file whole."""

    def build(temporary: Path) -> bool:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)
        return True

    write_whole(path, build)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole."""

    def build(temporary: Path) -> bool:
        temporary.write_text(text, encoding="utf-8")
        return True

    write_whole(path, build)
