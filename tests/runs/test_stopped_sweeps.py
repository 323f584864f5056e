"""Sweeps that were stopped go on: what is done is not done again, whatever stopped them."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from baked_projects import Project, copy_project, stages_run
from toy_runs import UNFINISHED, contents, databases, md5, models, new_rows, rows, start, toy
from waiting import wait_for


@pytest.fixture
def project(trained_original: Project, tmp_path: Path) -> Project:
    return copy_project(trained_original, tmp_path)


def workers_of(project: Project) -> list[int]:
    """Process ids that runs of the toy have written down, of those that are alive."""
    found = [int(path.name.partition("-")[2]) for path in project.path.glob("pid-*")]
    return [
        pid
        for pid in found
        if Path(f"/proc/{pid}/stat").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text()
    ]


SLOW = "Path(f'pid-{os.getpid()}').touch()\nPath(f'began-{x}').touch()\nif x > 2 and Path('slow').exists():\n    time.sleep(60)"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "Ctrl-C"])
def test_a_sweep_that_was_stopped_does_only_what_is_missing(project: Project, how: signal.Signals) -> None:
    toy(project, SLOW, xs=[1, 2, 3, 4, 5])
    (project.path / "slow").touch()
    running = start(project)
    wait_for(lambda: len(new_rows(project, UNFINISHED)) == 2 and (project.path / "began-3").exists())
    assert workers_of(project)
    running.send_signal(how)
    output = running.communicate()[0]
    assert running.returncode == (-signal.SIGKILL if how == signal.SIGKILL else 130)
    wait_for(lambda: not workers_of(project), 10)
    if how == signal.SIGINT:
        assert "interrupted" in output and "Traceback" not in output
    done = {row["model_x"]: row["track_id"] for row in new_rows(project, UNFINISHED)}
    before = contents(project, UNFINISHED, done.values())
    assert sorted(done) == [1, 2]

    (project.path / "slow").unlink()
    output = project.script("train")
    assert output.startswith("2 of 5 runs are there already, from a session that did not end\n[1/3] ")
    assert "[3/3]" in output and "warning" not in output
    after = {row["model_x"]: row["track_id"] for row in new_rows(project)}
    assert sorted(after) == [1, 2, 3, 4, 5] and after.items() >= done.items()
    assert contents(project, "results/runs", done.values()) == before
    assert len(databases(project)) == len(list((project.path / "models/trained").iterdir())) == 5
    assert databases(project, UNFINISHED) == []


def test_code_that_the_user_lists_in_dvc_yaml_counts_and_what_python_leaves_beside_it_does_not(
    project: Project,
) -> None:
    (project.path / "mylib").mkdir()
    (project.path / "mylib/layers.py").write_text("width = 1\n")
    pipeline = project.path / "dvc.yaml"
    pipeline.write_text(
        pipeline.read_text().replace("      - experiment.py\n", "      - experiment.py\n      - mylib\n", 1)
    )
    toy(project)
    project.script("train")
    (project.path / "mylib/__pycache__").mkdir()
    (project.path / "mylib/__pycache__/layers.cpython-311.pyc").write_bytes(b"x")
    assert "1 of 1 runs are there already" in project.script("train")
    [first] = databases(project)
    (project.path / "mylib/layers.py").write_text("width = 2\n")
    assert "there already" not in project.script("train")
    (project.path / "mylib/layers.py").write_text("width = 1\n")
    assert "1 of 1 runs are there already" in project.script("train"), "DVC has not cached it, and it waited"
    assert [path.name for path in databases(project)] == [first.name]


def test_unfinished_runs_of_other_code_wait_until_they_fit_again(project: Project) -> None:
    mistake = "if x == 3 and not Path('mended').exists():\n    raise RuntimeError('a mistake')"
    toy(project, mistake, xs=[1, 2, 3])
    project.script("train", code=1)
    old = {path.name: md5(path) for path in databases(project, UNFINISHED)}
    toy(project, "pass", xs=[1, 2, 3])
    output = project.script("train")
    assert "[3/3]" in output and "there already" not in output
    assert {path.name: md5(path) for path in databases(project, UNFINISHED)} == old and len(old) == 3
    assert len(list((project.path / UNFINISHED).glob("*/*_model.bin"))) == 2
    assert {row["status"] for row in new_rows(project)} == {"ok"} and len(databases(project)) == 3
    assert project.git("status", "--porcelain", UNFINISHED) == ""

    toy(project, mistake, xs=[1, 2, 3])
    (project.path / "mended").touch()
    assert "2 of 3 runs are there already" in project.script("train")
    assert {path.name for path in databases(project)} == set(old), "what failed is done again under its id"


def test_a_failed_sweep_goes_on_under_dvc_and_a_finished_one_runs_anew(project: Project) -> None:
    toy(project, "if x == 3 and not Path('mended').exists():\n    raise OSError('disk is gone')", xs=[1, 2, 3])
    assert "error: 1 of 3 runs failed:" in project.repro(code=255)
    toy_code, toy_params = [(project.path / name).read_text() for name in ("experiment.py", "params.yaml")]
    project.git("checkout", "experiment.py", "params.yaml")
    assert stages_run(project.repro()) == [], "going back from a failure is free"
    (project.path / "experiment.py").write_text(toy_code)
    (project.path / "params.yaml").write_text(toy_params)
    (project.path / "mended").touch()
    assert "2 of 3 runs are there already" in project.repro()
    first = {row["track_id"] for row in new_rows(project)}
    assert len(first) == 3 and stages_run(project.repro()) == []
    output = project.repro("--force", "--single-item", "train")
    assert "there already" not in output and "[3/3]" in output
    second = {row["track_id"] for row in new_rows(project)}
    assert len(second) == 3 and not first & second
    project.repro()
    recorded = {row["track_id"] for row in rows(project.path / "results/experiments.db")}
    assert first | second < recorded

    (project.path / "mended").unlink()
    project.repro("--force", "--single-item", "train", code=255)
    (project.path / "mended").touch()
    assert "2 of 3 runs are there already" in project.repro("--force", "--single-item", "train")
    assert set(models(project)) == {1, 2, 3}, "models of the same bytes as those of a finished sweep stay"


@pytest.mark.parametrize("file", ["{}.parquet", "{}_model.bin"])
def test_a_run_is_whole_only_with_the_predictions_and_the_model_that_its_row_names(project: Project, file: str) -> None:
    toy(project, "if x == 3 and not Path('mended').exists():\n    raise RuntimeError('a mistake')", xs=[1, 2, 3])
    project.script("train", code=1)
    done = {row["model_x"]: row["track_id"] for row in new_rows(project, UNFINISHED) if row["status"] == "ok"}
    [path] = (project.path / UNFINISHED).rglob(file.format(done[1]))
    with path.open("ab") as damaged:
        damaged.write(b"x")
    assert "[2/2]" in project.script("train", code=1), "the damaged run is done again, and the failed one"
    again = {row["model_x"]: row["track_id"] for row in new_rows(project, UNFINISHED) if row["status"] == "ok"}
    assert again == done, "under the same id, in place of what was damaged"
    next((project.path / UNFINISHED).rglob(file.format(done[2]))).unlink()
    (project.path / "mended").touch()
    assert project.script("train").startswith("1 of 3 runs are there already")
    assert sorted(models(project)) == [1, 2, 3], "whole"
    for row in new_rows(project):
        assert md5(project.path / f"results/runs/{row['track_id']}.parquet") == row["predictions_hash"]


def test_what_a_killed_run_wrote_without_its_row_is_removed_when_it_is_done(project: Project) -> None:
    toy(project, "if not Path('mended').exists():\n    raise RuntimeError('a mistake')")
    project.script("train", code=1)
    [row] = new_rows(project, UNFINISHED)
    run = row["track_id"]
    folder = project.path / UNFINISHED / f"{row['run_hash']}.{run}"
    for name in (f"{run}.parquet", f".{run}.db.17.tmp", f"{run}_model.bin", f"{run}.artifacts/half", "../notes.txt"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    (project.path / "mended").touch()
    project.script("train")
    assert [path.name for path in (project.path / UNFINISHED).iterdir()] == ["notes.txt"], "it is not ours"
    assert [path.name for path in (project.path / "models/trained").iterdir()] == [f"{run}_model.bin"]
    assert sorted(models(project)) == [0]


def test_an_update_of_the_template_neither_retrains_nor_makes_a_run_another_one(project: Project) -> None:
    for path in [project.path / "scripts/train.py", *(project.path / "scripts/lineage/runs").glob("*.py")]:
        path.write_text(path.read_text(encoding="utf-8") + "\n# a newer version\n", encoding="utf-8")
    assert "train" not in stages_run(project.repro())
    toy(project)
    project.script("train")
    with (project.path / "scripts/lineage/runs/train_run.py").open("a", encoding="utf-8") as file:
        file.write("# and a newer one\n")
    assert "1 of 1 runs are there already" in project.script("train")


def test_runs_of_which_a_part_was_moved_when_train_was_killed_are_whole_again(project: Project) -> None:
    toy(project, xs=[1, 2])
    project.script("train")
    first, second = new_rows(project)
    for row, kept in ((first, "models/trained"), (second, "results/runs")):
        folder = project.path / UNFINISHED / f"{row['run_hash']}.{row['track_id']}"
        folder.mkdir()
        for path in (project.path / kept).glob(f"{row['track_id']}*"):
            path.rename(folder / path.name)
    assert project.script("train").startswith("2 of 2 runs are there already")
    assert new_rows(project) == [first, second]
    assert sorted(models(project)) == [1, 2]
