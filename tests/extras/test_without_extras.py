"""Projects without extras: not installed, or deleted. Everything else works, and one command brings them back."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from conftest import Project, copy_project, stages_run
from toy_runs import databases

EXTRAS = {
    "search": ("sweep.search", "sweep.search.trials", 3, 0),
    "cluster": ("sweep.backend", "sweep.backend", "dask", "loky"),
}
"""How the message names what asks for it, and the key with a value that does, and one that does not."""

REMEDY = "make setup EXTRAS={}"


@pytest.fixture
def project(light_original: Project, tmp_path: Path) -> Project:
    return copy_project(light_original, tmp_path)


def refused(project: Project, extra: str, missing: str, **environment: str) -> None:
    """Asking for an extra ends with one line, and changes nothing."""
    named, key, wanted, off = EXTRAS[extra]
    before = [path.name for path in databases(project)]
    project.set_param(key, wanted)
    output = project.script("train", code=2, **environment)
    problem = f"{named} in params.yaml asks for an extra that is not here: No module named '{missing}'"
    assert output == f"error: {problem}\n  → {REMEDY.format(extra)}\n"
    assert [path.name for path in databases(project)] == before
    project.set_param(key, off)


def report_refused(project: Project, missing: str, **environment: str) -> None:
    """So do the commands of the report; its packages are named."""
    for command in ("report", "plot"):
        output = project.script("experiment_explorer", command, code=2, **environment)
        problem = f"experiment_explorer.py {command} asks for an extra that is not here: No module named '{missing}'"
        assert output == f"error: {problem}\n  → {REMEDY.format('report')}\n"


def set_up(project: Project, extra: str) -> None:
    """Type the remedy; VENV leads it to the environment that runs these tests, so nothing is installed."""
    project.run(*REMEDY.format(extra).split(), f"VENV={sys.prefix}")


def searches(project: Project) -> bool:
    project.set_param("sweep.grid", {})
    project.set_param("sweep.search.trials", 2)
    return "[2/2]" in project.script("train")


def test_without_the_folders_everything_else_works_and_they_come_back(
    trained: Project, mypy_cache: dict[str, str]
) -> None:
    for extra in EXTRAS:
        shutil.rmtree(trained.path / "scripts/lineage/extras" / extra)
    shutil.rmtree(trained.path / "scripts/lineage/extras/report")
    for extra in EXTRAS:
        refused(trained, extra, f"lineage.extras.{extra}")
    report_refused(trained, "lineage.extras.report")
    assert "wrote report.html" in trained.run("make", "report", f"VENV={sys.prefix}").stdout, "it comes back by itself"
    set_up(trained, "search")
    assert searches(trained), "deleted and not committed"
    trained.git("checkout", "params.yaml")

    shutil.rmtree(trained.path / "scripts/lineage/extras")
    trained.set_param("sweep.grid", {"model.C": [0.5, 2.0]})
    trained.commit("no extras here")
    trained.drop_batch(2)
    assert stages_run(trained.repro()) == ["merge_data", "train", "merge_results", "promote_model"]
    for command in (
        ["doctor"],
        ["experiment_explorer", "list"],
        ["model_manager", "info"],
        ["version_tag", "--suggest"],
    ):
        trained.script(*command)
    trained.run("make", "test", f"VENV={sys.prefix}")
    trained.run("mypy", **mypy_cache)
    refused(trained, "search", "lineage.extras")
    set_up(trained, "search")
    assert searches(trained), "deleted by a commit"
    set_up(trained, "cluster")
    assert (trained.path / "scripts/lineage/extras/cluster/sweep.py").exists()


def test_without_their_packages_all_but_the_extras_works(project: Project, tmp_path: Path) -> None:
    for name in ("vl_convert", "optuna", "dask", "distributed"):
        missing = f"raise ModuleNotFoundError(\"No module named '{name}'\", name='{name}')\n"
        (tmp_path / f"{name}.py").write_text(missing)
    without = {"PYTHONPATH": str(tmp_path)}
    refused(project, "search", "optuna", **without)
    refused(project, "cluster", "distributed", **without)
    report_refused(project, "vl_convert", **without)
    project.set_param("model.C", 0.5)
    assert "[1/1]" in project.script("train", **without)


def test_an_extra_that_there_is_not_is_named(fresh: Project) -> None:
    done = fresh.run("make", "setup", "EXTRAS=serch", f"VENV={sys.prefix}", code=2)
    assert (
        "error: there is no extra serch\n  → make setup EXTRAS=search   # or EXTRAS=cluster, EXTRAS=formats, EXTRAS=report\n"
        in done.stdout
    )


def test_what_is_not_used_is_not_imported(project: Project) -> None:
    done = project.run("python", "-X", "importtime", "scripts/train.py")
    assert "[1/1]" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "lineage.runs.run_plan" in imported
    assert not {
        name for name in imported if name.startswith(("vl_convert", "optuna", "dask", "distributed", "lineage.extras"))
    }
