"""Show versions: the list of all, or one of them."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from lineage.core import paths
from lineage.extras.show.listing import print_rows
from lineage.results.leaderboard import Row, metric_names
from lineage.results.version_results import Results, files_of, find_results, params_of
from lineage.runs.run_database import METRIC_ROW_COLUMNS
from lineage.tables.sources import read_sources
from lineage.tracked.cache import object_path
from lineage.tracked.git import git
from lineage.tracked.remote import listing, obtain
from lineage.tracked.version_tags import Tag, tags

HASHES = {"data_hash": paths.TRAIN_DATA, "test_hash": paths.TEST_DATA}
"""Columns of `metrics` that name data by their md5."""


def metrics_of(root: Path, tag: Tag) -> dict[str, Any]:
    """Read the metrics that Git has at a tag; none where they cannot be read."""
    text = git(root, f"show {tag.commit}:./{paths.METRICS_FILE}") or "{}"
    with suppress(ValueError, TypeError):  # a merge conflict, committed, is no JSON object
        return dict(json.loads(text))
    return {}


def print_versions(root: Path, form: str) -> None:
    """Print all versions with the metrics of their best run, as `results/metrics.json` has them."""
    known = {tag: metrics_of(root, tag) for tag in tags(root).values()}
    names: dict[str, Any] = {}
    for metrics in known.values():
        names |= metrics
    rows = []
    for tag, metrics in known.items():
        rows.append((tag.version, tag.day, tag.commit[:7], *map(metrics.get, names), tag.text))
    print_rows(["version", "day", "commit", *names, "description"], rows, form)


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
        "run": {"runs": len(results.runs)},
        "params": params_of(run),
        "metrics": {name: run[name] for name in metric_names(results.database)},
        "artifacts": results.outputs | _made_by(root, results, run["track_id"]),
    }
    sections["run"] |= {name: run.get(name) for name in METRIC_ROW_COLUMNS}
    if tag := results.tag:
        sections["tag"] = {
            "commit": tag.commit,
            "day": tag.day,
            "description": tag.text,
        }
    rows = []
    for section, pairs in sections.items():
        rows += [(section, name, value) for name, value in pairs.items()]
    rows += _merged_files(root, results)
    print_rows(("section", "name", "value"), rows, form)


def _made_by(root: Path, results: Results, track_id: str) -> dict[str, str]:
    """List the files that a run of a tag made by run.artifact(), with their hashes."""
    made = files_of(root, results.outputs, paths.ARTIFACTS)
    return {
        f"{paths.ARTIFACTS}/{name}": md5
        for name, md5 in made.items()
        if name.startswith(f"{track_id}/")
    }


def _merged_files(root: Path, results: Results) -> Iterator[tuple[str, str, str]]:
    """Say which files came in, and how; the runs of `train` are rows anyway."""
    train = root / paths.TRAIN_DATA
    if md5 := results.outputs.get(paths.TRAIN_DATA):
        files = listing(root, md5)
        train = object_path(root, files[max(files)])  # the record, of parts
    for source in (read_sources(train) | read_sources(results.database)).values():
        if not source.name.startswith(paths.RUNS):
            yield "merged", source.name, f"{source.rows} rows {source.rule}"


def commit_of(results: Results) -> Any:
    """Name the commit of a tag; without one, what the best run names as its commit."""
    return results.tag.commit if results.tag else results.runs[0].get("git_commit")


def find_predictions(root: Path, results: Results, run: Row) -> Path | None:
    """Find the parquet file that holds the predictions of a run.

    Args:
        root: the project's root.
        results: of the version. The file of a tag's run is the one that the tag records; of another
            run it lies in the folder `predictions` beside the database.
        run: one of `results.runs`.

    Returns:
        The file; None where the run has none.

    Raises:
        Refused: the tag records one, and it is nowhere.
    """
    name = f"{run['track_id']}.parquet"
    if results.outputs:
        md5 = files_of(root, results.outputs, paths.PREDICTIONS).get(name)
        return obtain(root, md5, trusting=True) if md5 else None
    beside = results.database.parent / Path(paths.PREDICTIONS).name / name
    return beside if beside.is_file() else None
