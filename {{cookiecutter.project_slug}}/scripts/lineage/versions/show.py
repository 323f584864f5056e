"""Print rows as a table, JSON, CSV or Markdown."""

from pathlib import Path
from typing import Any

from lineage.core import paths
from lineage.core.listing import print_rows
from lineage.core.params import read_params
from lineage.results.leaderboard import metric_names
from lineage.runs.run_database import METRIC_ROW_COLUMNS
from lineage.tracked.recorded import recorded_outputs
from lineage.versions.compare import HEADER, compare, readable
from lineage.versions.tags import find_results, params_of


def print_version(root: Path, version: str, database: Path | None, form: str) -> None:
    """Print a version: tag, best run with its params and metrics, and the artifacts that `get` brings back.

    Args and errors: as in `find_results`.
    """
    results = find_results(root, version, database)
    run, tag = results.runs[0], results.tag
    sections: dict[str, dict[str, Any]] = {
        "tag": {"commit": tag.commit, "day": tag.day, "description": tag.text}
        if tag
        else {"commit": None},
        "run": {"runs": len(results.runs), **{name: run.get(name) for name in METRIC_ROW_COLUMNS}},
        "params": params_of(run),
        "metrics": {name: run[name] for name in metric_names(results.database)},
        "artifacts": recorded_outputs(root, tag.commit) if tag else {},
    }
    rows = [
        (section, name, value)
        for section, pairs in sections.items()
        for name, value in pairs.items()
    ]
    print_rows(("section", "name", "value"), rows, form)


def print_difference(
    root: Path, left: str, right: str, database: Path | None, limit: int, form: str
) -> None:
    """Print what differs between two versions; arguments and errors as in `find_results` and `compare`."""
    pair = find_results(root, left, database), find_results(root, right, database)
    rows = compare(root, *pair, read_params(root / paths.PARAMS).merge.data_key_columns, limit)
    print_rows(HEADER, readable(rows) if form in ("table", "md") else rows, form)
