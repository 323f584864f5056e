"""A project and its colleague's clone: what tests of both need."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
from pathlib import Path

from baked_projects import Project

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
    project.set_param("promote.confidence", None)  # a small gain promotes it


def ada_and_bob(trained: Project, folder: Path) -> tuple[Project, Project]:
    """Ada, who has pushed e0.1.0 to a bare repository, and Bob, who cloned it: other cache, same remote of DVC."""
    origin = folder / "origin.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(origin)], check=True)
    trained.git("remote", "add", "origin", str(origin))
    trained.script("version_tag", "--version", "e0.1.0", "--push")
    name = {"GIT_AUTHOR_NAME": "Bob", "GIT_COMMITTER_NAME": "Bob"}
    bob = Project(folder / "bob/digit-experiments", {**trained.environment, **name})
    trained.run("git", "clone", "--quiet", str(origin), str(bob.path))
    local = (trained.path / ".dvc/config.local").read_text(encoding="utf-8")
    (bob.path / ".dvc/config.local").write_text(local.replace("/cache", "/bob/cache"), encoding="utf-8")
    bob.dvc("remote", "modify", "--local", "storage", "url", str(folder / "digit-experiments-remote"))
    bob.dvc("pull")
    return trained, bob
