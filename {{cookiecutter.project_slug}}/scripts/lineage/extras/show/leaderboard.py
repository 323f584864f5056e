"""The leaderboard as it is printed."""

from collections.abc import Sequence

from lineage.core.console import say, warn
from lineage.core.listing import print_rows
from lineage.results.chosen_by import Row, conditions_of
from lineage.results.leaderboard import cell


def print_leaderboard(rows: list[Row], names: Sequence[str], form: str) -> None:
    """Print runs, and below a line those that are not ranked with the best.

    Args:
        rows: from `read_leaderboard`.
        names: columns. One that stands for a hash, as `test`, is its first six digits.
        form: table, json, csv or md. JSON and CSV stay one listing, and the line goes to standard
            error.

    Raises:
        BadInput: there is no such column.
    """
    shown = []
    for row in rows:
        shown.append([cell(row, name) for name in names])
    conditions = list(map(conditions_of, rows))
    ranked = conditions.count(conditions[0]) if rows else 0
    others = sorted(set(conditions[ranked:]))
    why = f"not ranked, since measured on {'; '.join(others)}"
    if form in ("json", "csv"):
        print_rows(names, shown, form)
        if others:
            warn(f"the last {len(rows) - ranked} runs are {why}")
        return
    print_rows(names, shown[:ranked], form)
    if rows:
        say(f"\nbest first by {rows[0]['sorted_by']}")
    if others:
        say(f"\n{why}:")
        print_rows(names, shown[ranked:], form)
