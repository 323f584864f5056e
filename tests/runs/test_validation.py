"""Runs with a validation side, in real projects: `fit` sees one side, both are measured, and the test set chooses nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from baked_projects import Project, copy_project
from light_project import WEAK_EXPERIMENT, lighten
from models_project import card
from toy_runs import UNFINISHED, new_rows, predictions, rows, toy

from lineage.extras.validation.split import OFF

pytestmark = pytest.mark.slow

SEEN = 'params = {**params, "seen": sorted(train["id"])}'
"""A line of `fit`: the model remembers the rows that it was trained on."""

COUNTS = 'metrics["rows"] = len(test)\nmetrics["known"] = len({*test["id"]} & {*model["params"]["seen"]})'
"""Lines of `evaluate`: how many rows it gets, and how many of them `fit` had seen."""


def seen(project: Project) -> set[int]:
    [model] = (project.path / "models/trained").iterdir()
    return set(json.loads(model.read_text())["params"]["seen"])


def ids(project: Project, name: str) -> set[int]:
    return set(pd.read_parquet(project.path / f"data/{name}.parquet")["id"])


def test_fit_sees_one_side_evaluate_both_and_rows_keep_theirs(light_trained: Project) -> None:
    project = light_trained
    toy(project, SEEN, COUNTS)
    project.script("train")
    [whole] = new_rows(project)
    assert seen(project) == ids(project, "train") and "val_rows" not in whole
    path = project.path / "params.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(text[text.index("validation:") : text.index("merge:")], ""), encoding="utf-8")
    project.script("train")
    assert new_rows(project)[0]["run_hash"] == whole["run_hash"], "without the section, it is the same run"
    path.write_text(text, encoding="utf-8")

    project.set_param("validation.fraction", 0.2)
    project.script("train")
    [row] = new_rows(project)
    old = ids(project, "train")
    trained_on = seen(project)
    assert row["run_hash"] != whole["run_hash"] and trained_on < old
    assert (row["rows"], row["val_rows"]) == (len(ids(project, "test")), len(old) - len(trained_on))
    assert row["known"] == row["val_known"] == 0 and row["val_f1_score"] == 0.5
    assert 0.15 < row["val_rows"] / len(old) < 0.25
    kept = predictions(project.path / f"results/runs/{row['track_id']}.parquet")
    assert {line["item_id"] for line in kept} == ids(project, "test"), "predictions are those of the test set"

    project.drop_batch(2)
    project.script("merge_data")
    code = project.path / "experiment.py"
    code.write_text(code.read_text().replace("def fit(train, params):", "def fit(train, params, run):"))
    held = 'assert not run.validation.empty and not {*run.validation["id"]} & {*train["id"]}'
    code.write_text(code.read_text().replace('    x = params["x"]\n', f'    x = params["x"]\n    {held}\n', 1))
    project.script("train")
    assert ids(project, "train") > old and seen(project) & old == trained_on, "a new batch moves no old row"
    project.set_param("validation", {"by": ["label"], "fraction": 0.5})
    project.script("train")
    labels = pd.read_parquet(project.path / "data/train.parquet").set_index("id")["label"]
    assert not {*labels[list(seen(project))]} & {*labels.drop(list(seen(project)))}, "no class is on both sides"

    days = "data.assign(day=pd.Timestamp('2026-01-01') + pd.to_timedelta(data['id'], unit='D'))"
    read = "return pd.read_parquet(path)"
    code.write_text(code.read_text().replace(read, f"data = pd.read_parquet(path)\n    return {days}"))
    project.set_param("validation", {"by": ["day"], "after": "2027-01-01"})
    project.script("train")
    assert seen(project) == {item for item in ids(project, "train") if item <= 365}, "the rest is later"


def test_what_evaluate_logs_and_writes_stands_once_and_is_that_of_the_test_set(light_trained: Project) -> None:
    project = light_trained
    log = 'run.log(step=1, rows=len(test))\nrun.artifact("rows.txt").write_text(str(len(test)))'
    toy(project, measure=log + '\n(run.checkpoint / "state").touch()\nmetrics["rows"] = len(test)')
    code = project.path / "experiment.py"
    text = code.read_text().replace("def evaluate(model, test):", "def evaluate(model, test, run):")
    code.write_text(text.replace('    x = params["x"]\n', '    x = params["x"]\n    run.log(step=0, loss=0.5)\n'))
    code.write_text(code.read_text().replace("def fit(train, params):", "def fit(train, params, run):"))
    project.set_param("validation.fraction", 0.2)
    project.script("train")
    [row] = new_rows(project)
    tested = len(ids(project, "test"))
    assert row["rows"] == tested != row["val_rows"] and row["status"] == "ok"
    events = rows(project.path / f"results/runs/{row['track_id']}.db", "SELECT step, loss, rows FROM events")
    assert events == [{"step": 0, "loss": 0.5, "rows": None}, {"step": 1, "loss": None, "rows": tested}]
    [artifacts] = (project.path / "models/trained").glob("*.artifacts")
    assert [(path.name, path.read_text()) for path in artifacts.iterdir()] == [("rows.txt", str(tested))]
    assert not any((project.path / UNFINISHED).iterdir())


def test_an_experiment_that_splits_by_itself_is_chosen_by_its_own_metric(light_trained: Project) -> None:
    """Its metric cannot be there twice; the remedy is typed as it stands, and its own metric chooses."""
    project = light_trained
    toy(project, measure="metrics.update(val_f1_score=-x, f1_score=x / 10)", xs=[1, 2])
    project.set_param("validation.fraction", 0.2)
    printed = project.script("train", code=1)
    problem = "evaluate() returned 'val_f1_score', and so does the section validation"
    assert f"2 of 2 runs failed: {problem}\n  → {OFF}\n" in printed
    assert [row["status"] for row in new_rows(project, UNFINISHED)] == ["failed"] * 2
    project.set_param("promote.strategy", "rebase")
    project.set_param("promote.pinned", True)
    printed = project.run("bash", "-euc", OFF).stdout
    assert "on the test data itself" not in printed
    [best] = rows(project.path / "results/experiments.db", "SELECT * FROM metrics WHERE model_x = 1")
    metrics = json.loads((project.path / "results/metrics.json").read_text())
    assert (metrics["val_f1_score"], metrics["f1_score"]) == (best["val_f1_score"], best["f1_score"]) == (-1, 0.1)


def sweep(project: Project) -> Project:
    """Sweep over a model that is good, one that is better on the validation side, and two that are bad."""
    project.set_param("sweep.grid", {"model.C": [50.0, 10.0, 1.0, 0.1]})
    project.set_param("validation.fraction", 0.2)
    project.set_param("promote.keep", 2)
    return project


def poison(project: Project) -> None:
    """Shuffle the labels of the test set, which then says nothing about models."""
    file = project.path / "data/test.parquet"
    test = pd.read_parquet(file)
    test["label"] = np.random.default_rng(1).permutation(test["label"])
    file.unlink()
    test.to_parquet(file, index=False)


def leaderboard(project: Project, *words: str) -> list[dict[str, Any]]:
    done = project.run("python", "scripts/experiment_explorer.py", "list", "--format", "json", *words)
    listed: list[dict[str, Any]] = json.loads(done.stdout)
    return listed


def choices(project: Project) -> dict[str, Any]:
    """What every way of choosing chose: the value of C, or the values in order."""
    found = {row["track_id"]: row["model_C"] for row in rows(project.path / "results/experiments.db")}
    kept = [path.name.removesuffix("_model.bin") for path in (project.path / "models/candidates").iterdir()]
    metrics = json.loads((project.path / "results/metrics.json").read_text())
    suggested = project.script("version_tag", "--suggest")
    listed = json.loads(project.run("python", "scripts/model_manager.py", "list", "--format", "json").stdout)
    return {
        "production": card(project)["params"]["model_C"],
        "candidates": sorted(found[track_id] for track_id in kept),
        "leaderboard": [row["model_C"] for row in leaderboard(project)],
        "metrics.json": metrics["val_f1_score"],
        "version_tag": [part for part in suggested.split(" | ") if part.startswith("C=")],
        "model_manager list": [row["model_C"] for row in listed],
    }


def test_a_poisoned_test_set_chooses_the_same_run(fresh: Project, tmp_path: Path) -> None:
    poisoned = copy_project(lighten(fresh, WEAK_EXPERIMENT), tmp_path / "poisoned")
    printed = sweep(fresh).repro()
    assert ", chosen by val_f1_score 0." in printed and "on the test data itself" not in printed
    poison(poisoned)
    sweep(poisoned).repro()
    clean = choices(fresh)
    assert clean["production"] == clean["leaderboard"][0] == clean["model_manager list"][0]
    assert clean["version_tag"] == [f"C={clean['production']}"] and len(clean["candidates"]) == 2
    assert choices(poisoned) == clean
    by_test = leaderboard(poisoned, "--sort", "f1_score")
    assert by_test[0]["f1_score"] < 0.25, "it is poisoned"
    assert [row["model_C"] for row in by_test] != clean["leaderboard"], "the test set would have chosen another order"

    poison(fresh)  # now as an incumbent: the runs of its session are compared anew, and none of them gets in by luck
    fresh.set_param("promote.confidence", None)
    before = card(fresh)["track_id"]
    printed = fresh.repro("--single-item", "promote_model")
    assert f"production: {before} stays" in printed and card(fresh)["track_id"] == before
