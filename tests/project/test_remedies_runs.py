"""Remedies of what is wrong in experiment.py: the test does in code what they ask for, and the runs work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from baked_projects import Project, copy_project
from remedies import State, go_through

TRAIN = "python scripts/train.py"
RETURN = "    return metrics, predictions\n"


def edit(old: str, new: str) -> Callable[[Project], None]:
    """Change experiment.py as its user does."""

    def change(project: Project) -> None:
        path = project.path / "experiment.py"
        code = path.read_text(encoding="utf-8")
        assert old in code
        path.write_text(code.replace(old, new), encoding="utf-8")

    return change


def measure(line: str) -> Callable[[Project], None]:
    """Add a line to evaluate()."""
    return edit(RETURN, f"    {line}\n{RETURN}")


STATES = {
    "a function that is not there": State(
        edit("def save_model(", "def save("),
        TRAIN,
        "define load_data, fit, evaluate, save_model, load_model; see docs/experiment.md",
        edit("def save(", "def save_model("),
    ),
    "an artifact elsewhere": State(
        edit('def fit(train, params):\n', 'def fit(train, params, run):\n    run.artifact("../roc.png").touch()\n'),
        TRAIN,
        "give a name as in figures/roc.png",
        edit("../roc.png", "figures/roc.png"),
    ),
    "a metric that would be a param": State(
        measure('metrics["model_size"] = 1.0'), TRAIN, "rename it", edit("model_size", "size_of_model")
    ),
    "a metric that is no number": State(
        measure('metrics["loss"] = "low"'),
        TRAIN,
        "return numbers from evaluate() in experiment.py",
        edit('"low"', "0.5"),
    ),
    "a metric that SQL knows": State(
        measure('metrics["order"] = 1.0'),
        TRAIN,
        "use letters, digits and _ (at most 64), no SQL keyword, and not the word 'metrics'",
        edit('"order"', '"ordered"'),
    ),
    "two metrics of one name": State(
        measure('metrics["F1_Score"] = 1.0'), TRAIN, "rename one of them", edit("F1_Score", "f1_again")
    ),
    "a column of predictions that is no plain text": State(
        measure('predictions["a\\tb"] = 1'), TRAIN, "rename it", edit("a\\tb", "note")
    ),
}  # fmt: skip


@pytest.mark.parametrize("state", STATES)
def test_a_remedy_of_a_run_works(state: str, light_original: Project, tmp_path: Path) -> None:
    go_through(copy_project(light_original, tmp_path), STATES[state])
