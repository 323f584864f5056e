"""What tests of models ask a trained project, and how they change its rows."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from baked_projects import Project

from lineage.core.errors import LineageError
from lineage.tracked.cache import cache_folder

Rows = list[dict[str, Any]]


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def rows(project: Project, order: str = "timestamp") -> Rows:
    with sqlite3.connect(f"file:{project.path}/results/experiments.db?mode=ro", uri=True) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"SELECT * FROM metrics ORDER BY {order}")]


def add_rows(project: Project, *changes: dict[str, Any]) -> None:
    """Copy the first run's row under other ids, as a merge of a colleague's database would leave it."""
    path = project.path / "results/experiments.db"
    first = rows(project)[0]
    content = path.read_bytes()
    path.unlink()  # it is a link into the cache
    path.write_bytes(content)
    with sqlite3.connect(path) as connection:
        for change in changes:
            row = {**first, **change}
            names = ", ".join(f'"{name}"' for name in row)
            connection.execute(f"INSERT INTO metrics ({names}) VALUES ({', '.join('?' * len(row))})", [*row.values()])


def card(project: Project) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((project.path / "models/production/model.json").read_text())
    return content


def candidates(project: Project) -> set[str]:
    return {path.name.removesuffix("_model.bin") for path in (project.path / "models/candidates").iterdir()}


def models(project: Project, *arguments: str, code: int = 0, cwd: Path | None = None) -> str:
    script = str(project.path / "scripts/model_manager.py")
    done = project.run("python", script, *arguments, code=code, cwd=cwd)
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def object_of(project: Project, digest: str) -> Path:
    [found] = project.path.parent.glob(f"cache/files/md5/{digest[:2]}/{digest[2:]}")
    return found


def stand_inside(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Let this process stand in a project, as one that calls the library does."""
    monkeypatch.chdir(project.path)
    monkeypatch.setenv("HOME", project.environment["HOME"])
    cache_folder.cache_clear()
    return project


def refusal(work: Callable[[], object], kind: type[LineageError]) -> str:
    with pytest.raises(kind) as caught:
        work()
    return str(caught.value)
