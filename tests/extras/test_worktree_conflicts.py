"""An experiment comes home whose rows main changed too: cell by cell, and what nobody can decide is shown until somebody does."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest
from conftest import Project
from worktrees_project import DATABASE, metric_rows, run_ids, sh, traces, work_in, worktree

pytestmark = pytest.mark.slow


def correct(project: Project, run: str, **cells: float) -> None:
    """Give cells of a run's row another value, as somebody does by hand, and let DVC record that."""
    path = project.path / DATABASE
    content = path.read_bytes()
    path.unlink()  # it is a link into the cache
    path.write_bytes(content)
    with sqlite3.connect(path) as connection:
        for column, value in cells.items():
            connection.execute(f"UPDATE metrics SET {column} = ? WHERE track_id = ?", (value, run))
    project.dvc("commit", "--force", "merge_results")


def conflicts(project: Project) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = json.loads(project.script("experiment_explorer", "conflicts", "--format", "json"))
    return shown


@pytest.mark.parametrize("taken", ["base", "incoming"])
def test_a_cell_that_main_and_an_experiment_changed_waits_for_a_decision(light_trained: Project, taken: str) -> None:
    main = light_trained
    [run] = run_ids(main)
    before = metric_rows(main)[run]
    for name in ("a", "b"):
        sh(main, "setup", name)
    correct(worktree(main, "a"), run, accuracy=0.25)
    correct(worktree(main, "b"), run, f1_score=0.5)
    for name, version in (("a", "e0.2.0"), ("b", "e0.3.0")):
        work_in(main, name, version, C=0.5)
    [second, third] = (set(run_ids(worktree(main, name))) - {run} for name in ("a", "b"))
    correct(main, run, f1_score=0.75, log_loss=0.125)
    main.repro()
    main.commit("corrected")

    sh(main, "finish", "a", "--collect")
    merged = {**before, "f1_score": 0.75, "log_loss": 0.125, "accuracy": 0.25}
    found = metric_rows(main)
    assert found[run] == merged and found.keys() == {run} | second, "different cells of one row, of both"

    head = main.git("rev-parse", "HEAD")
    said = sh(main, "finish", "b", "--collect", code=1)
    problem, cell, show, choose = said[said.index("error: ") :].splitlines()
    assert problem == "error: cells with two values, 1 in all (base | ours | theirs):"
    assert f" — f1_score: {before['f1_score']!r} | 0.75 | 0.5" in cell
    assert show == "  → python scripts/experiment_explorer.py conflicts   # shows all of them"
    for _ in range(2):
        [one] = conflicts(main)
        assert one.pop("key").startswith(f"track_id={run}, timestamp=")
        assert one == {
            "table": "metrics", "column": "f1_score", "base": before["f1_score"], "ours": 0.75, "theirs": 0.5
        }  # fmt: skip
        main.git("status")
    assert main.git("rev-parse", "HEAD") == head and main.git("status", "--porcelain") == ""
    assert metric_rows(main) == found and "up to date" in main.dvc("status")
    assert run_ids(worktree(main, "b")) == sorted({run} | third), "the experiment is as it was, too"

    main.run("sh", "-c", choose.removeprefix("  → ").replace("on-conflict base", f"on-conflict {taken}"))
    assert "removed " in sh(main, "finish", "b", "--collect")
    theirs = {**before, "f1_score": 0.5}
    assert metric_rows(main)[run] == (merged if taken == "base" else theirs)
    assert metric_rows(main).keys() == {run} | second | third
    assert conflicts(main) == [] and traces(main) == ([], "", [])
    assert main.git("status", "--porcelain") == "" and "up to date" in main.dvc("status")
    assert (main.path / f"results/predictions/{third.pop()}.parquet").is_file()
