"""A project and its colleague's clone: what tests of both need."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

from conftest import Project

DATABASE = "results/experiments.db"


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def versions(project: Project) -> list[str]:
    with sqlite3.connect(f"file:{project.path}/{DATABASE}?mode=ro", uri=True) as connection:
        return [row[0] for row in connection.execute("SELECT version FROM metrics ORDER BY version")]


def clone(project: Project, folder: Path) -> Project:
    """A colleague's clone on a machine of their own: other cache, same remote."""
    project.dvc("push")
    folder.mkdir()
    colleague = Project(folder / "digit-experiments", {**project.environment, "HOME": str(folder)})
    Project(folder, colleague.environment).git("clone", "--quiet", str(project.path), str(colleague.path))
    colleague.run(
        "dvc", "remote", "modify", "--local", "storage", "url", f"{project.path.parent}/digit-experiments-remote"
    )
    return colleague


def next_version(project: Project, version: str = "e0.2.0") -> None:
    project.set_param("experiment.version", version)
    project.set_param("model.C", 0.1)
