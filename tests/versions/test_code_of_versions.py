"""A tag is only made of the code that ran; one made by hand that lies is found, whatever Git says of the commit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from baked_projects import Project, copy_project
from versions_project import proof, tag_by_hand


@pytest.fixture(scope="module")
def helped_original(light_original: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose experiment.py imports a module, which dvc.yaml lists, after a run that is not committed."""
    made = copy_project(light_original, tmp_path_factory.mktemp("helped"))
    path = made.path / "experiment.py"
    path.write_text(path.read_text().replace("import numpy", "from helper import X  # noqa: F401\nimport numpy"))
    (made.path / "helper.py").write_text("X = 1\n")
    made.run("bash", "-c", made.repro(code=255).split("  → ")[1].splitlines()[0])
    made.repro()
    return made


@pytest.fixture
def project(helped_original: Project, tmp_path: Path) -> Project:
    return copy_project(helped_original, tmp_path)


def remedy(said: str) -> str:
    """The command for the code; that there is no Git remote has a remedy of its own."""
    commands = [part.splitlines()[0] for part in said.split("  → ")[1:]]
    return next(command for command in commands if not command.startswith("git remote add"))


def test_code_that_did_not_run_is_not_tagged(project: Project) -> None:
    project.commit("with a helper")
    (project.path / "helper.py").write_text("X = 2\n")
    project.git("commit", "--quiet", "--no-verify", "--all", "--message", "another helper")
    assert "dvc status is not clean: train" in project.script("version_tag", "--version", "e0.1.0", code=1)
    project.dvc("commit", "--force")  # which says that nothing of the code counts
    said = project.script("version_tag", "--version", "e0.1.0", "--commit", "x", code=1)
    assert " had another experiment.py, or a module that it imports\n" in said
    assert project.git("tag") == "" and "dvc.lock" in project.git("status", "--porcelain")
    project.run("bash", "-c", remedy(said))
    project.script("version_tag", "--version", "e0.1.0", "--commit", "what ran")
    project.dvc("push")
    assert proof(project, "e0.1.0", code=0)["code"] == "yes", "the rows say git_dirty 1, and the code is proved"


def test_a_tag_of_other_code_is_found_by_what_the_runs_recorded(project: Project) -> None:
    (project.path / "helper.py").write_text("X = 2\n")
    project.dvc("commit", "--force")
    tag_by_hand(project, "e0.1.0")
    row = proof(project, "e0.1.0", code=1)
    assert row["code"] == "no" and re.search(r"code: run \S+ had other code$", row["problem"])
    project.dvc("push")
    said = project.script("experiment_explorer", "verify", "--version", "e0.1.0", code=1)
    project.run("bash", "-c", remedy(said))
    project.script("version_tag", "--version", "e0.1.1", "--commit", "the code that runs")
    project.dvc("push")
    assert proof(project, "e0.1.1", code=0)["code"] == "yes"


def test_a_module_that_is_committed_after_the_run_is_what_ran(project: Project) -> None:
    """As people work: run first, then commit."""
    project.script("version_tag", "--list")
    project.git("add", "helper.py")
    project.script("version_tag", "--version", "e0.1.0", "--commit", "with a helper")
    project.dvc("push")
    assert proof(project, "e0.1.0", code=0)["code"] == "yes"
