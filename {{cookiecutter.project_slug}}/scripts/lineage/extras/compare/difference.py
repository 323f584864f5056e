"""Find and print what differs between two versions: params, metrics, data, predictions, code."""

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lineage.core import paths
from lineage.core.errors import LineageError
from lineage.core.params import read_params
from lineage.extras.compare.data import compare_data, recorded_data
from lineage.extras.compare.predictions import NOT_RECORDED, Difference, compare_predictions
from lineage.extras.show.listing import print_rows
from lineage.extras.show.versions import HASHES, commit_of, find_predictions
from lineage.results.leaderboard import metric_names
from lineage.results.version_results import Results, find_results, params_of
from lineage.tracked.git import git


def print_difference(
    root: Path,
    left: str,
    right: str,
    database: Path | None,
    limit: int,
    form: str,
) -> None:
    """Print what differs between two versions. In tables for people deltas have a sign.

    Args:
        root: the project's root.
        left, right: the versions.
        database: as in `find_results`, whose errors this has.
        limit: at most so many flipped predictions are named; all are counted.
        form: as in `print_rows`.
    """
    before = find_results(root, left, database)
    after = find_results(root, right, database)
    rows = []
    for line in compare(root, before, after, limit):
        delta: Any = None
        percent: Any = None
        if line.section != "predictions":  # its counts are no measurements
            delta, percent = change(line.v1, line.v2)
        if form in ("table", "md") and delta is not None:
            delta = f"{delta:+.4f}".removesuffix(".0000")
            percent = percent if percent is None else f"{percent:+.2f} %"
        rows.append((*line, delta, percent))
    print_rows(("section", "name", "v1", "v2", "delta", "percent"), rows, form)


def compare(root: Path, left: Results, right: Results, limit: int) -> Iterator[Difference]:
    """Compare the best runs of two versions; `limit` as in `print_difference`."""
    before = left.runs[0]
    after = right.runs[0]
    params = params_of(before)
    new_params = params_of(after)
    for name in params | new_params:
        line = Difference("params", name, params.get(name), new_params.get(name))
        if line.v1 != line.v2:
            yield line
    for name in dict.fromkeys(metric_names(left.database) + metric_names(right.database)):
        yield Difference("metrics", name, before.get(name), after.get(name))
    keys = read_params(root / paths.PARAMS).merge.data_key_columns
    for column, path in HASHES.items():
        yield from _data(root, path, before.get(column), after.get(column), keys)
    yield from _predictions(root, left, right, limit)
    yield from _code(root, commit_of(left), commit_of(right))


def change(before: Any, after: Any) -> tuple[float | None, float | None]:
    """Return the difference of two numbers, and in per cent of the first.

    None stands for what there is not: of NULL, text and infinities, and per cent of zero.
    """
    for value in (before, after):
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            return None, None
    delta = after - before
    if delta == 0:
        return delta, 0.0
    return delta, delta / abs(before) * 100 if before else None


def _data(
    root: Path,
    path: str,
    left: str | None,
    right: str | None,
    keys: Sequence[str],
) -> Iterator[Difference]:
    yield Difference("data", path, left and left[:6], right and right[:6])
    if left == right or not re.fullmatch(r"([0-9a-f]{32}(\.dir)?){2}", f"{left}{right}"):
        return
    try:
        with recorded_data(root, str(left)) as old, recorded_data(root, str(right)) as new:
            for name, pair in compare_data(old, new, keys).items():
                yield Difference("data", f"{path}: {name}", *pair)
    except LineageError as error:
        yield Difference("data", f"{path}: {error.problem}")


def _predictions(
    root: Path,
    left: Results,
    right: Results,
    limit: int,
) -> list[Difference]:
    """Compare what both best runs predicted for the items that both know."""
    try:
        before = find_predictions(root, left, left.runs[0])
        after = find_predictions(root, right, right.runs[0])
        return compare_predictions(before, after, limit) if before and after else [NOT_RECORDED]
    except LineageError as error:
        return [Difference("predictions", error.problem)]


def _code(
    root: Path,
    left: str | None,
    right: str | None,
) -> Iterator[Difference]:
    """Count the lines removed from and added to each file, as `git diff --numstat` does."""
    yield Difference("code", "commit", left and left[:7], right and right[:7])
    if not (has_commit(root, left) and has_commit(root, right)):
        yield Difference("code", "not in this clone (git fetch --unshallow)")
        return
    command = f"diff --numstat --no-ext-diff --no-renames --relative -z {left}..{right}"
    for line in (git(root, command) or "").split("\0")[:-1]:
        added, removed, name = line.split("\t", 2)
        yield Difference("code", name, f"-{removed}", f"+{added}")


def has_commit(root: Path, commit: object) -> bool:
    """Tell whether a value from a database, which may be anything, names a commit of this clone."""
    if not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", str(commit)):
        return False
    return git(root, "cat-file -e", f"{commit}^{{commit}}") is not None
