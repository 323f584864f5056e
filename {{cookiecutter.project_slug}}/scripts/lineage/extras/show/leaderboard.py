"""The leaderboard as commands print it: filtered by `--where`, with seeds and ranks."""

import re
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lineage.core import paths
from lineage.core.console import say, warn
from lineage.core.param_names import is_param
from lineage.extras.show.listing import print_rows
from lineage.extras.show.where import conditions_sql, unknown_column
from lineage.results.leaderboard import (
    ANY_CONDITIONS,
    Row,
    best_runs,
    choice_of,
    conditions_of,
    measured,
    metric_names,
    present_conditions,
)

LOSS = re.compile(
    r"(^|_)(\w*loss|error|err|r?mse|mae|mape|nll|perplexity|brier)(_|$)", re.IGNORECASE
)


def looks_like_loss(metric: str) -> bool:
    """Tell by its name whether less of a metric is better."""
    return LOSS.search(metric) is not None


def param_names(columns: Iterable[str]) -> list[str]:
    """List the params among the names of columns, sorted."""
    return sorted(filter(is_param, columns))


def read_leaderboard(
    database: Path | None = None,
    metric: str | None = None,
    mode: str | None = None,
    where: Sequence[str] = (),
) -> tuple[list[Row], list[str]]:
    """Read the runs of a results database as `best_runs` does, and fill in what is not said.

    Args:
        database: None: the project's own.
        metric: what to sort by; None: what runs are chosen by, for `promote.metric`.
        mode: `max` or `min`; None: `promote.mode` for its metric, for another what its name says.
        where: conditions as in `model_C=1.0`, all of which hold.

    Returns:
        Rows, which have columns `seeds` and `sorted_by`, too, and the names of columns: id, params
        and metrics.

    Raises:
        BadInput: no database, no such metric or column, or a condition that cannot be.
    """
    from lineage.core.params import read_params

    first = ANY_CONDITIONS
    validated = metric is None
    if not (database and metric and mode):  # with all three, no project is needed
        root = paths.find_root()
        promote = read_params(root / paths.PARAMS).promote
        database = database or root / paths.DATABASE
        metric = metric or promote.metric
        by_name = "min" if looks_like_loss(metric) else "max"
        mode = mode or (promote.mode if metric == promote.metric else by_name)
        first = present_conditions(root)
    metrics = metric_names(database)
    condition = conditions_sql(database, where)
    rows = best_runs(database, metric, mode, where=condition, first=first, validated=validated)
    if rows and validated:
        metric = choice_of(rows[0], metric)
    add_seeds(rows, metric)
    return rows, ["version", "track_id", *param_names(rows[0] if rows else ()), *metrics]


def add_seeds(rows: list[Row], metric: str) -> None:
    """Add a column `seeds`: mean ± standard deviation (number) of runs that differ in seeds only.

    The column `sorted_by` names the metric.

    Args:
        rows: of `metrics`.
        metric: its name.
    """
    alike: dict[str, list[Row]] = {}
    for row in rows:
        names = {"version", "data_hash", "code_hash", *param_names(row)} - {"model_seed"}
        own = list(map(row.get, sorted(names)))
        alike.setdefault(f"{conditions_of(row)} {own}", []).append(row)
    for group in alike.values():
        values = [row[metric] for row in group if measured(row[metric]) is not None]
        spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
        mean = f"{statistics.fmean(values):.4f}{spread} ({len(values)})" if values else None
        for row in group:
            row |= {"seeds": mean, "sorted_by": metric}


def cell(row: Row, name: str) -> Any:
    """Look up a column, or the first six digits of the one with that name and `_hash`."""
    if name in row:
        return row[name]
    if f"{name}_hash" not in row:
        raise unknown_column(name, "the leaderboard", row)
    md5 = row[f"{name}_hash"]
    return md5 and md5[:6]


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
