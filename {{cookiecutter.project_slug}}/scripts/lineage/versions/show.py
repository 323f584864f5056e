"""Print versions: the list of all, one of them, or what differs between two."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from lineage.core import paths
from lineage.core.listing import print_rows
from lineage.core.params import read_params
from lineage.results.leaderboard import metric_names
from lineage.results.version_results import Results, find_results, params_of
from lineage.runs.run_database import METRIC_ROW_COLUMNS
from lineage.tables.sources import read_sources
from lineage.tracked.cache import object_path
from lineage.tracked.git import git
from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.version_tags import Tag, tags
from lineage.versions.compare import change, compare

HEADER = (
    "section",
    "name",
    "v1",
    "v2",
    "delta",
    "percent",
)


def print_versions(root: Path, form: str) -> None:
    """Print all versions with the metrics of their best run, as `results/metrics.json` has them."""
    known = {tag: _metrics(root, tag) for tag in tags(root).values()}
    names: dict[str, None] = {}
    for metrics in known.values():
        names |= dict.fromkeys(metrics)
    rows = []
    for tag, metrics in known.items():
        values = map(metrics.get, names)
        rows.append([tag.version, tag.day, tag.commit[:7], *values, tag.text])
    print_rows(["version", "day", "commit", *names, "description"], rows, form)


def _metrics(root: Path, tag: Tag) -> dict[str, Any]:
    text = git(root, "show", f"{tag.commit}:./{paths.METRICS_FILE}") or "{}"
    with suppress(ValueError, TypeError):  # a merge conflict, committed, is no JSON object
        return dict(json.loads(text))
    return {}


def print_version(
    root: Path,
    version: str,
    database: Path | None,
    form: str,
) -> None:
    """Print a version: tag, best run, params, metrics, artifacts that `get` brings, merged files.

    Args and errors: as in `find_results`.
    """
    results = find_results(root, version, database)
    run = results.runs[0]
    sections: dict[str, dict[str, Any]] = {
        "tag": {"commit": None},
        "run": {
            "runs": len(results.runs),
            **{name: run.get(name) for name in METRIC_ROW_COLUMNS},
        },
        "params": params_of(run),
        "metrics": {name: run[name] for name in metric_names(results.database)},
    }
    if tag := results.tag:
        sections["tag"] = {
            "commit": tag.commit,
            "day": tag.day,
            "description": tag.text,
        }
        sections["artifacts"] = recorded_outputs(root, tag.commit)
    rows = []
    for section, pairs in sections.items():
        rows += [(section, name, value) for name, value in pairs.items()]
    rows += _merged_files(root, results)
    print_rows(("section", "name", "value"), rows, form)


def _merged_files(root: Path, results: Results) -> Iterator[tuple[str, str, str]]:
    """Say which files came in, and how; the runs of `train` are rows anyway."""
    train = root / paths.TRAIN_DATA
    if md5 := results.outputs.get(paths.TRAIN_DATA):
        train = object_path(root, md5)
    merged = read_sources(train) | read_sources(results.database)
    for source in merged.values():
        if not source.name.startswith(paths.RUNS):
            yield "merged", source.name, f"{source.rows} rows {source.rule}"


def print_difference(
    root: Path,
    left: str,
    right: str,
    database: Path | None,
    limit: int,
    form: str,
) -> None:
    """Print what differs between two versions.

    Args and errors: as in `find_results` and `compare`. In tables for people deltas have a sign.
    """
    keys = read_params(root / paths.PARAMS).merge.data_key_columns
    before = find_results(root, left, database)
    after = find_results(root, right, database)
    rows = []
    for line in compare(root, before, after, keys, limit):
        delta: Any = None
        percent: Any = None
        if line.section != "predictions":  # its counts are no measurements
            delta, percent = change(line.v1, line.v2)
        if form in ("table", "md"):
            delta = _signed("{:+.4f}", delta)
            percent = _signed("{:+.2f} %", percent)
        rows.append([line.section, line.name, line.v1, line.v2, delta, percent])
    print_rows(HEADER, rows, form)


def _signed(pattern: str, number: float | None) -> str | None:
    """Write a change for people, as in `+0.0042` or `+2`."""
    return None if number is None else pattern.format(number).removesuffix(".0000")
