"""Whoever opens a stage that merges sees its job, step by step, in the order in which it is done."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from rooms import FILES

STEPS = {
    "read_params": "the params are read",
    "guarded_output": "the guarded output is opened",
    "union_all_by_name": "the inbox's files are lined up as `incoming`, beside `base`",
    "merge_or_rebase": "merge or rebase decides",
    "write_rows": "the output is written",
    "carry_rows": "the output is written",
    "publish": "the output is published",
    "say": "the line is printed",
}
"""What each of the functions does that a stage may call for its steps."""

JOB = list(dict.fromkeys(STEPS.values()))
MERGES = ("merge_data", "merge_results")


def calls(node: ast.AST) -> Iterator[str]:
    """The names of what a piece of code calls, in the order in which Python does: what is handed over comes first."""
    for child in ast.iter_child_nodes(node):
        yield from calls(child)
    if isinstance(node, ast.Call):
        called = node.func
        yield called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def steps(text: str) -> list[str]:
    """The steps of a script's `main`, each as often as a call of it is written."""
    [main] = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    return [STEPS[name] for name in calls(main) if name in STEPS]


@pytest.mark.parametrize("stage", MERGES)
def test_a_stage_shows_its_job_in_order(stage: str) -> None:
    assert steps(FILES[f"{stage}.py"]) == JOB


@pytest.mark.parametrize("stage", MERGES)
def test_what_decides_and_opens_is_the_package_s_own(stage: str) -> None:
    """A step of a known name is imported, not written anew in the script."""
    tree = ast.parse(FILES[f"{stage}.py"])
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lineage.")
        for alias in node.names
    }
    called = {name for name in calls(tree) if name in STEPS}
    assert called - {"publish"} <= imported, "`publish` is the opened output's"


def test_a_stage_that_does_its_steps_in_another_order_is_found() -> None:
    text = "def main():\n    with guarded_output(r) as o:\n        plan = merge_or_rebase(union_all_by_name(x), read_params(r))\n"
    found = steps(text)
    assert found == [STEPS[name] for name in ("guarded_output", "union_all_by_name", "read_params", "merge_or_rebase")]
    assert found != JOB[: len(found)]
    assert steps("def main():\n    say(carry_rows(a), b.publish())\n") == [*JOB[-3:]]
