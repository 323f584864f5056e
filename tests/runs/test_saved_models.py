"""The metrics of a run are those of the bytes that it saved, and those bytes are a model."""

from __future__ import annotations

from pathlib import Path

import pytest
from baked_projects import Project, copy_project, stages_run
from toy_runs import UNFINISHED, left_of, new_rows, toy

from lineage.tracked.hashes import path_md5


@pytest.fixture
def project(trained_original: Project, tmp_path: Path) -> Project:
    return copy_project(trained_original, tmp_path)


def saving(project: Project, save: str, load: str = "return json.loads(path.read_text())") -> Project:
    """Give the project the toy with other lines in `save_model` and `load_model`."""
    toy(project, measure="metrics['x'] = float(x)")
    path = project.path / "experiment.py"
    text = path.read_text(encoding="utf-8")
    text = text.replace("    path.write_text(json.dumps(model, sort_keys=True))\n", f"    {save}\n")
    path.write_text(text.replace("    return json.loads(path.read_text())\n", f"    {load}\n"), encoding="utf-8")
    return project


def test_what_is_evaluated_is_the_saved_model_and_not_the_fitted_one(project: Project) -> None:
    saving(project, "model['params']['x'] = 7; path.write_text(json.dumps(model))")
    project.repro()
    [row] = new_rows(project)
    assert (row["model_x"], row["x"]) == (0, 7.0)


UNUSABLE = {
    "cannot be loaded": (
        "path.write_text('{')",
        "return json.loads(path.read_text())",
        "the model that save_model() wrote cannot be loaded: JSONDecodeError: Expecting property name",
    ),
    "empty file": ("path.touch()", "return {'params': {'x': 1}, 'drawn': [1]}", "is empty, not a model"),
    "empty folder": ("path.mkdir()", "return {'params': {'x': 1}, 'drawn': [1]}", "is empty, not a model"),
    "nothing": (
        "pass",
        "return {}",
        "save_model() wrote nothing, and no {name}\n  → write to exactly the path that it is given",
    ),
    "elsewhere": (
        "np.savez(path, [1])",
        "return {}",
        "save_model() wrote {name}.npz, and no {name}\n  → write to exactly the path that it is given",
    ),
    "beside it": (
        "path.write_text('1'); path.with_suffix('.side').write_text('2')",
        "return json.loads(path.with_suffix('.side').read_text())",
        "cannot be loaded: FileNotFoundError",
    ),
    "a link": (
        "Path('/tmp/lineage-linked').write_text(json.dumps(model)); path.symlink_to('/tmp/lineage-linked')",
        "return json.loads(path.read_text())",
        "is a link to /tmp/lineage-linked, outside the DVC cache",
    ),
}


@pytest.mark.parametrize(("save", "load", "message"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_a_model_that_cannot_be_had_again_is_a_failed_run_and_the_next_train_works(
    project: Project, save: str, load: str, message: str
) -> None:
    saving(project, save, load)
    said = project.script("train", code=1)
    [row] = new_rows(project, UNFINISHED)
    message = message.format(name=f"{row['track_id']}_model.bin")
    assert message in said and "python scripts/train.py --debug   # shows where" in said
    assert row["status"] == "failed" and message in row["error"] and row["model_hash"] is None
    assert left_of(project, row) == [f"{row['track_id']}.db"]
    toy(project)
    project.script("train")
    assert [row["status"] for row in new_rows(project)] == ["ok"]


def test_a_model_that_cannot_be_loaded_never_reaches_production(project: Project) -> None:
    before = (project.path / "models/production/model.json").read_text()
    saving(project, "path.write_text('{}')", "raise RuntimeError('cannot be loaded')")
    assert stages_run(project.repro(code=255)) == ["train"]
    assert (project.path / "models/production/model.json").read_text() == before
    assert "dvc status is not clean" in project.script("version_tag", "--version", "e0.1.0", code=1)


FOLDER = "path.mkdir(); (path / 'sub').mkdir(); (path / 'a.json').write_text(json.dumps(model, sort_keys=True)); (path / 'sub/b').touch()"
LOADED = "return json.loads((path / 'a.json').read_text())"


def test_a_model_may_be_a_folder(project: Project) -> None:
    saving(project, FOLDER, LOADED)
    project.repro()
    [row] = new_rows(project)
    saved = project.path / f"models/trained/{row['track_id']}_model.bin"
    assert sorted(path.relative_to(saved).as_posix() for path in saved.rglob("*")) == ["a.json", "sub", "sub/b"]
    assert row["model_hash"] == path_md5(saved) and row["model_hash"].endswith(".dir")
    assert stages_run(project.repro()) == []


def test_whatever_a_killed_save_left_the_next_train_works(project: Project) -> None:
    kill = "path.mkdir(); (path / 'half').write_text('1'); path.with_suffix('.more').mkdir(); os.kill(os.getpid(), signal.SIGKILL)"
    saving(project, kill)
    assert "its process died twice" in project.script("train", code=1)
    saving(project, FOLDER, LOADED)
    project.script("train")
    project.script("train")  # which clears the folder that the first one made
    assert [row["status"] for row in new_rows(project)] == ["ok"]
    [failed] = new_rows(project, UNFINISHED)
    assert left_of(project, failed) == [f"{failed['track_id']}.db"]


def test_a_folder_of_a_stopped_sweep_is_not_trained_again(project: Project) -> None:
    saving(project, FOLDER, LOADED)
    project.set_param("sweep.grid", {"model.x": [1, 2]})
    path = project.path / "experiment.py"
    path.write_text(
        path.read_text().replace(
            "    x = params",
            "    if params['x'] == 2 and not Path('mended').exists():\n        raise OSError\n    x = params",
        )
    )
    assert "1 of 2 runs failed" in project.script("train", code=1)
    (project.path / "mended").touch()
    assert "1 of 2 runs are there already" in project.script("train")
    assert sorted(row["model_x"] for row in new_rows(project)) == [1, 2]
