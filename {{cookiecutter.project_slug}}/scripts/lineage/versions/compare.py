"""Compare two versions: params, metrics, data, predictions, code."""

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lineage.core import paths
from lineage.core.errors import LineageError
from lineage.results.leaderboard import metric_names
from lineage.results.version_results import Results, find_predictions, params_of
from lineage.tracked.git import git, has_commit, main_root
from lineage.tracked.remote import obtain
from lineage.versions.compare_files import (
    NOT_RECORDED,
    Difference,
    compare_data,
    compare_predictions,
)

HASHES = {
    "data_hash": paths.TRAIN_DATA,
    "test_hash": paths.TEST_DATA,
}
"""Columns of `metrics` that name data by their md5."""


def compare(
    root: Path,
    left: Results,
    right: Results,
    keys: Sequence[str],
    limit: int,
) -> list[Difference]:
    """Compare the best runs of two versions.

    Args:
        root: the project's root.
        left, right: the versions.
        keys: `merge.data_key_columns`, which make two rows of data the same row.
        limit: at most so many flipped predictions are named; all are counted.
    """
    before = left.runs[0]
    after = right.runs[0]
    rows = []
    params = params_of(before)
    new_params = params_of(after)
    for name in params | new_params:
        line = Difference("params", name, params.get(name), new_params.get(name))
        if line.v1 != line.v2:
            rows.append(line)
    metrics = metric_names(left.database) + metric_names(right.database)
    for name in dict.fromkeys(metrics):
        rows.append(Difference("metrics", name, before.get(name), after.get(name)))
    for column, path in HASHES.items():
        rows += _data(root, path, before.get(column), after.get(column), keys)
    rows += _predictions(root, left, right, limit)
    rows += _code(root, left.commit, right.commit)
    return rows


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
    if left == right or not re.fullmatch("[0-9a-f]{64}", f"{left}{right}"):
        return
    storage = main_root(root)
    try:
        found = compare_data(
            obtain(storage, str(left)),
            obtain(storage, str(right)),
            keys,
        )
    except LineageError as error:
        yield Difference("data", f"{path}: {error.problem}")
        return
    for name, pair in found.items():
        yield Difference("data", f"{path}: {name}", *pair)


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
    if not (left and right and has_commit(root, left) and has_commit(root, right)):
        yield Difference("code", "not in this clone (git fetch --unshallow)")
        return
    options = ("--numstat", "--no-ext-diff", "--no-renames", "--relative", "-z")
    for line in (git(root, "diff", *options, left, right, "--", ".") or "").split("\0")[:-1]:
        added, removed, name = line.split("\t", 2)
        yield Difference("code", name, f"-{removed}", f"+{added}")
