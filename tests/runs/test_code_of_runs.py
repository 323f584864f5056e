"""The code of a run may be many modules: they can be imported, a change in one is seen, and none is left out."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from baked_projects import Project, copy_project, stages_run
from toy_runs import UNFINISHED, new_rows, rows, start, toy
from waiting import wait_for

from lineage.core.code_hash import check_listed, code_files, code_hash

HELPER = "from training.deep import grow\nimport importlib"


@pytest.fixture
def project(trained_original: Project, tmp_path: Path) -> Project:
    return copy_project(trained_original, tmp_path)


def write(project: Project, name: str, text: str) -> None:
    path = project.path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


def type_remedy(project: Project, said: str) -> None:
    """Type the first command that an error names, as it stands."""
    command = said.split("  → ")[1].splitlines()[0]
    project.run("bash", "-c", command)


def test_the_sample_of_a_fresh_project_is_listed(baked: Project) -> None:
    check_listed(baked.path, code_files(baked.path))


def test_a_module_beside_experiment_py_is_imported_listed_and_seen_to_change(project: Project) -> None:
    toy(project, "from helper import X", xs=[1, 2])
    write(project, "helper.py", "from training import deep\nX = 1\n")
    write(project, "training/deep.py", "")  # a folder without __init__.py
    write(project, "training/unused.py", "")
    said = project.repro(code=255)
    assert "ERROR" not in said.split("error: ")[0] and "[1/2]" not in said, "found before any training"
    assert "error: dvc.yaml does not list helper.py, training/deep.py, which experiment.py imports" in said
    type_remedy(project, said)
    assert stages_run(project.repro()) == ["train", "merge_results", "promote_model"]
    first = {row["code_hash"] for row in new_rows(project)}
    assert first == {code_hash(code_files(project.path))}
    assert stages_run(project.repro()) == []
    write(project, "training/unused.py", "X = 1\n")
    assert stages_run(project.repro()) == []

    write(project, "training/deep.py", "Y = 1\n")
    assert "train" in stages_run(project.repro())
    assert first != {row["code_hash"] for row in new_rows(project)}
    assert len({row["evaluate_hash"] for row in rows(project.path / "results/experiments.db") if row["model_x"]}) == 1


def test_a_module_whose_import_cannot_be_read_is_found_when_it_is_imported(project: Project) -> None:
    toy(project, "import importlib\nimportlib.import_module(f'plugin_{x}')", xs=[1, 2])
    for number in (1, 2):
        write(project, f"plugin_{number}.py", "")
    said = project.script("train", code=1)
    assert "error: 2 of 2 runs failed:" in said and "dvc.yaml does not list plugin_1.py, which experiment.py" in said
    failed = new_rows(project, UNFINISHED)
    assert {row["status"] for row in failed} == {"failed"} and "sed -i" in failed[0]["error"]
    type_remedy(project, said)
    type_remedy(project, project.script("train", code=1))
    assert {row["status"] for row in new_rows(project)} == set()
    project.script("train")
    [before] = {row["code_hash"] for row in new_rows(project)}
    write(project, "plugin_2.py", "X = 1\n")
    project.script("train")
    assert before not in {row["code_hash"] for row in new_rows(project)}


@pytest.mark.parametrize("seen", ["at the end", "by the next run"])
def test_code_that_changes_during_the_runs_is_not_taken_for_what_ran(project: Project, seen: str) -> None:
    change = "Path('experiment.py').open('a').write('\\nX = 1\\n')"
    toy(project, f"if x == 1 and 'X = 1' not in Path('experiment.py').read_text()[-9:]:\n    {change}", xs=[1, 2])
    project.set_param("sweep.jobs", 1)
    if seen == "at the end":
        project.set_param("sweep.grid", {"model.x": [1]})
    said = project.script("train", code=1)
    by_the_next = (
        "experiment.py, or a module that it imports, was changed during the runs\n  → dvc repro   # all runs, by"
    )
    at_the_end = (
        "error: code, data or params.yaml was changed during the runs\n  → dvc repro   # does the runs that are asked"
    )
    assert (at_the_end if seen == "at the end" else by_the_next) in said
    assert new_rows(project) == [], "DVC is handed nothing"
    project.repro()
    assert {row["code_hash"] for row in new_rows(project)} == {code_hash(code_files(project.path))}


def alter(project: Project, what: str) -> None:
    """Change one thing that DVC records of the stage, as `git stash` or an editor does in the middle of the runs."""
    path = project.path / what
    if what == "params.yaml":
        project.set_param("model.x", 5)
    else:
        frame = pd.read_parquet(path)
        path.unlink()
        frame[1:].to_parquet(path)


@pytest.mark.parametrize("what", ["params.yaml", "data/train.parquet", "data/test.parquet"])
def test_params_or_data_that_change_during_the_runs_are_not_taken_for_what_ran(project: Project, what: str) -> None:
    """DVC would record them as they are at the end, and say “up to date” of runs that nobody did."""
    toy(project, "Path('began').touch()\nwhile not Path('go on').exists():\n    time.sleep(0.05)")
    before = (project.path / what).read_bytes()
    training = start(project)
    wait_for((project.path / "began").exists)
    alter(project, what)
    (project.path / "go on").touch()
    said, _ = training.communicate()
    assert training.returncode == 1
    assert "error: code, data or params.yaml was changed during the runs\n  → dvc repro   # does the runs" in said
    assert new_rows(project) == [], "DVC is handed nothing"
    [waiting] = new_rows(project, UNFINISHED)
    shown = project.run("sh", "-c", said.partition("  → git diff")[1].removeprefix("  → ") + "; dvc status").stdout
    assert what in shown, "which says what to put back"

    other = copy_project(project, project.path.parent / "other")
    other.script("train")
    [row] = new_rows(other)
    assert row["track_id"] != waiting["track_id"] and row["model_x"] == (5 if what == "params.yaml" else 0)
    (project.path / what).unlink()
    (project.path / what).write_bytes(before)
    assert "1 of 1 runs are there already" in project.script("train")
    assert new_rows(project) == [waiting], "what had ended is taken as it is"


def test_what_later_stages_read_may_change_during_the_runs(project: Project) -> None:
    toy(
        project,
        "text = Path('params.yaml').read_text()\nPath('params.yaml').write_text(text.replace('keep: 5', 'keep: 4'))",
    )
    project.script("train")
    assert "keep: 4" in (project.path / "params.yaml").read_text()
    assert [row["status"] for row in new_rows(project)] == ["ok"]


def test_the_projects_own_tests_and_a_new_measurement_import_it_too(project: Project) -> None:
    path = project.path / "experiment.py"
    text = path.read_text(encoding="utf-8").replace("TARGET = ", "from scores import SCALE\n\nTARGET = ")
    path.write_text(text.replace('"accuracy": ', '"accuracy": SCALE * '), encoding="utf-8")
    write(project, "scores.py", "SCALE = 0.5\n")
    type_remedy(project, project.repro(code=255))
    project.set_param("model.C", 0.5)
    project.repro()
    [first, _] = rows(project.path / "results/experiments.db")
    words = ("evaluate", "--run-id", first["track_id"], "--format", "json")
    measured = {row["name"]: row for row in json.loads(project.script("experiment_explorer", *words))}
    accuracy = measured["accuracy"]
    assert accuracy["recorded"] == first["accuracy"] == pytest.approx(2 * accuracy["now"]), "by the module, too"
    project.run("python", "-m", "pytest", "-q", "tests/test_experiment.py")
    project.run("python", "-c", (
        "from pathlib import Path; import sys; sys.path.insert(0, 'scripts');"
        "from lineage.core.experiment_file import load_experiment as load;"
        "assert load(Path.cwd()).SCALE == 0.5"
    ))  # fmt: skip
