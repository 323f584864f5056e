"""`dvc repro` takes real data to a promoted model, and reruns what a change touches, and nothing else."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
from pathlib import Path

import pandas as pd
import pytest
import yaml
from baked_projects import Bakery, Project, copy_project, stages_run
from project_content import card, md5, newest_metrics, predictions, recorded, rows

pytestmark = pytest.mark.slow
ALL = ["merge_data", "train", "merge_results", "promote_model"]


def test_the_first_repro_ends_with_a_promoted_model(bake: Bakery) -> None:
    project = bake()
    commit = project.git("rev-parse", "HEAD")
    assert stages_run(project.repro()) == ALL
    assert stages_run(project.repro()) == []
    assert "up to date" in project.dvc("status")

    train = pd.read_parquet(project.path / "data/train.parquet")
    batch = pd.read_parquet(project.path / "data/incoming/batch_001.parquet")
    pd.testing.assert_frame_equal(
        train.sort_values("id", ignore_index=True), batch.sort_values("id", ignore_index=True)
    )

    [run] = rows(project, "SELECT * FROM metrics")
    test = pd.read_parquet(project.path / "data/test.parquet")
    predicted = predictions(project)
    assert len(predicted) == len(test) == 360
    assert {row["item_id"]: row["actual"] for row in predicted} == dict(zip(test["id"], test["label"], strict=True))
    right = sum(row["actual"] == row["predicted"] for row in predicted)
    assert run["accuracy"] == pytest.approx(right / 360) and run["accuracy"] > 0.9
    assert (run["version"], run["git_commit"], run["git_dirty"]) == ("e0.1.0", commit, 0)
    assert run["data_hash"] == md5(project.path / "data/train.parquet") == recorded(project, "data/train.parquet")
    assert run["test_hash"] == md5(project.path / "data/test.parquet")
    assert (run["model_name"], run["model_C"], run["model_max_iter"]) == ("logistic_regression", 1.0, 1000)
    assert {row["track_id"] for row in predicted} == {run["track_id"]}

    model = card(project)
    assert model["track_id"] == run["track_id"]
    assert model["model_hash"] == run["model_hash"] == md5(project.path / "models/production/model.bin")
    assert str(model["reason"]).startswith("first model of the project, f1_score=0.9")
    [candidate] = (project.path / "models/candidates").iterdir()
    assert candidate.name == f"{run['track_id']}_model.bin" and md5(candidate) == run["model_hash"]
    assert newest_metrics(project) == {name: run[name] for name in ("f1_score", "accuracy", "log_loss")}


def test_each_change_reruns_what_it_touches(light_trained: Project) -> None:
    changes = {
        # merging nothing new leaves the same bytes, and with them everything that follows
        "merge.strategy": ("rebase", ["merge_results"]),
        "promote.strategy": ("merge", ["promote_model"]),
        "promote.keep": (3, ["promote_model"]),
        "model.C": (0.5, ["train", "merge_results", "promote_model"]),
        "merge.data_strategy": ("rebase", ["merge_data"]),
        "experiment.version": ("e0.2.0", ["train", "merge_results", "promote_model"]),
        "experiment.description": ("another text", []),
        "sweep.jobs": (1, []),
    }
    for key, (value, expected) in changes.items():
        light_trained.set_param(key, value)
        assert stages_run(light_trained.repro()) == expected, key
        assert stages_run(light_trained.repro()) == [], key


def test_a_new_batch_reruns_everything_and_merges(trained: Project) -> None:
    before = pd.read_parquet(trained.path / "data/train.parquet")
    trained.drop_batch(2)
    assert stages_run(trained.repro()) == ALL
    after = pd.read_parquet(trained.path / "data/train.parquet")
    pd.testing.assert_frame_equal(after[: len(before)], before, obj="old rows stay first, as they were")
    assert len(after) == 537 + 450 and after["id"].is_unique
    assert len(rows(trained, "SELECT * FROM metrics")) == 2
    assert len({row["data_hash"] for row in rows(trained, "SELECT data_hash FROM metrics")}) == 2
    assert "data/incoming.dvc" in trained.git("status", "--porcelain")
    assert str(card(trained)["reason"]).startswith("better: f1_score 0.96")


def test_rebase_replaces_the_results_of_the_version_and_merge_keeps_them(light_trained: Project) -> None:
    light_trained.set_param("model.C", 0.1)
    light_trained.repro()
    assert [row["model_C"] for row in rows(light_trained, "SELECT model_C FROM metrics ORDER BY timestamp")] == [
        1.0,
        0.1,
    ]
    light_trained.set_param("experiment.version", "e0.2.0")
    light_trained.set_param("model.C", 0.01)
    light_trained.repro()
    light_trained.set_param("merge.strategy", "rebase")
    light_trained.set_param("model.C", 0.02)
    light_trained.repro()
    found = [
        tuple(row) for row in rows(light_trained, "SELECT version, model_C FROM metrics ORDER BY version, timestamp")
    ]
    assert found == [("e0.1.0", 1.0), ("e0.1.0", 0.1), ("e0.2.0", 0.02)]
    assert len(predictions(light_trained)) == 3 * 360


def test_a_sweep_records_every_run_and_keeps_the_best(light_trained: Project) -> None:
    light_trained.set_param("sweep.grid", {"model.C": [0.001, 0.01, 0.1, 10.0], "model.max_iter": [200, 400]})
    light_trained.set_param("promote.keep", 3)
    light_trained.repro()
    found = rows(light_trained, "SELECT * FROM metrics ORDER BY f1_score DESC, timestamp")
    assert len(found) == 9
    assert len({(row["model_C"], row["model_max_iter"]) for row in found}) == 9
    kept = {path.name.removesuffix("_model.bin") for path in (light_trained.path / "models/candidates").iterdir()}
    assert kept == {card(light_trained)["track_id"], *(row["track_id"] for row in found[:3])}, (
        "the three best, and production"
    )
    for path in (light_trained.path / "models/trained").iterdir():
        [row] = [row for row in found if path.name == f"{row['track_id']}_model.bin"]
        assert md5(path) == row["model_hash"]


def test_equal_params_give_equal_model_bytes(light_trained: Project) -> None:
    light_trained.repro("--force")
    assert len({row["model_hash"] for row in rows(light_trained, "SELECT model_hash FROM metrics")}) == 1
    assert len(rows(light_trained, "SELECT * FROM metrics")) == 2


def test_a_failed_run_leaves_the_earlier_one_in_place(trained: Project) -> None:
    trained.set_param("model.name", "forest")
    assert "ValueError: model.name 'forest' is not known" in trained.repro(code=255)
    trained.git("checkout", "--quiet", "params.yaml")
    assert stages_run(trained.repro()) == []


def test_a_worse_challenger_stays_a_candidate(light_trained: Project) -> None:
    incumbent = card(light_trained)["track_id"]
    light_trained.set_param("model.C", 0.0001)
    output = light_trained.repro()
    assert card(light_trained)["track_id"] == incumbent
    assert f"production: {incumbent} stays;" in output and "does not beat it: f1_score" in output
    assert len(list((light_trained.path / "models/candidates").iterdir())) == 2


def test_a_loss_is_minimised(light_trained: Project) -> None:
    first = card(light_trained)["track_id"]
    light_trained.set_param("promote.metric", "log_loss")
    light_trained.set_param("promote.mode", "min")
    light_trained.drop_batch(2)
    light_trained.repro()
    losses = [row["log_loss"] for row in rows(light_trained, "SELECT log_loss FROM metrics ORDER BY timestamp")]
    assert losses[1] < losses[0]
    assert (
        str(card(light_trained)["reason"])
        == f"better: log_loss {losses[1]:.4f} against {losses[0]:.4f} of {first} (e0.1.0)"
    )


def test_strategy_merge_leaves_production_alone(light_trained: Project) -> None:
    incumbent = card(light_trained)["track_id"]
    light_trained.set_param("promote.strategy", "merge")
    light_trained.drop_batch(2)
    output = light_trained.repro()
    assert card(light_trained)["track_id"] == incumbent
    assert "(promote.strategy: merge keeps new models as candidates only)" in output


def test_another_test_set_measures_the_incumbent_again(light_trained: Project) -> None:
    test = light_trained.path / "data/test.parquet"
    frame = pd.read_parquet(test)
    test.unlink()
    frame[:120].to_parquet(test)
    output = light_trained.repro()
    [old, new] = rows(light_trained, "SELECT * FROM metrics ORDER BY timestamp")
    assert old["test_hash"] != new["test_hash"]
    # same data and params: the challenger is the same model, so both measure the same on the new test set
    assert f"does not beat it: f1_score {new['f1_score']:.4f} against {new['f1_score']:.4f}" in output
    assert f"{old['f1_score']:.4f}" not in output.split("production:")[1]


def test_an_incumbent_that_cannot_be_measured_again_is_said_in_words(trained: Project, tmp_path: Path) -> None:
    incumbent = card(trained)
    test = trained.path / "data/test.parquet"
    frame = pd.read_parquet(test)
    test.unlink()
    frame.drop(columns="pixel_63").to_parquet(test)
    train = trained.path / "data/train.parquet"
    experiment = trained.path / "experiment.py"
    text = experiment.read_text(encoding="utf-8").replace(
        "columns=[ID, TARGET]", 'columns=[ID, TARGET, "pixel_63"], errors="ignore"'
    )
    experiment.write_text(text, encoding="utf-8")
    output = trained.repro(code=255)
    newest = rows(trained, "SELECT * FROM metrics ORDER BY timestamp")[-1]
    assert f"error: production cannot be compared with run {newest['track_id']}: the model of run" in output
    assert f"{incumbent['track_id']} (e0.1.0) cannot be measured on the present test data: ValueError: " in output
    assert "Traceback" not in output and card(trained)["test_hash"] != md5(test) and train.exists()
    [by_hand, keep] = re.findall(r"→ (.*?)   # ", output)
    other = copy_project(trained, tmp_path / "other")
    assert "(promote.strategy: merge keeps new models as candidates only)" in trained.run("bash", "-c", keep).stdout
    assert card(trained)["track_id"] == incumbent["track_id"]
    said = other.run("bash", "-c", by_hand).stdout
    assert f"promoted — by hand (--run-id {newest['track_id']})" in said
    assert card(other)["model_hash"] == newest["model_hash"]
    for project in (trained, other):
        assert len(list((project.path / "models/candidates").iterdir())) == 2
        assert stages_run(project.repro()) == []


def test_push_works_at_once(light_trained: Project) -> None:
    assert "files pushed" in light_trained.dvc("push")
    for path in ("data/train.parquet", "results/experiments.db"):
        name = recorded(light_trained, path)
        pushed = light_trained.path.parent / "digit-experiments-remote/files/md5" / name[:2] / name[2:]
        assert md5(pushed) == name
    assert "in sync" in light_trained.dvc("status", "--cloud")


def test_dvc_shows_metrics_params_plots_and_the_graph(light_trained: Project) -> None:
    shown = json.loads(light_trained.run("dvc", "metrics", "show", "--json").stdout)
    assert set(shown[""]["data"]["results/metrics.json"]["data"]) == {"f1_score", "accuracy", "log_loss"}
    light_trained.set_param("model.C", 0.01)
    light_trained.repro()
    diff = json.loads(light_trained.run("dvc", "metrics", "diff", "--json").stdout)
    assert diff["results/metrics.json"]["f1_score"]["diff"] < 0
    params = json.loads(light_trained.run("dvc", "params", "diff", "--json").stdout)
    assert params["params.yaml"]["model.C"]["new"] == 0.01
    graph = light_trained.run("dvc", "dag", "--dot").stdout
    for edge in (("merge_data", "train"), ("train", "merge_results"), ("merge_results", "promote_model")):
        assert f'"{edge[0]}" -> "{edge[1]}"' in graph

    light_trained.dvc("plots", "show")
    page = (light_trained.path / "dvc_plots/index.html").read_text(encoding="utf-8")
    assert "Confusion of the newest best run" in page and "Metric over versions" in page
    for command in (["show"], ["diff", "HEAD"]):
        drawn = json.loads(light_trained.run("dvc", "plots", *command, "--json").stdout)
        [plot] = drawn["data"]["Confusion of the newest best run"]
        assert plot["content"]["spec"]["transform"][1] == {
            "aggregate": [{"op": "sum", "field": "count", "as": "items"}],
            "groupby": ["rev", "actual", "predicted"],
        }
        for revision in ("workspace", *command[1:]):
            cells = [cell for cell in plot["content"]["data"]["values"] if cell["rev"] == revision]
            assert sum(int(cell["count"]) for cell in cells) == 360, revision
            assert len({(cell["actual"], cell["predicted"]) for cell in cells}) == len(cells) < 100
    with (light_trained.path / "results/plots/versions.csv").open() as file:
        [version] = csv.DictReader(file)
    assert version["version"] == "e0.1.0" and float(version["f1_score"]) > 0.9


def test_dvc_experiments_work(light_trained: Project) -> None:
    light_trained.dvc("exp", "run", "-S", "model.C=0.1")
    shown = json.loads(light_trained.run("dvc", "exp", "show", "--json").stdout)
    values = {
        experiment["revs"][0]["data"]["params"]["params.yaml"]["data"]["model"]["C"]
        for item in shown
        for experiment in item["experiments"] or []
    }
    assert values == {0.1}
    assert {row["model_C"] for row in rows(light_trained, "SELECT model_C FROM metrics")} == {1.0, 0.1}


def test_every_stage_declares_the_project_code_that_it_is_named_for(baked: Project) -> None:
    stages = yaml.safe_load((baked.path / "dvc.yaml").read_text())["stages"]
    for stage in stages.values():
        for dependency in stage["deps"]:
            if dependency.startswith("scripts/"):
                assert (baked.path / dependency).exists(), dependency


def test_the_leaderboard_shows_runs_best_first(light_trained: Project) -> None:
    light_trained.set_param("model.C", 0.0001)
    light_trained.repro()
    listed = json.loads(
        light_trained.run("python", "scripts/experiment_explorer.py", "list", "--format", "json").stdout
    )
    assert [row["model_C"] for row in listed] == [1.0, 0.0001]
    worst_loss = json.loads(
        light_trained.run(
            "python", "scripts/experiment_explorer.py", "list", "--sort", "log_loss", "--mode", "min", "--limit", "1",
            "--format", "json",
        ).stdout
    )  # fmt: skip
    assert worst_loss[0]["log_loss"] == min(row["log_loss"] for row in listed) and len(worst_loss) == 1
    table = light_trained.run("make", "leaderboard").stdout.splitlines()
    assert table[0].split()[:2] == ["version", "track_id"] and table[1].split()[1] == listed[0]["track_id"]


def test_xetrack_reads_the_results(light_trained: Project) -> None:
    code = (
        "from xetrack import Reader; import sys\n"
        "frame = Reader('results/runs/' + sys.argv[1], engine='sqlite', table='metrics').to_df()\n"
        "print(len(frame), frame['f1_score'][0])"
    )
    [database] = (light_trained.path / "results/runs").glob("*.db")
    copy = light_trained.path / "results/runs/copy.db"
    copy.write_bytes(database.read_bytes())
    count, value = light_trained.run("python", "-c", code, "copy.db").stdout.split()
    assert (int(count), float(value)) == (1, rows(light_trained, "SELECT f1_score FROM metrics")[0]["f1_score"])


def test_results_of_a_colleague_are_merged_once(light_trained: Project, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.db"
    with sqlite3.connect(theirs) as connection, sqlite3.connect(light_trained.path / "results/experiments.db") as mine:
        mine.backup(connection)
        connection.execute("UPDATE metrics SET track_id = 'theirs', version = 'e0.5.0'")
        connection.execute("ALTER TABLE metrics ADD COLUMN gpu TEXT")
        connection.execute("UPDATE metrics SET gpu = 'A100'")
    (light_trained.path / "results/incoming/theirs.db").write_bytes(theirs.read_bytes())
    assert stages_run(light_trained.repro()) == ["merge_results", "promote_model"]
    found = rows(light_trained, "SELECT version, gpu FROM metrics ORDER BY version")
    assert [tuple(row) for row in found] == [("e0.1.0", None), ("e0.5.0", "A100")]
    before = md5(light_trained.path / "results/experiments.db")
    light_trained.repro("--force", "--single-item", "merge_results")
    assert md5(light_trained.path / "results/experiments.db") == before
