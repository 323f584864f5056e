"""Print rows as a table, JSON, CSV or Markdown."""

import csv
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lineage import layout
from lineage.comparison import HEADER, compare, readable
from lineage.errors import BadInput
from lineage.leaderboard import best_runs, looks_like_loss, metric_names
from lineage.params import read_params
from lineage.recording import METRIC_ROW_COLUMNS
from lineage.records import recorded_outputs
from lineage.versions import find_results, params_of


def print_leaderboard(
    database: Path | None, metric: str | None, mode: str | None, limit: int, form: str, where: Sequence[str] = ()
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
    if database is None or metric is None or mode is None:
        root = layout.find_root()
        promote = read_params(root / layout.PARAMS).promote
        database, metric = database or root / layout.DATABASE, metric or promote.metric
        by_name = "min" if looks_like_loss(metric) else "max"
        mode = mode or (promote.mode if metric == promote.metric else by_name)
    if not database.exists():
        raise BadInput(f"{database} does not exist", "dvc repro   # or, in a fresh clone: dvc pull")
    rows = best_runs(database, metric, mode, limit=limit, where=where)
    params = sorted({name for row in rows for name in row if name.startswith("model_") and name != "model_hash"})
    names = ["version", "track_id", *params, *metric_names(database)]
    print_rows(names, [[row.get(name) for name in names] for row in rows], form)


def print_version(root: Path, version: str, database: Path | None, form: str) -> None:
    """Print a version: tag, best run with its params and metrics, and the artifacts that `get` brings back.

    Args and errors: as in `find_results`.
    """
    results = find_results(root, version, database)
    run, tag = results.runs[0], results.tag
    sections: dict[str, dict[str, Any]] = {
        "tag": {"commit": tag.commit, "day": tag.day, "description": tag.text} if tag else {"commit": None},
        "run": {"runs": len(results.runs), **{name: run.get(name) for name in METRIC_ROW_COLUMNS}},
        "params": params_of(run),
        "metrics": {name: run[name] for name in metric_names(results.database)},
        "artifacts": recorded_outputs(root, tag.commit) if tag else {},
    }
    rows = [(section, name, value) for section, pairs in sections.items() for name, value in pairs.items()]
    print_rows(("section", "name", "value"), rows, form)


def print_difference(root: Path, left: str, right: str, database: Path | None, limit: int, form: str) -> None:
    """Print what differs between two versions; arguments and errors as in `find_results` and `compare`."""
    pair = find_results(root, left, database), find_results(root, right, database)
    rows = compare(root, *pair, read_params(root / layout.PARAMS).merge.data_key_columns, limit)
    print_rows(HEADER, readable(rows) if form in ("table", "md") else rows, form)


def print_rows(names: Sequence[str], rows: Sequence[Sequence[Any]], form: str) -> None:
    """Print rows to standard output.

    Args:
        names: the columns.
        rows: one sequence of values per row; None is NULL.
        form: table, json, csv or md.
    """
    if form == "json":
        print(json.dumps([dict(zip(names, row)) for row in rows], indent=2, default=str))
    elif form == "csv":
        csv.writer(sys.stdout, lineterminator="\n").writerows([names, *rows])
    elif form == "md":
        print("| " + " | ".join(names) + " |")
        print("|" + " --- |" * len(names))
        for row in rows:
            print("| " + " | ".join(show(value).replace("|", "\\|").replace("\n", " ") for value in row) + " |")
    else:
        _print_table(names, rows)


def _print_table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for place, name in enumerate(names):
        numeric = all(row[place] is None or isinstance(row[place], (int, float)) for row in rows)
        whole = numeric or place < len(names) - 1  # long text at the end is folded, not cut off
        table.add_column(name, justify="right" if numeric else "left", no_wrap=whole, overflow="fold")
    for row in rows:
        table.add_row(*(escape(show(value)) for value in row))
    console = Console(width=None if sys.stdout.isatty() else 10_000)
    with console.capture() as printed:
        console.print(table)
    print("\n".join(line.rstrip() for line in printed.get().splitlines()))


def show(value: Any) -> str:
    """Write a value for people: floats with four decimals, NULL as a dash, what would steer the terminal as `?`."""
    text = "–" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "?", text)
