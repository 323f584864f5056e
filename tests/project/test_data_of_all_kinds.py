"""Tasks with keys of two columns, without a key, over time, and with images as files: each through the whole pipeline."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from baked_projects import Project, stages_run
from project_content import card, newest_metrics, rows

pytestmark = pytest.mark.slow

MEAN = '''"""The mean of what it has seen, as a model that takes no time."""

import json
from pathlib import Path

import pandas as pd


def load_data(path):
    return pd.read_parquet(path)


def fit(train, params):
    return {"mean": float(train["y"].mean()), "rows": len(train), "last": str(train["time"].max()) if "time" in train else ""}


def evaluate(model, test):
    error = float(((test["y"] - model["mean"]) ** 2).mean() ** 0.5)
    predictions = pd.DataFrame({"item_id": range(len(test)), "actual": test["y"], "predicted": model["mean"]})
    return {"rmse": error}, predictions


def save_model(model, path):
    path.write_text(json.dumps(model))


def load_model(path):
    return json.loads(path.read_text())
'''


def task(project: Project, train: pd.DataFrame, test: pd.DataFrame, keys: list[str], code: str = MEAN) -> Project:
    """Put data and experiment in the places of the sample's."""
    (project.path / "experiment.py").write_text(code, encoding="utf-8")
    for path in (project.path / "data/incoming").glob("*.parquet"):
        path.unlink()
    train.to_parquet(project.path / "data/incoming/first.parquet", index=False)
    (project.path / "data/test.parquet").unlink()  # it is a link into the cache
    test.to_parquet(project.path / "data/test.parquet", index=False)
    project.dvc("add", "--quiet", "data/test.parquet")
    project.set_param("merge.data_key_columns", keys)
    project.set_param("model", {"name": "mean"})
    project.set_param("promote.metric", "rmse")
    project.set_param("promote.mode", "min")
    project.set_param("promote.confidence", None)
    project.commit("a task of mine")
    return project


def begin(project: Project) -> None:
    """Run the pipeline for the first time, as is advised by what has nothing to show yet."""
    asking = ("python", "scripts/model_manager.py", "info"), ("python", "-c", "import lineage; lineage.data()")
    said = [project.run(*words, code=1, PYTHONPATH="scripts").stderr for words in asking]
    assert said[0] == "error: nothing is in production yet\n  → dvc repro\n"
    assert said[1].endswith("data/train.parquet does not exist\n  → dvc repro\n")
    project.run("sh", "-c", said[1].rpartition("→ ")[2])
    for words in asking:
        project.run(*words, PYTHONPATH="scripts")


def training_rows(project: Project) -> list[tuple[object, ...]]:
    frame = pd.read_parquet(project.path / "data/train.parquet")
    return sorted(frame.itertuples(index=False, name=None))


def model_of(project: Project) -> dict[str, object]:
    content: dict[str, object] = json.loads((project.path / "models/production/model.bin").read_text("utf-8"))
    return content


def test_two_columns_together_are_a_key(fresh: Project) -> None:
    """Visits of patients: neither column is unique."""
    visits = pd.DataFrame({"patient": [1, 1, 2], "visit": [1, 2, 1], "y": [1.0, 2.0, 3.0]})
    test = pd.DataFrame({"patient": [3], "visit": [1], "y": [2.0]})
    project = task(fresh, visits, test, ["patient", "visit"])
    begin(project)
    assert training_rows(project) == [(1, 1, 1.0), (1, 2, 2.0), (2, 1, 3.0)] and newest_metrics(project) == {
        "rmse": 0.0
    }

    later = pd.DataFrame({"patient": [1, 2], "visit": [2, 2], "y": [5.0, 4.0]})
    later.to_parquet(project.path / "data/incoming/second.parquet", index=False)
    refused = project.repro(code=255)
    assert "1 incoming rows have the identity of another row and different contents" in refused
    assert "patient=1, visit=2" in refused.replace("'", "")
    project.set_param("merge.data_strategy", "rebase")
    assert "rebase data/train.parquet: +2 ~1 =0 !0" in project.repro()
    assert training_rows(project) == [(1, 1, 1.0), (1, 2, 5.0), (2, 1, 3.0), (2, 2, 4.0)]
    assert newest_metrics(project)["rmse"] == pytest.approx(abs(2.0 - 13 / 4))

    leak = pd.DataFrame({"patient": [3, 3], "visit": [1, 2], "y": [2.0, 6.0]})
    leak.to_parquet(project.path / "data/incoming/third.parquet", index=False)
    assert "1 rows are in data/test.parquet, too (by patient, visit)" in project.repro(code=255)


def test_rows_without_a_key_are_known_by_all_their_values(fresh: Project) -> None:
    """Measurements that repeat: two equal rows of one file are two rows, and the same file twice adds none."""
    project = task(fresh, pd.DataFrame({"y": [1.0, 1.0, 2.0]}), pd.DataFrame({"y": [1.5]}), [])
    project.repro()
    assert training_rows(project) == [(1.0,), (1.0,), (2.0,)]
    pd.DataFrame({"y": [1.0, 1.0, 2.0]}).to_parquet(project.path / "data/incoming/again.parquet", compression="gzip")
    pd.DataFrame({"y": [2.0, 2.0, 4.0]}).to_parquet(project.path / "data/incoming/more.parquet", index=False)
    project.repro()
    assert training_rows(project) == [(1.0,), (1.0,), (2.0,), (2.0,), (4.0,)]
    assert model_of(project)["rows"] == 5 or card(project)["replaced"] is None
    assert [row["rmse"] for row in rows(project, "SELECT rmse FROM metrics ORDER BY timestamp")] == pytest.approx(
        [abs(1.5 - 4 / 3), abs(1.5 - 2.0)]
    )


def test_a_time_series_is_chosen_on_its_later_part_and_judged_on_the_newest(fresh: Project) -> None:
    days = pd.date_range("2026-01-01", periods=100, freq="D")
    series = pd.DataFrame({"time": days, "y": np.arange(100.0)})
    project = task(fresh, series[:90], series[90:], ["time"])
    project.set_param("validation", {"fraction": 0.0, "by": ["time"], "after": "2026-03-01"})
    project.repro()
    begin = int((days <= "2026-03-01").sum())
    mean = float(np.arange(begin).mean())
    model = model_of(project)
    assert (model["rows"], model["last"]) == (begin, "2026-03-01 00:00:00"), "nothing later was seen"
    expected = {
        "rmse": float(np.sqrt(np.mean((np.arange(90, 100) - mean) ** 2))),
        "val_rmse": float(np.sqrt(np.mean((np.arange(begin, 90) - mean) ** 2))),
    }
    assert newest_metrics(project) == pytest.approx(expected)
    assert "val_rmse" in str(card(project)["reason"]), "the line says on which side it was chosen"


IMAGES = MEAN.replace(
    """    return {"mean": float(train["y"].mean())""",
    """    bright = [(Path(__file__).parent / path).read_bytes()[0] for path in train["path"]]
    return {"bright": bright, "mean": float(train["y"].mean())""",
)


def test_images_are_files_that_rows_name(fresh: Project) -> None:
    folder = fresh.path / "data/images"
    folder.mkdir()
    for name, value in {"a": 10, "b": 20, "test": 30}.items():
        (folder / f"{name}.raw").write_bytes(bytes([value] * 64))
    fresh.dvc("add", "--quiet", "data/images")
    pipeline = fresh.path / "dvc.yaml"
    text = pipeline.read_text(encoding="utf-8")
    pipeline.write_text(
        text.replace("      - experiment.py\n", "      - data/images\n      - experiment.py\n"), "utf-8"
    )
    train = pd.DataFrame({"id": [1, 2], "path": ["data/images/a.raw", "data/images/b.raw"], "y": [0.0, 1.0]})
    test = pd.DataFrame({"id": [3], "path": ["data/images/test.raw"], "y": [0.5]})
    project = task(fresh, train, test, ["id"], IMAGES)
    project.repro()
    assert model_of(project)["bright"] == [10, 20]
    project.commit("first results")
    project.script("version_tag", "--version", "e0.1.0")
    assert stages_run(project.repro()) == []

    (folder / "b2.raw").write_bytes(bytes([99] * 64))  # a corrected image gets a new name
    project.dvc("add", "--quiet", "data/images")
    corrected = pd.DataFrame({"id": [2], "path": ["data/images/b2.raw"], "y": [1.0]})
    corrected.to_parquet(project.path / "data/incoming/corrected.parquet", index=False)
    project.set_param("merge.data_strategy", "rebase")
    project.script("version_tag", "--start", "major")
    project.commit("another image")
    assert stages_run(project.repro()) == ["merge_data", "train", "merge_results", "promote_model"]
    trained = [row["model_hash"] for row in rows(project, "SELECT model_hash FROM metrics ORDER BY timestamp")]
    [newest] = (project.path / "models/trained").glob("*.bin")
    assert sorted(json.loads(newest.read_text("utf-8"))["bright"]) == [10, 99] and len(set(trained)) == 2
    project.commit("second results")

    project.script("experiment_explorer", "get", "--version", "e0.1.0", "--artifact", "data/images")
    there = project.path / "build/e0.1.0/data/images"
    assert sorted(path.name for path in there.iterdir()) == ["a.raw", "b.raw", "test.raw"]
    assert Path(there, "b.raw").read_bytes() == bytes([20] * 64)
