"""Three classical accidents of people who run side by side.

The others: a forgotten push and an unshared cache (`test_worktree_finish.py`, `test_doctor.py`), SQLite in parallel
(`test_guard.py`, two merges at once).
"""

from __future__ import annotations

import sqlite3
import subprocess

import pytest
from baked_projects import Project
from worktrees_project import DATABASE, run_ids

from lineage.tracked.dvc import run_dvc


@pytest.fixture
def trained(light_trained: Project) -> Project:
    return light_trained


@pytest.mark.slow
def test_an_output_without_persist_does_not_start_the_history_over(trained: Project) -> None:
    pipeline = trained.path / "dvc.yaml"
    text = pipeline.read_text(encoding="utf-8")
    kept = "results/experiments.db:\n          persist: true"
    assert kept in text
    pipeline.write_text(text.replace(kept, "results/experiments.db:\n          persist: false"), encoding="utf-8")
    trained.set_param("model.C", 0.2)
    before = run_ids(trained)
    assert "error: results/experiments.db is missing although dvc.lock records it" in trained.repro(code=255)
    pipeline.write_text(text, encoding="utf-8")
    trained.dvc("checkout", DATABASE)
    trained.repro()
    assert set(before) < set(run_ids(trained))


def test_a_rebase_by_hand_that_nobody_confirms_changes_nothing(trained: Project) -> None:
    before = (trained.path / DATABASE).read_bytes()
    changed = trained.path.parent / "changed.db"
    changed.write_bytes(before)
    with sqlite3.connect(changed) as connection:
        connection.execute("UPDATE metrics SET f1_score = 1.0")
    options = ["--base-db", DATABASE, "--exp-db", str(changed), "--output-db", DATABASE, "--key-columns", "version"]
    said = trained.script("merge_artifacts", "--strategy", "rebase", *options, code=1)
    assert "Replace 1 rows of results/experiments.db? [y/N]: Aborted!" in said
    assert (trained.path / DATABASE).read_bytes() == before


HOLDER = """
import time
from dvc.repo import Repo
with Repo().lock:
    print("held", flush=True)
    input()
    time.sleep(5)
"""
"""Holds DVC's lock until it is given a line, and five seconds longer."""


def test_a_lock_of_dvc_is_waited_for(trained: Project) -> None:
    process = subprocess.Popen(
        ["python", "-c", HOLDER],
        cwd=trained.path,
        env=trained.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None and process.stdout.readline() == b"held\n"
    alone = trained.dvc("status", code=255)
    assert "Unable to acquire lock" in alone or "lock" in alone
    process.stdin.write(b"go on\n")
    process.stdin.flush()
    done = run_dvc(trained.path, "status")
    assert done.returncode == 0 and "up to date" in done.stdout
    process.wait()
