"""What the report shows: runs, best first, versions, and sweeps."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lineage.core.errors import BadInput
from lineage.core.params import read_params
from lineage.core.paths import DATABASE, PARAMS, TEST_DATA
from lineage.core.version_numbers import version_key
from lineage.extras.report.details import Rows, Runs, Tables, add_details
from lineage.extras.report.provenance import add_provenance
from lineage.extras.show.leaderboard import cell, param_names, read_leaderboard
from lineage.extras.show.versions import metrics_of
from lineage.results.leaderboard import conditions_of, measured, metric_names
from lineage.results.plots import SWEEP_COLUMNS, sweep_lines
from lineage.tracked.recorded import recorded_md5
from lineage.tracked.version_tags import Tag, tags

VERSION_COLUMNS = ("version", "metric", "value", "measured on", "track_id", "state")
BEST = "best of its version"
MOST_LINES = 200
"""So many runs of a sweep are drawn: the best."""

MOST_METRICS = 6
"""So many metrics are axes of a sweep."""

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
    tables: Tables = {}
    promoted = add_provenance(root, tables)
    alike = measured_alike(runs)
    bests = [group[0] for group in alike]
    groups = add_leaderboard(tables, runs, metrics, promoted)
    tables["versions"] = VERSION_COLUMNS, version_points(runs, bests, promoted, metrics)
    tables["sweeps"] = ("version", *SWEEP_COLUMNS), all_sweeps(root, alike, metrics)
    wanted = [*asked, *promoted, *(run["track_id"] for run in bests), *numbers]
    order = [numbers[name] for name in dict.fromkeys(wanted) if name in numbers]
    content = {
        "project": root.name,
        "metrics": metrics,
        "metric": next(iter(metrics), None),
        "params": param_names(set().union(*runs)),
        "groups": groups,
        "ids": list(numbers),
        "first": order[:2],
        **add_details(root, tables, runs, order),
    }
    for name, (columns, rows) in tables.items():
        content[name] = {"columns": columns, "rows": [list(map(plain, row)) for row in rows]}
    return content


def plain(value: Any) -> Any:
    """Turn what JSON or a browser would not carry into text: infinities, BLOBs, large numbers."""
    if value is None or (isinstance(value, int | float) and abs(value) <= EXACT):
        return value
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)


def read_runs(root: Path) -> tuple[Runs, list[str]]:
    """Read all runs, best first, and the names of metrics; none before the first `dvc repro`.

    The first metric is the one by which the runs are sorted.

    Raises:
        BadInput: the database is recorded, and is not here.
    """
    database = root / DATABASE
    if not database.exists() and recorded_md5(root, DATABASE) is None:
        return [], []
    runs, _ = read_leaderboard(database)
    first = [run["sorted_by"] for run in runs[:1]]
    return runs, list(dict.fromkeys([*first, *metric_names(database)]))


def measured_alike(runs: Runs) -> list[Runs]:
    """Group runs, best first, by their version and what they were measured on."""
    groups: dict[tuple[str, str], Runs] = {}
    for run in runs:
        groups.setdefault((run["version"], conditions_of(run)), []).append(run)
    return list(groups.values())


def add_leaderboard(
    tables: Tables, runs: Runs, metrics: Sequence[str], promoted: Sequence[str]
) -> list[str]:
    """Add the table of runs, with a rank among those that were measured alike.

    Returns:
        on what they were measured, by the number of the group.
    """
    known = next(iter(runs), {})
    others = [name.removesuffix("_hash") for name in known if name != "sorted_by"]
    names = dict.fromkeys(["version", "track_id", *metrics, *param_names(known), *others])
    ranks = Counter[str]()
    rows = []
    for run in runs:
        conditions = conditions_of(run)
        ranks[conditions] += 1
        own = [
            list(ranks).index(conditions),
            ranks[conditions] if measured(run[metrics[0]]) is not None else None,
            "yes" if run["track_id"] in promoted else "",
        ]
        rows.append([*own, *(cell(run, name) for name in names)])
    tables["runs"] = ["group", "rank", "promoted", *names], rows
    return list(ranks)


def version_points(
    runs: Runs, bests: Runs, promoted: Sequence[str], metrics: Sequence[str]
) -> Rows:
    """Yield the points of metrics over versions: best runs, and those that were promoted."""
    drawn = [(run, BEST) for run in bests]
    drawn += [(run, "promoted") for run in runs if run["track_id"] in promoted]
    for run, state in sorted(drawn, key=lambda point: version_key(point[0]["version"])):
        for name in metrics:
            if measured(run[name]) is not None:
                yield run["version"], name, run[name], conditions_of(run), run["track_id"], state


def all_sweeps(root: Path, alike: list[Runs], metrics: Sequence[str]) -> Rows:
    """Yield the lines of parallel coordinates of each version that has two comparable runs.

    Only runs under the conditions of the version's best run are among them.
    """
    groups = {group[0]["version"]: group for group in reversed(alike)}
    for version in sorted(groups, key=version_key, reverse=True):
        drawn = groups[version][:MOST_LINES]
        if len(drawn) > 1:
            axes = metrics[:MOST_METRICS]
            for line in sweep_lines(root / DATABASE, drawn, axes, axes[0]):
                yield version, *line


def content_of_git(root: Path) -> dict[str, Any]:
    """Collect what Git knows of the metrics of versions, and of the present commit.

    Where there is no database, as on a server that runs checks, these are drawn. Only those on one
    test set are joined.
    """
    params = read_params(root / PARAMS)
    version = params.experiment.version
    known = tags(root)
    known.setdefault(version, Tag(version, "HEAD", "", "", ""))
    points = []
    for tag in known.values():
        test = recorded_md5(root, TEST_DATA, tag.commit) or "unknown"
        for metric in metrics_of(root, tag).items():
            points.append((tag.version, *metric, f"test data {test[:6]}", tag.commit[:7], BEST))
    return {
        "versions": {"columns": VERSION_COLUMNS, "rows": points},
        "first": [],
        "metric": params.promote.metric,
    }
