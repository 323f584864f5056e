"""What people type out of habit works, or is explained in one line: no environment, `… | head`, --help, known options."""

from __future__ import annotations

import sqlite3
import sys
import venv
from pathlib import Path

import pytest
from baked_projects import SOURCE, Project

SCRIPTS = sorted(path.name for path in (SOURCE / "scripts").glob("*.py"))
SHELLS = sorted(path.name for path in (SOURCE / "scripts").glob("*.sh"))


@pytest.fixture
def here(tmp_path: Path) -> Project:
    """A folder that is no project, and this machine's commands."""
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(tmp_path), "LANG": "C.UTF-8"}
    return Project(tmp_path, {**environment, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(SOURCE / "scripts")})


@pytest.mark.slow
def test_every_script_answers_help_from_any_folder(here: Project) -> None:
    for name in SCRIPTS:
        assert "usage: " in here.run("python", str(SOURCE / "scripts" / name), "--help").stdout.lower(), name
    for name in SHELLS:
        assert "Usage: " in here.run(str(SOURCE / "scripts" / name), "--help").stdout, name


@pytest.mark.slow
def test_without_the_environment_every_command_says_so_in_one_line(baked: Project, tmp_path: Path) -> None:
    """As with `python scripts/…` before `source .venv/bin/activate`."""
    venv.create(tmp_path / "bare", symlinks=True)
    bare = str(tmp_path / "bare/bin")
    environment = {**baked.environment, "PATH": f"{bare}:/usr/bin:/bin"}
    project = Project(baked.path, environment)
    said = "error: {} is not installed in the Python that runs this\n  → make setup && . .venv/bin/activate\n"
    for name in SCRIPTS:
        if name != "setup_project.py":  # which needs no package
            assert project.run("python", f"scripts/{name}", code=2).stderr == said.format("typer"), name
    for name in SHELLS:
        assert project.run(f"scripts/{name}", "a", code=2).stderr == said.format("typer"), name
    packages = Path(sys.prefix) / f"lib/python3.{sys.version_info.minor}/site-packages"
    for package in packages.iterdir():  # and a Python that has some of them
        there = tmp_path / "bare" / package.relative_to(sys.prefix)
        if not (there.exists() or package.name.startswith(("duckdb", "_duckdb", "dvc"))):
            there.symlink_to(package)
    sqlite3.connect(tmp_path / "new.db").close()
    files = ("--exp-db", f"{tmp_path}/new.db", "--output-db", f"{tmp_path}/out.db")
    merge = project.run("python", "scripts/merge_artifacts.py", "--strategy", "merge", *files, code=2)
    assert merge.stderr == said.format("duckdb")


def test_the_work_goes_on_where_nobody_reads_any_more(here: Project) -> None:
    """`… | head -1` ends quietly, and what was asked for is done."""
    for name, key in (("base", 1), ("new", 2)):
        with sqlite3.connect(here.path / f"{name}.db") as connection:
            for table in ("a", "b", "c"):
                connection.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY)")
                connection.execute(f"INSERT INTO {table} VALUES ({key})")
    files = "--base-db base.db --exp-db new.db --output-db out.db"
    typed = f"{{ python {SOURCE}/scripts/merge_artifacts.py --strategy merge {files}; echo $? >&2; }} | true"
    assert here.run("sh", "-c", typed).stderr == "0\n"
    with sqlite3.connect(here.path / "out.db") as connection:
        assert connection.execute("SELECT id FROM c ORDER BY id").fetchall() == [(1,), (2,)]
    assert sorted(path.name for path in here.path.iterdir()) == ["base.db", "new.db", "out.db"], "no lock is left"


@pytest.mark.slow
def test_key_columns_may_be_given_with_commas(here: Project) -> None:
    script = f"{SOURCE}/scripts/merge_artifacts.py"
    for name, value in (("base", 1), ("new", 2)):
        with sqlite3.connect(here.path / f"{name}.db") as connection:
            connection.execute("CREATE TABLE t (run TEXT, seed INTEGER, x INTEGER)")
            connection.execute(f"INSERT INTO t VALUES ('r', 7, {value})")
    words = ("--base-db", "base.db", "--exp-db", "new.db", "--output-db", "out.db", "--yes")
    refused = here.run("python", script, "--strategy", "rebase", *words, code=2).stderr
    assert refused.endswith("which rows are replaced?\n  → set --key-columns\n"), "params.yaml says nothing here"
    for keys in (["--key-columns", "run,seed"], ["--key-columns=run,seed"], ["--key-columns", "run", "seed"]):
        here.run("python", script, "--strategy", "rebase", *words, *keys)
        with sqlite3.connect(here.path / "out.db") as connection:
            assert connection.execute("SELECT * FROM t").fetchall() == [("r", 7, 2)]
        (here.path / "out.db").unlink()


@pytest.mark.slow
def test_options_of_the_public_reference_work_or_are_explained(light_trained: Project) -> None:
    project = light_trained
    for command in (("model_manager", "list"), ("model_manager", "info"), ("model_manager", "prune", "--keep", "5")):
        project.script(*command, "--db", "results/experiments.db")
    said = project.script("model_manager", "list", "--db", "other.db", code=2)
    assert said == "error: --db: this command knows results/experiments.db only\n  → leave --db out\n"
    said = project.script("version_tag", "--version", "e0.1.0", "--db", "results/experiments.db", "--dry-run")
    assert said == project.script("version_tag", "--suggest") and project.git("tag") == ""
    project.script("version_tag", "--version", "e0.1.0", "--db", "results/experiments.db")
    shown = project.script("version_tag", "--show", "e0.1.0")
    assert shown == project.script("experiment_explorer", "show", "--version", "e0.1.0")
    for form in ("table", "json", "csv", "md"):  # `… | head` ends quietly
        typed = f"{{ python scripts/version_tag.py --list --format {form}; echo $? >&2; }} | true"
        assert project.run("sh", "-c", typed).stderr == "0\n"
