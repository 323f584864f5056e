"""What the report shows: runs, best first, versions, and sweeps."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from lineage.core.errors import BadInput
from lineage.core.paths import DATABASE
from lineage.core.version_numbers import version_key
from lineage.extras.report.details import add_details
from lineage.extras.report.provenance import add_provenance
from lineage.results.chosen_by import Row, conditions_of
from lineage.results.leaderboard import (
    cell,
    measured,
    metric_names,
    param_names,
    read_leaderboard,
)
from lineage.results.plots import SWEEP_COLUMNS, Lines, sweep_lines
from lineage.tracked.recorded import recorded_md5

VERSION_COLUMNS = ("version", "metric", "value", "measured on", "run", "state")
MOST_LINES = 200
"""So many runs of a sweep are drawn: the best."""

MOST_METRICS = 6
"""So many metrics are axes of a sweep."""

LABEL = 0.06
"""So much of an axis a value that stands beside it takes."""

EXACT = 2**53
"""Whole numbers beyond this one are not exact in a browser, which gets them as text."""


def collect(root: Path, asked: Sequence[str] = ()) -> dict[str, Any]:
    """Collect what the page shows, as lists and tables.

    Args:
        root: the project's root.
        asked: ids of runs whose details come first.

    Raises:
        BadInput: there is no such run, or the database is recorded and not here.
    """
    runs, metrics = read_runs(root)
    numbers = {run["track_id"]: number for number, run in enumerate(runs)}
    for track_id in asked:
        if track_id not in numbers:
            remedy = "python scripts/experiment_explorer.py list"
            raise BadInput(f"{track_id!r} is no run of {DATABASE}", remedy)
    content: dict[str, Any] = {"project": root.name, "metrics": metrics, "notes": {}}
    promoted = add_provenance(root, content)
    lines = all_sweeps(root / DATABASE, runs, metrics)
    tables: dict[str, tuple[Sequence[str], Iterable[Sequence[Any]]]] = {
        "versions": (VERSION_COLUMNS, version_points(runs, metrics, promoted)),
        "sweeps": (("version", *SWEEP_COLUMNS), lines),
        "axes": (("version", "axis", "position", "label"), axis_labels(lines)),
    }
    add_leaderboard(content, runs, promoted)
    chosen = [numbers[name] for name in [*asked, *promoted] if name in numbers]
    chosen += best_of_versions(runs)
    tables |= add_details(root, content["notes"], runs, chosen)
    for name, (columns, rows) in tables.items():
        content[name] = {"columns": columns, "rows": [list(map(plain, row)) for row in rows]}
    content["first"] = list(dict.fromkeys([*chosen, *range(len(runs))]))[:2]
    return content


def plain(value: Any) -> Any:
    """Turn what JSON or a browser would not carry into text: infinities, BLOBs, large numbers."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, (int, float)) and not abs(value) <= EXACT:
        return str(value)
    return value


def read_runs(root: Path) -> tuple[list[Row], list[str]]:
    """Read all runs, best first, and the names of metrics; none before the first `dvc repro`.

    Raises:
        BadInput: the database is recorded, and is not here.
    """
    database = root / DATABASE
    if not database.exists() and recorded_md5(root, DATABASE) is None:
        return [], []
    runs, _ = read_leaderboard(database, None, None)
    return runs, metric_names(database)


def add_leaderboard(content: dict[str, Any], runs: list[Row], promoted: Sequence[str]) -> None:
    """Add the table of runs, with a rank among those that were measured alike."""
    known = runs[0] if runs else {}
    metric = known.get("sorted_by", "")
    params = param_names(known)
    others = [name.removesuffix("_hash") for name in known if name != "sorted_by"]
    names = dict.fromkeys(["version", "track_id", *content["metrics"], *params, "seeds", *others])
    ranks: dict[str, int] = {}
    rows = []
    for run in runs:
        conditions = conditions_of(run)
        ranks[conditions] = ranks.get(conditions, 0) + 1
        rank = ranks[conditions] if measured(run[metric]) is not None else None
        state = "yes" if run["track_id"] in promoted else ""
        own = [list(ranks).index(conditions), rank, state]
        rows.append([*own, *(plain(cell(run, name)) for name in names)])
    columns = ["group", "rank", "promoted", *names]
    content["runs"] = {"columns": columns, "rows": rows}
    content |= {"groups": list(ranks), "params": params, "metric": metric or None}


def best_of_versions(runs: list[Row]) -> list[int]:
    """Number the best run of each version, under each conditions; the best of all comes first."""
    best: dict[tuple[Any, str], int] = {}
    for number, run in enumerate(runs):
        best.setdefault((run["version"], conditions_of(run)), number)
    return list(best.values())


def version_points(
    runs: list[Row], metrics: Sequence[str], promoted: Sequence[str]
) -> Iterator[Sequence[Any]]:
    """Yield the points of metrics over versions: best runs, and those that were promoted."""
    drawn = [(runs[number], "best of its version") for number in best_of_versions(runs)]
    drawn += [(run, "promoted") for run in runs if run["track_id"] in promoted]
    for run, state in sorted(drawn, key=lambda drawn: version_key(drawn[0]["version"])):
        for name in metrics:
            if measured(run[name]) is not None:
                own = (conditions_of(run), run["track_id"], state)
                yield run["version"], name, run[name], *own


def all_sweeps(database: Path, runs: list[Row], metrics: Sequence[str]) -> Lines:
    """List the lines of parallel coordinates of each version that has two comparable runs.

    Only runs under the conditions of the version's best run are among them.

    Returns:
        the version, and `SWEEP_COLUMNS`.
    """
    together: dict[str, list[Row]] = {}
    for run in runs:
        own = together.setdefault(run["version"], [])
        if not own or conditions_of(run) == conditions_of(own[0]):
            own.append(run)
    lines: list[Sequence[Any]] = []
    for version in sorted(together, key=version_key, reverse=True):
        drawn = together[version][:MOST_LINES]
        score = drawn[0]["sorted_by"]
        axes = list(dict.fromkeys([score, *metrics]))[:MOST_METRICS]
        if len(drawn) > 1:
            lines += [(version, *line) for line in sweep_lines(database, drawn, axes, score)]
    return lines


def axis_labels(lines: Lines) -> Iterator[Sequence[Any]]:
    """Yield the real values that stand beside each axis, by their positions from 0 to 1."""
    for (version, axis), points in groupby(lines, key=lambda line: (line[0], line[2])):
        values = {point[3]: point[4] for point in points}
        places = sorted(values)
        free = -1.0
        for position in places:
            is_last = position == places[-1]
            if position >= free and (is_last or position <= places[-1] - LABEL):
                free = position + LABEL
                value = values[position]
                label = f"{value:.4g}" if isinstance(value, float) else str(value)[:24]
                yield version, axis, position, label
