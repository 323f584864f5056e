"""What a run records: its row says where it comes from, other programs read it, and none is lost."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from baked_projects import SOURCE, Project, copy_project
from toy_runs import md5, new_rows, predictions, rows, toy

from lineage.core.code_hash import code_files, code_hash, evaluate_hash


@pytest.fixture
def project(trained_original: Project, tmp_path: Path) -> Project:
    return copy_project(trained_original, tmp_path)


def test_a_row_names_its_environment_seed_and_duration(project: Project) -> None:
    toy(project, "time.sleep(0.3)")
    project.script("train")
    [row] = new_rows(project)
    version = project.run(
        "python", "-c", "import platform; print(platform.python_version(), platform.platform())"
    ).stdout
    assert f"{row['python']} {row['platform']}\n" == version
    assert row["lock_hash"] == md5(project.path / "requirements.lock") and row["seed"] == 0
    assert 0.3 < row["duration_seconds"] < 30 and len(row["run_hash"]) == 32
    assert (row["status"], row["error"]) == ("ok", None)
    assert row["code_hash"] == code_hash(code_files(project.path)) and len(row["code_hash"]) == 32
    assert row["evaluate_hash"] == evaluate_hash(project.path) != row["code_hash"]
    assert row["model_hash"] == md5(project.path / f"models/trained/{row['track_id']}_model.bin")
    assert row["predictions_hash"] == md5(project.path / f"results/runs/{row['track_id']}.parquet")
    test = pd.read_parquet(project.path / "data/test.parquet")
    assert predictions(project.path / f"results/runs/{row['track_id']}.parquet") == [
        {"track_id": row["track_id"], "item_id": item, "actual": label, "predicted": 0}
        for item, label in zip(test["id"], test["label"], strict=True)
    ]


def test_the_file_of_the_predictions_names_loaded_packages_and_the_columns_of_the_data_as_loaded(
    project: Project,
) -> None:
    toy(project, "train['added'] = 1")
    project.script("train")
    [row] = new_rows(project)
    file = str(project.path / f"results/runs/{row['track_id']}.parquet")
    notes = dict(duckdb.execute("SELECT decode(key), decode(value) FROM parquet_kv_metadata(?)", [file]).fetchall())
    origin = json.loads(notes["lineage_model"])
    train = pd.read_parquet(project.path / "data/train.parquet")
    assert list(origin["input_signature"].items()) == [(name, str(kind)) for name, kind in train.dtypes.items()]
    assert origin["packages"]["pandas"] == pd.__version__ and "ruff" not in origin["packages"]


def test_outside_git_and_without_dvc_lock_what_is_lost_is_said(project: Project, tmp_path: Path) -> None:
    bare = Project(tmp_path / "bare", project.environment)
    shutil.copytree(
        project.path, bare.path, ignore=shutil.ignore_patterns(".git", ".dvc", "dvc.lock", "experiments.db")
    )
    shutil.rmtree(bare.path / "results/runs")
    toy(bare)
    output = bare.script("train")
    assert (
        "warning: outside a Git repository, or before its first commit: rows cannot lead back to the code\n" in output
    )
    assert (
        "warning: data/train.parquet is not what dvc.lock records: rows cannot lead back to the data; use dvc repro\n"
        in output
    )
    [row] = new_rows(bare)
    assert [row[name] for name in ("git_commit", "git_dirty", "dvc_hash")] == [None, None, None]
    assert row["data_hash"] == md5(bare.path / "data/train.parquet")


def test_rows_from_before_these_columns_get_null_in_them(project: Project) -> None:
    database = project.path / "results/experiments.db"
    old = project.path / "old.db"
    shutil.copyfile(database, old)
    with sqlite3.connect(old) as connection:
        for name in (
            "status",
            "error",
            "run_hash",
            "code_hash",
            "evaluate_hash",
            "predictions_hash",
            "seed",
            "duration_seconds",
            "python",
            "platform",
            "lock_hash",
        ):
            connection.execute(f"ALTER TABLE metrics DROP COLUMN {name}")
    project.script(
        "merge_artifacts", "--strategy", "merge", "--base-db", "old.db", "--exp-db", "results/runs", "--output-db", "new.db",
        "--on-conflict", "incoming",
    )  # fmt: skip
    [row] = rows(project.path / "new.db")
    assert row["status"] == "ok"
    toy(project, xs=[1])
    project.script("train")
    project.script(
        "merge_artifacts", "--strategy", "merge", "--base-db", "old.db", "--exp-db", "results/runs", "--output-db", "both.db"
    )  # fmt: skip
    assert [(row["status"], row["seed"]) for row in rows(project.path / "both.db")] == [(None, None), ("ok", 0)]


def write_one(folder: Path, track_id: str, params: dict[str, float], metrics: dict[str, float], frame: Any) -> None:
    """Write the two files of a run that need no model."""
    from lineage.runs.predictions_file import write_predictions
    from lineage.runs.run import Facts, Run
    from lineage.runs.run_database import declare_types, to_metrics, to_row, write_run

    write_predictions(folder / f"{track_id}.parquet", track_id, frame)
    facts = Facts(version="e0.1.0", predictions_hash=md5(folder / f"{track_id}.parquet"))
    run = Run(track_id, {}, params, declare_types([to_row(params)]), facts)
    write_run(folder / f"{track_id}.db", run, to_metrics(metrics))


def test_xetrack_itself_reads_metrics_and_others_read_100_000_predictions(tmp_path: Path) -> None:
    from xetrack import Reader

    count = 100_000
    frame = pd.DataFrame(
        {"item_id": range(count), "predicted": [f"c{n % 10}" for n in range(count)], "confidence": 0.5}
    )
    write_one(tmp_path, "run-1", {"rate": 0.1}, {"auc": 1}, frame)
    path = tmp_path / "run-1.db"
    before = md5(path)
    [metrics] = Reader(str(path), engine="sqlite", table="metrics").to_df().to_dict("records")
    assert (metrics["track_id"], metrics["auc"], metrics["model_rate"], metrics["status"]) == ("run-1", 1.0, 0.1, "ok")
    read = pd.read_parquet(tmp_path / "run-1.parquet")
    assert list(read) == ["track_id", *frame] and set(read["track_id"]) == {"run-1"}
    assert read["item_id"].tolist() == list(range(count)) and read["predicted"][12] == "c2"
    assert predictions(tmp_path / "run-1.parquet") == read.to_dict("records")
    shown = subprocess.run(
        [Path(sys.executable).parent / "xt", "head", str(path), "--table", "metrics", "--n", "1"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "run-1" in shown.stdout
    assert md5(path) == before, "reading changes nothing"


ROUNDS = 2
"""Twenty in benchmarks/runs.py."""


def write_runs(folder: str, worker: int) -> None:
    """Write 50 runs of 5 predictions, as one of the processes of a sweep does."""
    for number in range(50):
        frame = pd.DataFrame({"item_id": range(5), "predicted": number})
        write_one(Path(folder), f"run-{worker}-{number:02d}", {"worker": worker}, {"score": float(number)}, frame)


@pytest.mark.slow
def test_no_row_of_8_processes_with_50_runs_each_is_lost(tmp_path: Path) -> None:
    from lineage.extras.merge_artifacts.databases import merge_databases
    from lineage.merge.rules import Rules

    sys.path.insert(0, str(SOURCE / "scripts"))
    expected = sorted((f"run-{worker}-{number:02d}", float(number)) for worker in range(8) for number in range(50))
    pool = ProcessPoolExecutor(8, mp_context=get_context("spawn"))
    for turn in range(ROUNDS):
        folder = tmp_path / str(turn)
        folder.mkdir()
        list(pool.map(write_runs, [str(folder)] * 8, range(8)))
        merge_databases(None, sorted(folder.glob("*.db")), tmp_path / f"{turn}.db", Rules("merge"))
        found = rows(tmp_path / f"{turn}.db", "SELECT track_id, score FROM metrics ORDER BY track_id")
        assert [(row["track_id"], row["score"]) for row in found] == expected
        counts = predictions(folder / "*.parquet", "SELECT track_id, count(*) AS n", "GROUP BY track_id")
        assert len(counts) == 400 and {row["n"] for row in counts} == {5}
    pool.shutdown()
