"""The leaderboard of any results database: what is best, and what conditions mean."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from lineage.core.errors import BadInput
from lineage.extras.show.leaderboard import looks_like_loss, print_leaderboard, read_leaderboard
from lineage.extras.show.where import conditions_sql
from lineage.results.leaderboard import best_runs, measured, metric_names

RUNS: list[tuple[Any, ...]] = [
    # track_id, timestamp, version, status, model_hash, model_C, model_name, note, f1_score
    ("text", "2020-01-01", "e0.1.0", "ok", "0" * 32, 1.0, "logistic", None, "n/a"),
    ("null", "2020-01-02", "e0.1.0", "failed", None, 0.5, "o'brien", 7, None),
    ("infinite", "2020-01-03", "e0.1.0", "ok", "1" * 32, 0.01, "ridge", "7", float("inf")),
    ("late tie", "2020-01-05", "e0.2.0", "ok", "2" * 32, 10.0, "ridge", 7.5, 0.5),
    ("tie", "2020-01-04", "e0.2.0", "ok", "3" * 32, 10.0, "ridge", b"7", 0.5),
    ("best", "2020-01-06", "e0.10.0", "ok", "4" * 32, None, "ridge", "x", 0.75),
]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "results.db"
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE metrics (track_id TEXT, timestamp TEXT, version TEXT, status TEXT, model_hash TEXT,"
            " model_C REAL, model_name TEXT, model_note, f1_score REAL)"
        )
        connection.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", RUNS)
    return path


def ids(database: Path, *where: str, mode: str = "max", **options: Any) -> list[str]:
    condition = conditions_sql(database, where)
    return [run["track_id"] for run in best_runs(database, "f1_score", mode, where=condition, **options)]


def test_runs_without_a_number_come_last_and_the_earlier_of_a_tie_first(database: Path) -> None:
    without = ["text", "null", "infinite"]
    assert ids(database) == ["best", "tie", "late tie", *without]
    assert ids(database, mode="min") == ["tie", "late tie", "best", *without]
    assert ids(database, track_ids=["null", "tie", "elsewhere"]) == ["tie", "null"]
    assert ids(database, track_ids=[]) == []
    numbers = [measured(run["f1_score"]) for run in best_runs(database, "f1_score", "max")]
    assert numbers == [0.75, 0.5, 0.5, None, None, None]


def test_many_runs_can_be_asked_for_at_once(database: Path) -> None:
    assert ids(database, track_ids=[f"run{number}" for number in range(40_000)] + ["tie"]) == ["tie"]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (["model_C=10"], {"tie", "late tie"}),
        (["model.C>=1e-2", "model.C<+1."], {"infinite", "null"}),
        (["model_C=NULL"], {"best"}),
        (["model_C!=NULL", "f1_score>.6"], {"infinite", "text"}),  # to SQLite text is above all numbers
        (["model_name=o'brien"], {"null"}),
        (["model_name!=ridge"], {"text", "null"}),
        (["version='; DROP TABLE metrics; --"], set()),
        (["model_name=NULL"], set()),
        (["model_note=7"], {"null", "infinite"}),  # its column has no type
        (["model_note>7"], {"late tie", "best", "tie"}),
        (["model_note=x"], {"best"}),
    ],
)
def test_conditions_pick_runs(database: Path, where: list[str], found: set[str]) -> None:
    assert set(ids(database, *where)) == found


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ("f1_score", "'f1_score' is not a condition\n  → write it as in --where model_C=1.0"),
        ("modelC=1", "'modelC' is not a column of metrics; it has: model_C"),
        ("f1_score=good", "f1_score holds numbers, and 'good' is none"),
        ("f1_score=١", "f1_score holds numbers, and '١' is none"),
        ("version>e0.1.0", "version holds text, which can be = or != only"),
    ],
)
def test_what_is_no_condition_is_said(database: Path, condition: str, problem: str) -> None:
    with pytest.raises(BadInput) as caught:
        ids(database, condition)
    assert problem in str(caught.value)


def test_metrics_are_neither_params_nor_facts(database: Path) -> None:
    assert metric_names(database) == ["f1_score"]
    with pytest.raises(BadInput, match=r"metric 'f1' is not in results\.db; it has: f1_score"):
        best_runs(database, "f1", "max")


def test_any_database_is_listed_outside_a_project(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs, names = read_leaderboard(database, "f1_score", "max", ["version!=e0.10.0"])
    print_leaderboard(runs[:1], names, "json")
    [run] = json.loads(capsys.readouterr().out)
    assert run == {
        "version": "e0.2.0",
        "track_id": "tie",
        "model_C": 10.0,
        "model_name": "ridge",
        "model_note": "b'7'",
        "f1_score": 0.5,
    }
    with pytest.raises(BadInput, match=r"nowhere\.db does not exist\n  → dvc repro   # or, in a fresh clone: dvc pull"):
        read_leaderboard(database.with_name("nowhere.db"), "f1_score", "max")


def test_runs_on_another_test_set_or_by_another_evaluation_are_not_ranked(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    runs = [
        # track_id, timestamp, test_hash, evaluate_hash, model_seed, seed, f1_score
        ("old and high", "1", "a" * 32, "e" * 32, 0, 0, 0.9),
        ("worse", "2", "b" * 32, "e" * 32, 0, 0, 0.25),
        ("better", "3", "b" * 32, "e" * 32, 1, 1, 0.75),
        ("before the column", "4", "b" * 32, None, 0, 0, 0.8),
        ("of a colleague", "5", "c" * 32, "e" * 32, 0, 0, 0.99),
    ]
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE metrics (track_id, timestamp, test_hash, evaluate_hash, model_seed INT, seed INT, f1_score)"
        )
        connection.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?, ?)", runs)
    assert ids(path) == ["of a colleague", "old and high", "before the column", "better", "worse"]
    present = {"test_hash": "b" * 32, "evaluate_hash": "e" * 32}
    ranked = ["better", "worse", "old and high", "before the column", "of a colleague"]
    assert ids(path, first=present) == ranked
    assert ids(path, first=dict.fromkeys(present, "f" * 32)) == ids(path), "no run was measured on that"
    rows, _ = read_leaderboard(path, "f1_score", "max", ["track_id!=of a colleague", "evaluate_hash!=NULL"])
    seeds = {row["track_id"]: row["seeds"] for row in rows}
    assert seeds == {
        "better": "0.5000 ± 0.3536 (2)",
        "worse": "0.5000 ± 0.3536 (2)",
        "old and high": "0.9000 (1)",
    }


def test_a_loss_is_told_by_its_name() -> None:
    assert all(map(looks_like_loss, ("log_loss", "RMSE", "val_mae", "error", "hinge_loss_test")))
    assert not any(map(looks_like_loss, ("f1_score", "accuracy", "glossary", "terror")))
