"""Print rows as a table, JSON, CSV or Markdown."""

import csv
import json
import re
import sys
from collections.abc import Sequence
from typing import Any


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
            print(
                "| "
                + " | ".join(show(value).replace("|", "\\|").replace("\n", " ") for value in row)
                + " |"
            )
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
        table.add_column(
            name, justify="right" if numeric else "left", no_wrap=whole, overflow="fold"
        )
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
