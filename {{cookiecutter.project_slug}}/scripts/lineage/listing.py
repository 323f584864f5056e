"""Print rows as a table, JSON, CSV or Markdown."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lineage import layout
from lineage.errors import BadInput
from lineage.leaderboard import best_runs, metric_names
from lineage.params import read_params


def print_leaderboard(database: Path | None, metric: str | None, mode: str | None, limit: int, form: str) -> None:
    """Print the best runs of a results database.

    Args:
        database: None: the project's own.
        metric: what to sort by; None: `promote.metric`.
        mode: `max` or `min`; None: `promote.mode`.
        limit: at most so many runs.
        form: table, json, csv or md.
    Raises:
        BadInput: no database, no such metric.
    """
    if database is None or metric is None or mode is None:
        root = layout.find_root()
        promote = read_params(root / layout.PARAMS).promote
        database = database or root / layout.DATABASE
        metric, mode = metric or promote.metric, mode or promote.mode
    if not database.exists():
        raise BadInput(f"{database} does not exist", "dvc repro   # or, in a fresh clone: dvc pull")
    rows = best_runs(database, metric, mode, limit=limit)
    params = sorted({name for row in rows for name in row if name.startswith("model_") and name != "model_hash"})
    names = ["version", "track_id", *params, *metric_names(database)]
    print_rows(names, [[row[name] for name in names] for row in rows], form)


def print_rows(names: Sequence[str], rows: Sequence[Sequence[Any]], form: str) -> None:
    """Print rows to standard output.

    Args:
        names: the columns.
        rows: one sequence of values per row; None is NULL.
        form: table, json, csv or md.
    """
    if form == "json":
        print(json.dumps([dict(zip(names, row)) for row in rows], indent=2))
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
    elif form == "md":
        print("| " + " | ".join(names) + " |")
        print("|" + " --- |" * len(names))
        for row in rows:
            print("| " + " | ".join(show(value).replace("|", "\\|") for value in row) + " |")
    else:
        _print_table(names, rows)


def _print_table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for place, name in enumerate(names):
        numeric = all(row[place] is None or isinstance(row[place], (int, float)) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(escape(show(value)) for value in row))
    piped = not sys.stdout.isatty()
    Console(width=10_000 if piped else None).print(table)


def show(value: Any) -> str:
    """Write a value for people: floats with four decimals, NULL as a dash."""
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
