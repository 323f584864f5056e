"""A repository that Git refuses is no missing one: Git's own words come through, and the command that it advises."""

from __future__ import annotations

from pathlib import Path

import pytest
from baked_projects import Project

from lineage.core.errors import Refused
from lineage.tracked.git import code_state, git


@pytest.mark.slow
def test_a_repository_that_git_cannot_read_is_not_taken_for_none(fresh: Project) -> None:
    config = fresh.path / ".git/config"
    before = config.read_text()
    config.write_text(before.replace("repositoryformatversion = 0", "repositoryformatversion = 9"))
    with pytest.raises(Refused, match=r"fatal: Expected git repo version .*\n  → git status$"):
        code_state(fresh.path)
    said = fresh.run("python", "scripts/setup_project.py", code=1).stdout
    assert said.startswith("✗ git     fatal: Expected git repo version") and len(said.splitlines()) == 2
    assert "Expected git repo version" in fresh.run("git", "status", code=128).stderr
    config.write_text(before)
    assert "✓ git " in fresh.run("python", "scripts/setup_project.py").stdout


@pytest.mark.parametrize("language", ["C.UTF-8", "de_DE.UTF-8"])
def test_where_there_is_no_repository_nothing_is_refused(
    tmp_path: Path, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", language)
    assert git(tmp_path, "rev-parse", "HEAD") is None and code_state(tmp_path) == (None, None)


@pytest.mark.slow
def test_a_project_of_another_owner_names_the_exception_that_git_wants(
    fresh: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root in a container on a mounted folder; Git's own tests have a variable for it."""
    owner = {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    for name, value in (*owner.items(), ("HOME", fresh.environment["HOME"])):
        monkeypatch.setenv(name, value)
    said = fresh.run("python", "scripts/setup_project.py", code=1, **owner).stdout
    remedy = f"git config --global --add safe.directory {fresh.path}"
    problem = f"fatal: detected dubious ownership in repository at '{fresh.path}'"
    assert said == f"✗ git     {problem}\n    → {remedy}\n"
    with pytest.raises(Refused, match="dubious ownership"):
        code_state(fresh.path)
    fresh.run("sh", "-c", remedy)
    assert code_state(fresh.path)[1] == 0
    assert "✓ git     repository is there" in fresh.run("python", "scripts/setup_project.py", **owner).stdout
