"""`import lineage`, from any folder, in whatever environment `make setup` made."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from baked_projects import SOURCE, Bakery, Project
from environments import make_environment, set_up
from light_project import train_light
from versions_project import Versions

NOTEBOOK = SOURCE / "notebooks/explore.ipynb"
WHERE = "import lineage; print(lineage.__file__)"


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    return make_environment(tmp_path / "environment")


def package_of(project: Project, environment: Path, folder: Path) -> str:
    """The package that Python finds in a folder."""
    return project.run(str(environment / "bin/python"), "-c", WHERE, cwd=folder).stdout.strip()


@pytest.mark.slow
def test_importing_is_fast_and_loads_nothing_that_is_slow(fresh: Project) -> None:
    code = "import time; a = time.perf_counter(); import lineage; b = time.perf_counter(); import sys; print(b - a)"
    code += "; print(sorted({'pandas', 'duckdb', 'numpy', 'pydantic', 'typer', 'yaml', 'dvc'} & set(sys.modules)))"
    said = [fresh.run("python", "-c", code, PYTHONPATH="scripts").stdout.splitlines() for _ in range(3)]
    assert min(float(seconds) for seconds, _ in said) < 0.1
    assert {modules for _, modules in said} == {"[]"}


@pytest.mark.slow
def test_the_functions_are_there_and_stay_when_rooms_of_their_name_are_imported(fresh: Project) -> None:
    code = """
import lineage
before = lineage.runs
from lineage.runs.run import Run
import lineage.runs.sweep
assert lineage.runs is before and callable(before) and Run.__module__ == "lineage.runs.run"
from lineage import sql, runs
assert runs is before and "`FROM`" not in sql.__doc__ and "versions:" in sql.__doc__
print(dir(lineage))
try:
    lineage.nothing
except AttributeError as error:
    print(error)
"""
    said = fresh.run("python", "-c", code.replace("import Run", "import Facts as Run"), PYTHONPATH="scripts").stdout
    names = "['data', 'events', 'load_model', 'predictions', 'runs', 'sql']"
    assert said == f"{names}\nmodule 'lineage' has no attribute 'nothing'\n"


@pytest.mark.slow
def test_make_setup_makes_it_work_in_every_folder_of_every_project(bake: Bakery, environment: Path) -> None:
    """Two projects and a worktree share an environment: each has its own package."""
    one = bake()
    two = bake(project_name="Other")
    set_up(one, environment)
    packages = {}
    for project in (one, two):
        for folder in ("", "notebooks", "data/incoming"):
            packages[project.path.name, folder] = package_of(project, environment, project.path / folder)
    assert packages == {
        (project.path.name, folder): str(project.path / "scripts/lineage/__init__.py")
        for project in (one, two)
        for folder in ("", "notebooks", "data/incoming")
    }
    [file] = environment.glob("lib/python3*/site-packages/lineage.py")
    before = file.stat()
    set_up(two, environment)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)

    (one.path / ".venv").symlink_to(environment)
    train_light(one)
    one.script("worktree", "setup_worktree.sh", "side")
    side = one.path.parent / "exp-side"
    there = one.run(str(side / ".venv/bin/python"), "-c", f"{WHERE}; print(len(lineage.runs()))", cwd=side).stdout
    assert there == f"{side}/scripts/lineage/__init__.py\n1\n"

    outside = one.run(str(environment / "bin/python"), "-c", WHERE, cwd=one.path.parent, code=1).stderr
    assert outside.endswith(
        f"ModuleNotFoundError: {one.path.parent} is not inside a project, which has the package lineage\n"
        "  → cd into the project\n"
    )


def test_the_notebook_holds_no_outputs() -> None:
    content = json.loads(NOTEBOOK.read_text("utf-8"))
    cells = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    assert len(cells) == 5 and all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


def test_the_notebook_shows_what_was_recorded(versions: Versions, environment: Path, tmp_path: Path) -> None:
    project = versions.project
    python = environment / "bin/python"
    [packages] = environment.glob("lib/python3*/site-packages")
    shutil.copyfile(project.path / "scripts/lineage/extras/access/import_lineage.py", packages / "lineage.py")
    script = Path(__file__).parents[1] / "execute_notebook.py"
    result = tmp_path / "result.ipynb"
    project.run(str(python), str(script), str(project.path / "notebooks/explore.ipynb"), str(result))
    cells = json.loads(result.read_text("utf-8"))["cells"]
    shown = {cell["id"]: "".join(output_of(cell)) for cell in cells if cell["cell_type"] == "code"}
    assert shown["versions"].split()[:3] == ["source", "runs", "best"]
    assert re.findall(r"(e\d\S+) +(\d)", shown["versions"]) == [
        ("e0.1.0", "1"), ("e0.2.0", "1"), ("e0.3.0", "1"), ("e1.0.0", "1"), ("e1.10.0", "2"),
    ]  # fmt: skip
    assert "model_C" in shown["runs"] and "item_id" in shown["items"]
    assert shown["model"].startswith("array([") and "step" in shown["events"]
    assert (project.path / "notebooks/explore.ipynb").read_bytes() == NOTEBOOK.read_bytes()


def output_of(cell: dict[str, list[dict[str, dict[str, list[str]]]]]) -> list[str]:
    return cell["outputs"][-1]["data"]["text/plain"]


@pytest.mark.slow
def test_a_hook_refuses_outputs_in_a_commit(fresh: Project) -> None:
    check = ("pre-commit", "run", "notebook-outputs", "--all-files")
    fresh.run(*check)
    notebook = fresh.path / "notebooks/explore.ipynb"
    content = json.loads(notebook.read_text("utf-8"))
    clean = notebook.read_bytes()
    cell = next(cell for cell in content["cells"] if cell["cell_type"] == "code")
    for change in ({"execution_count": 1}, {"outputs": [{"output_type": "stream", "name": "stdout", "text": ["1"]}]}):
        notebook.write_text(json.dumps({**content, "cells": [{**cell, **change}]}, indent=1), encoding="utf-8")
        fresh.git("add", "notebooks")
        said = fresh.run(*check, code=1).stdout
        assert "no outputs in notebooks (clear them, save, git add again)" in said
    notebook.write_bytes(clean)
    fresh.run(*check)
