"""A version becomes a folder beside the project, and goes again without taking work with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from baked_projects import Project, copy_project
from versions_project import Versions, explore, make_dirty, state

from lineage.tracked.cache import object_path
from lineage.tracked.recorded import recorded_outputs

pytestmark = pytest.mark.slow


def test_a_version_is_checked_out_beside_the_project_and_cleaned_up(versions: Versions, tmp_path: Path) -> None:
    project = copy_project(versions.project, tmp_path / "copy")
    before = make_dirty(project)
    folder = tmp_path / "copy/explore-e0.3.0"
    assert explore(project, "checkout", "--version", "e0.3.0") == f"ready: {folder}\n"
    there = Project(folder, project.environment)
    for name, data in versions.seen["e0.3.0"].items():
        assert (folder / name).read_bytes() == data, name
    assert there.git("rev-parse", "HEAD") == project.git("rev-parse", "e0.3.0^{commit}")
    assert "Data and pipelines are up to date." in there.dvc("status")
    assert state(project) == before
    assert explore(project, "checkout", "--version", "e0.3.0", code=1).startswith(
        f"error: {folder} exists\n  → python scripts"
    )
    explore(project, "checkout", "--version", "e0.1.0")
    other = tmp_path / "copy/explore-e9.9.9"
    project.git("-c", "core.hooksPath=/dev/null", "worktree", "add", "--quiet", "--detach", str(other), "e0.1.0")
    assert explore(project, "worktrees", "--format", "csv") == (
        f"version,folder,changes\ne0.1.0,{folder.parent}/explore-e0.1.0,\ne0.3.0,{folder},\n"
    )
    for change in ("notes.txt", "build/plot.png", "results/runs/new.db"):
        path = folder / change
        path.parent.mkdir(exist_ok=True)
        path.write_text("work", encoding="utf-8")
        assert explore(project, "cleanup", code=1).startswith(f"error: {folder} has changes: {change.split('/')[0]}")
        assert (folder.parent / "explore-e0.1.0").exists(), "nothing is removed when one is refused"
        path.unlink()
        if change.startswith("build"):
            path.parent.rmdir()
    there.git("commit", "--quiet", "--allow-empty", "--no-verify", "--message", "work")
    assert "has changes: commits" in explore(project, "cleanup", "--version", "e0.3.0", code=1)
    assert explore(project, "cleanup", "--version", "e0.1.0") == f"removed {folder.parent}/explore-e0.1.0\n"
    assert explore(project, "cleanup", "--force") == f"removed {folder}\n"
    assert not folder.exists() and other.exists(), "a worktree that the user made stays"
    assert "checkout made no worktree of e0.1.0" in explore(project, "cleanup", "--version", "e0.1.0", code=1)
    other.rename(tmp_path / "copy/explore-e0.2.0")
    assert explore(project, "cleanup") == "" and (tmp_path / "copy/explore-e0.2.0").exists()


def test_a_checkout_that_fails_leaves_nothing(versions: Versions, tmp_path: Path) -> None:
    project = copy_project(versions.project, tmp_path / "copy")
    md5 = recorded_outputs(project.path, "e0.1.0")["data/train.parquet"]
    object_path(project.path, md5).unlink()
    (tmp_path / "copy/digit-experiments-remote/files/md5" / md5[:2] / md5[2:]).unlink()
    said = explore(project, "checkout", "--version", "e0.1.0", code=1)
    assert said.startswith(f"error: object {md5} is not in the cache and not in the remote")
    assert not (tmp_path / "copy/explore-e0.1.0").exists()
    assert len(project.git("worktree", "list").splitlines()) == 1
    occupied = tmp_path / "copy/explore-e0.2.0"
    occupied.mkdir()
    (occupied / "mine.txt").write_text("mine", encoding="utf-8")
    explore(project, "checkout", "--version", "e0.2.0", code=1)
    assert (occupied / "mine.txt").read_text() == "mine"
