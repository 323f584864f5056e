"""How runs are compared and chosen: under equal conditions, and on the validation side if there is.

Of equal runs the earliest is chosen, so test data break no tie of the validation side.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

from lineage.core.code_hash import evaluate_hash
from lineage.core.errors import BadInput
from lineage.core.paths import TEST_DATA
from lineage.runs.run import choice_metric
from lineage.tracked.hashes import path_md5

Row = dict[str, Any]
"""A row of `metrics`: its columns by name."""


def conditions_of(run: Row) -> str:
    """Say under which conditions a run was measured.

    Example: `test data 7ffe0c, evaluation code 8549af`, the first six digits of both hashes.
    """
    test = str(run.get("test_hash"))[:6]
    return f"test data {test}, evaluation code {str(run.get('evaluate_hash'))[:6]}"


def present_conditions(root: Path) -> Row:
    """Hash the test data and the evaluation code that lie in the project now.

    Returns:
        `test_hash` and `evaluate_hash`; nothing when one of them is missing or cannot be read.
    """
    with suppress(OSError, BadInput):
        return {"test_hash": path_md5(root / TEST_DATA), "evaluate_hash": evaluate_hash(root)}
    return {}


def choice_of(run: Row, metric: str) -> str:
    """Name the metric by which a run is chosen: `val_f1_score` if it has one, for `f1_score`."""
    return choice_metric({name for name in run if run[name] is not None}, metric)


def best_on_validation(runs: list[Row], metric: str) -> list[Row]:
    """Keep the best of runs that were validated alike; where none of them was, keep them all.

    Alike are runs of one version, on the same data, by the same evaluation code.

    Args:
        runs: rows of `metrics`, best first.
        metric: by which models are judged.
    """
    chosen = set()
    kept = []
    for run in runs:
        alike = (run["version"], run["data_hash"], conditions_of(run))
        if alike not in chosen:
            kept.append(run)
        if how_chosen(run, metric):
            chosen.add(alike)
    return kept


def how_chosen(run: Row, metric: str) -> str:
    """Say by what a run was chosen: `, chosen by val_f1_score 0.9512`; nothing if by the test."""
    name = choice_of(run, metric)
    return "" if name == metric else f", chosen by {name} {run[name]:.4f}"
