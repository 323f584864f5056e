"""The files that DVC shows, made from a database and the predictions of its runs."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lineage.results.plots import write_reports

COLUMNS = "track_id TEXT, timestamp TEXT, version TEXT, model_hash TEXT, model_C REAL, model_kind TEXT, model_seed INT"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project of five runs, the newest three a sweep; only results lie in it."""
    folder = tmp_path / "it's a [b]* project"
    (folder / "results/predictions").mkdir(parents=True)
    runs: list[tuple[Any, ...]] = [
        ("old", "1", "e0.2.0", "0" * 32, 1.0, "a", 1, 0.9, 0.1),
        ("older", "0", "e0.10.0", "0" * 32, 1.0, "a", 1, 0.2, None),
        ("x", "2", "e0.2.0", "0" * 32, 0.1, "a", 1, 0.5, 10.0),
        ("y", "3", "e0.2.0", "0" * 32, 100.0, None, 1, 0.8, 20.0),
        ("z", "4", "e0.2.0", "0" * 32, 10.0, "a", 1, 0.6, None),
        ("failed", "5", "e0.2.0", None, 1000.0, "b", 1, None, None),
    ]
    with sqlite3.connect(folder / "results/experiments.db") as connection:
        connection.execute(f"CREATE TABLE metrics ({COLUMNS}, f1_score REAL, value REAL)")
        connection.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", runs)
    return folder


NEWEST = ["x", "y", "z", "failed"]


def report(root: Path, name: str, newest: list[str] = NEWEST) -> list[list[str]]:
    write_reports(root, newest, "f1_score", "max")
    with (root / "results/plots" / name).open(newline="") as file:
        return list(csv.reader(file))


def predict(root: Path, track_id: str, **columns: list[Any]) -> None:
    frame = pd.DataFrame({"track_id": track_id, **columns})
    frame.to_parquet(root / f"results/predictions/{track_id}.parquet", compression="zstd")


def test_metrics_are_those_of_the_best_of_the_newest_runs(root: Path) -> None:
    report(root, "versions.csv")
    assert json.loads((root / "results/metrics.json").read_text()) == {"f1_score": 0.8, "value": 20.0}


def test_each_version_has_the_metrics_of_its_best_run_in_the_order_of_their_numbers(root: Path) -> None:
    lines = [["version", "f1_score", "value"], ["e0.2.0", "0.9", "0.1"], ["e0.10.0", "0.2", ""]]
    assert report(root, "versions.csv") == lines


def test_versions_on_another_test_set_are_not_drawn(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sqlite3.connect(root / "results/experiments.db") as connection:
        connection.execute("ALTER TABLE metrics ADD COLUMN test_hash TEXT")
        connection.execute("UPDATE metrics SET test_hash = 'b7f3a9ee' WHERE timestamp > '1'")
    assert report(root, "versions.csv") == [["version", "f1_score", "value"], ["e0.2.0", "0.8", "20.0"]]
    why = "not measured on test data b7f3a9, evaluation code None"
    assert capsys.readouterr().out == f"not in the plot of versions, since {why}: e0.10.0\n"


def test_a_row_without_a_version_as_others_have_it_is_no_version(root: Path) -> None:
    with sqlite3.connect(root / "results/experiments.db") as connection:
        connection.execute("ALTER TABLE metrics ADD COLUMN test_hash TEXT")
        connection.execute("UPDATE metrics SET version = NULL, test_hash = 'x' WHERE version = 'e0.10.0'")
    assert report(root, "versions.csv") == [["version", "f1_score", "value"], ["e0.2.0", "0.9", "0.1"]]


def test_axes_of_a_sweep_are_the_params_that_differ_and_the_metrics(root: Path) -> None:
    header, *lines = report(root, "sweep.csv")
    assert header == ["track_id", "axis", "position", "value", "score"]
    assert lines == [
        ["y", "model_C", "1.0", "100.0", "0.8"],
        ["z", "model_C", "0.5", "10.0", "0.6"],
        ["x", "model_C", "0.0", "0.1", "0.5"],
        ["z", "model_kind", "0.5", "a", "0.6"],  # the other run says nothing of its kind
        ["x", "model_kind", "0.5", "a", "0.5"],
        ["y", "f1_score", "1.0", "0.8", "0.8"],
        ["z", "f1_score", lines[6][2], "0.6", "0.6"],
        ["x", "f1_score", "0.0", "0.5", "0.5"],
        ["y", "value", "1.0", "20.0", "0.8"],
        ["x", "value", "0.0", "10.0", "0.5"],
    ]
    assert float(lines[6][2]) == pytest.approx(1 / 3)


def test_runs_that_all_failed_have_no_lines(root: Path) -> None:
    assert report(root, "sweep.csv", ["failed"]) == [["track_id", "axis", "position", "value", "score"]]
    assert json.loads((root / "results/metrics.json").read_text()) == {"f1_score": None, "value": None}


def test_confusion_counts_the_predictions_of_the_best_run(root: Path) -> None:
    predict(root, "x", actual=[1], predicted=[2])
    actual = [10, 9, 2, 10, 10, 2]
    predict(root, "y", actual=actual, score=[0.1] * 6, predicted=["it's", "b", None, "b", "it's", "a"])
    header, *cells = report(root, "confusion.csv")
    assert header == ["actual", "predicted", "count"]
    assert cells == [["2", "a", "1"], ["2", "", "1"], ["9", "b", "1"], ["10", "b", "1"], ["10", "it's", "2"]]


def test_more_predictions_of_the_same_classes_are_no_more_bytes_to_plot(root: Path) -> None:
    predict(root, "y", actual=[1, 2, 2] * 30_000, predicted=[1, 2, 1] * 30_000)
    assert report(root, "confusion.csv")[1:] == [["1", "1", "30000"], ["2", "1", "30000"], ["2", "2", "30000"]]


def test_a_run_without_predictions_to_draw_leaves_the_header(root: Path) -> None:
    header = [["actual", "predicted", "count"]]
    assert report(root, "confusion.csv") == header, "no file"
    predict(root, "y", Actual=[1], predicted=[1])
    assert report(root, "confusion.csv") == header, "no such column"
    predict(root, "y", actual=[], predicted=[])
    assert report(root, "confusion.csv") == header, "no test items"


def test_equal_results_are_equal_files(root: Path) -> None:
    predict(root, "y", actual=[3, 1, 2], predicted=[3, 1, 1])
    files = ("metrics.json", "plots/versions.csv", "plots/sweep.csv", "plots/confusion.csv")
    report(root, "sweep.csv")
    first = [(root / "results" / name).read_bytes() for name in files]
    report(root, "sweep.csv")
    assert [(root / "results" / name).read_bytes() for name in files] == first
