"""Which of several runs is chosen: by the validation side where there is one, and never by the test set then."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from lineage.core.params import Promote
from lineage.extras.show.leaderboard import print_leaderboard, read_leaderboard
from lineage.results.leaderboard import best_on_validation, best_runs, choice_of, how_chosen
from lineage.results.plots import write_reports
from lineage.runs.run import Facts, Outcome, Run
from lineage.runs.sweep import _best

RUNS: list[tuple[Any, ...]] = [
    # track_id, timestamp, version, data_hash, test_hash, model_C, f1_score, val_f1_score
    ("before validation", "1", "e0.1.0", "d0", "t", 1.0, 0.9, None),
    ("before, better", "2", "e0.1.0", "d0", "t", 2.0, 0.95, None),
    ("chosen", "3", "e0.2.0", "d0", "t", 1.0, 0.5, 0.8),
    ("tie, better on test", "4", "e0.2.0", "d0", "t", 2.0, 0.99, 0.8),
    ("worse, best on test", "5", "e0.2.0", "d0", "t", 3.0, 1.0, 0.7),
    ("not measured", "6", "e0.2.0", "d0", "t", 4.0, 0.6, None),
    ("infinite", "7", "e0.2.0", "d0", "t", 5.0, 0.7, float("inf")),
]
SWEEP = ["chosen", "tie, better on test", "worse, best on test"]
ORDER = [*SWEEP, "before, better", "before validation", "infinite", "not measured"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project of which only results are there."""
    (tmp_path / "results/predictions").mkdir(parents=True)
    with sqlite3.connect(tmp_path / "results/experiments.db") as connection:
        connection.execute(
            "CREATE TABLE metrics (track_id TEXT, timestamp TEXT, version TEXT, data_hash TEXT, test_hash TEXT,"
            " model_C REAL, f1_score REAL, val_f1_score REAL)"
        )
        connection.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?, ?, ?)", RUNS)
    return tmp_path


def ranked(root: Path, **options: Any) -> list[dict[str, Any]]:
    return best_runs(root / "results/experiments.db", "f1_score", "max", **options)


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["track_id"] for row in rows]


def test_validation_ranks_first_and_the_test_set_only_runs_without_it(root: Path) -> None:
    assert ids(ranked(root)) == ORDER
    assert ids(ranked(root, where="version = 'e0.1.0'")) == ["before, better", "before validation"]
    assert ids(ranked(root, validated=False))[:2] == ["worse, best on test", "tie, better on test"]


def test_of_runs_that_were_validated_alike_one_challenges(root: Path) -> None:
    """A run without a value does not get in by its test metric; runs without validation all challenge, as ever."""
    runs = ranked(root)
    one, *others = best_on_validation(runs, "f1_score")
    assert one["track_id"] == "chosen" and ids(others) == ["before, better", "before validation"]
    elsewhere = {**one, "track_id": "elsewhere", "data_hash": "d1"}
    assert ids(best_on_validation([*runs, elsewhere], "f1_score"))[-1] == "elsewhere", "its validation rows are others"
    assert how_chosen(one, "f1_score") == ", chosen by val_f1_score 0.8000"
    assert how_chosen(others[0], "f1_score") == "" and choice_of(others[0], "f1_score") == "f1_score"


def test_the_leaderboard_says_what_it_is_sorted_by(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database = root / "results/experiments.db"
    for metric, first, line in (
        ("f1_score", "worse, best on test", "\nbest first by f1_score\n"),
        ("val_f1_score", "chosen", "\nbest first by val_f1_score\n"),
    ):
        rows, names = read_leaderboard(database, metric, "max")
        assert rows[0]["track_id"] == first and rows[0]["sorted_by"] == metric
        print_leaderboard(rows, names, "table")
        assert capsys.readouterr().out.endswith(line)
    print_leaderboard(rows, names, "json")
    assert ids(json.loads(capsys.readouterr().out)) == ids(rows)


def test_reports_are_about_the_run_that_was_chosen(root: Path) -> None:
    write_reports(root, SWEEP, "f1_score", "max")
    assert json.loads((root / "results/metrics.json").read_text()) == {"f1_score": 0.5, "val_f1_score": 0.8}
    with (root / "results/plots/versions.csv").open(newline="") as file:
        assert [line[:2] for line in csv.reader(file)][1:] == [["e0.1.0", "0.95"], ["e0.2.0", "0.5"]]
    with (root / "results/plots/sweep.csv").open(newline="") as file:
        scores = {line["track_id"]: line["score"] for line in csv.DictReader(file)}
    assert scores == dict(zip(SWEEP, ("0.8", "0.8", "0.7"), strict=True))


def test_the_live_line_shows_the_best_on_validation() -> None:
    promote = Promote(strategy="merge", metric="f1", mode="max", min_improvement=0, keep=1)
    run = Run("x", {}, {}, {}, Facts(version="e0.1.0"))
    failed, *done = [Outcome(run, metrics) for metrics in ({}, {"f1": 1.0, "val_f1": 0.5}, {"f1": 0.0, "val_f1": 0.75})]
    assert _best([], promote) == "f1 –"
    assert _best([*done, failed], promote) == "val_f1 0.7500"
    assert _best([*done, failed], promote.model_copy(update={"mode": "min"})) == "val_f1 0.5000"
    assert _best([Outcome(run, {"f1": 0.25})], promote) == "f1 0.2500"
