"""Experiments in worktrees, as the tests of them are: the commands that are typed, and what is looked at afterwards."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from baked_projects import Project

DATABASE = "results/experiments.db"


def sh(project: Project, script: str, *arguments: str, code: int = 0) -> str:
    done = project.run(f"scripts/{script}_worktree.sh", *arguments, code=code)
    return done.stdout + done.stderr


def remedies(said: str) -> list[str]:
    """The commands after arrows, without the comments behind them."""
    return re.findall(r"→ (.*?)(?:   #.*)?$", said, re.MULTILINE)


def worktree(project: Project, name: str) -> Project:
    return Project(project.path.parent / f"exp-{name.replace('/', '-')}", project.environment)


def run_ids(project: Project) -> list[str]:
    with sqlite3.connect(f"file:{project.path}/{DATABASE}?mode=ro", uri=True) as connection:
        return [row[0] for row in connection.execute("SELECT track_id FROM metrics ORDER BY track_id")]


def worktrees(project: Project) -> list[str]:
    listed = project.git("worktree", "list", "--porcelain").splitlines()
    return [Path(line.split(" ", 1)[1]).name for line in listed if line.startswith("worktree ")]


def traces(project: Project) -> tuple[list[str], str, list[str]]:
    """Everything that worktrees leave: folders beside main, refs, and Git's own records."""
    folders = sorted(path.name for path in project.path.parent.glob("exp-*"))
    return folders, project.git("for-each-ref", "refs/heads/exp", "refs/lineage"), worktrees(project)[1:]


def kill_after(project: Project, seconds: float, *command: str) -> bool:
    """Start a command, and kill it with everything that it started; tell whether it was still at work."""
    process = subprocess.Popen(
        command, cwd=project.path, env=project.environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(seconds)
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return alive


def work_in(project: Project, name: str, version: str, **params: object) -> Project:
    """Run an experiment in its worktree, commit it, and tag the version."""
    experiment = worktree(project, name)
    experiment.set_param("experiment.version", version)
    for key, value in params.items():
        experiment.set_param(f"model.{key}", value)
    experiment.repro()
    experiment.commit(f"{version}: {params}")
    experiment.git("tag", "--annotate", version, "--message", f"{version} | {params}")
    return experiment


def metric_rows(project: Project) -> dict[str, dict[str, object]]:
    with sqlite3.connect(f"file:{project.path}/{DATABASE}?mode=ro", uri=True) as connection:
        connection.row_factory = sqlite3.Row
        return {row["track_id"]: dict(row) for row in connection.execute("SELECT * FROM metrics")}


def edit_results(project: Project, statement: str, *values: object) -> None:
    """Change the results database by hand, and never the cache that it is a link into."""
    path = project.path / DATABASE
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


def correct(project: Project, run: str, **cells: float) -> None:
    """Give cells of a run's row another value, as somebody does by hand, and let DVC record that."""
    for column, value in cells.items():
        edit_results(project, f"UPDATE metrics SET {column} = ? WHERE track_id = ?", value, run)
    project.dvc("commit", "--force", "merge_results")


def conflicts(project: Project) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = json.loads(project.script("experiment_explorer", "conflicts", "--format", "json"))
    return shown
