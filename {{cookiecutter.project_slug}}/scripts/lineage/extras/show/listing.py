"""Print rows as a table, JSON, CSV or Markdown."""

import csv
import json
import re
import sys
from collections.abc import Sequence
from typing import Any

Row = Sequence[Any]
MARKDOWN = {ord("|"): r"\|", ord("\n"): " "}
"""What a cell of a table of Markdown cannot hold, and what stands for it."""


def print_rows(names: Sequence[str], rows: Sequence[Row], form: str) -> None:
    """Print rows to standard output.

    Args:
        names: the columns.
        rows: one sequence of values per row; None is NULL.
        form: table, json, csv or md.
    """
    if form == "json":
        objects = [dict(zip(names, row)) for row in rows]
        print(json.dumps(objects, indent=2, default=str))
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([names, *rows])
    elif form == "md":
        for cells in [names, ["---"] * len(names), *rows]:
            print(f"| {' | '.join(show(cell).translate(MARKDOWN) for cell in cells)} |")
    else:
        _print_table(names, rows)


def _print_table(names: Sequence[str], rows: Sequence[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*names, box=None, header_style="bold")
    for place, column in enumerate(table.columns):
        column.overflow = "fold"  # only the last is folded, where a terminal is too narrow
        column.no_wrap = place < len(names) - 1
        if all(isinstance(row[place], (int, float, type(None))) for row in rows):
            column.justify = "right"
    for row in rows:
        table.add_row(*map(show, row))
    width = None if sys.stdout.isatty() else 10_000
    console = Console(width=width, markup=False, emoji=False)
    with console.capture() as printed:
        console.print(table)
    for line in printed.get().splitlines():
        print(line.rstrip())


def show(value: Any) -> str:
    """Write a value for people: four decimals, NULL as a dash, control characters as `?`."""
    if value is None:
        return "–"
    text = f"{value:.4f}" if isinstance(value, float) else str(value)
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "?", text)
