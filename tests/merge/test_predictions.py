"""Predictions: one parquet file for each run, gathered as whole files."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from baked_projects import Project

from lineage.core.errors import BadInput, Refused
from lineage.merge.predictions import find_predictions, plan_gathering
from lineage.merge.rules import Rules
from lineage.merge.run_ids import run_ids

CREATE = "CREATE TABLE predictions (track_id TEXT, timestamp TEXT, item_id INTEGER, p REAL, note TEXT, raw BLOB)"
ROWS = [
    ("r1", "t1", 2**60 + 1, 0.1 + 0.2, "é", b"\0a"),
    ("r1", "t2", -5, 5.0, None, None),
    ("r2", "t3", 3, float("inf"), "x", b""),
]


@pytest.fixture
def trained(light_trained: Project) -> Project:
    return light_trained


def run_file(folder: Path, run: str, *values: float) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{run}.parquet"
    pq.write_table(pa.table({"track_id": [run] * len(values), "predicted": list(values)}), path)
    return path


def results(path: Path, *runs: str, predictions: list[tuple[Any, ...]] | None = None) -> Path:
    """A database with a row of `metrics` for each run, and a table of predictions where some are given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE metrics (track_id TEXT PRIMARY KEY)")
        connection.executemany("INSERT INTO metrics VALUES (?)", [(run,) for run in runs])
        if predictions is not None:
            connection.execute(CREATE)
            marks = ", ".join("?" * len(predictions[0]))
            connection.executemany(f"INSERT INTO predictions VALUES ({marks})", predictions)
    return path


def gather(folder: Path, found: list[tuple[str, Path]], runs: set[str], **rules: Any) -> str:
    gathering = plan_gathering(folder, found, runs, Rules(rules.pop("strategy", "merge"), **rules))
    gathering.write()
    return gathering.plan.line()


def test_files_of_new_runs_are_added_and_equal_ones_are_there_already(tmp_path: Path) -> None:
    kept = tmp_path / "predictions"
    old, new = run_file(tmp_path / "in", "a", 1.0), run_file(tmp_path / "in", "b", 2.0)
    assert gather(kept, [("a", old)], {"a"}) == "predictions: +1 ~0 =0 !0"
    before = (kept / "a.parquet").stat()
    assert gather(kept, [("a", old), ("b", new)], {"a", "b"}) == "predictions: +1 ~0 =1 !0"
    assert (kept / "a.parquet").stat() == before, "a file that is there is not touched"
    assert (kept / "b.parquet").read_bytes() == new.read_bytes()
    assert gather(kept, [("a", old), ("b", new)], {"a", "b"}) == "predictions: +0 ~0 =2 !0"


def test_one_run_with_two_contents_is_a_conflict_that_names_it(tmp_path: Path) -> None:
    kept = tmp_path / "predictions"
    mine = run_file(kept, "a", 1.0).read_bytes()
    other = run_file(tmp_path / "in", "a", 2.0)
    with pytest.raises(Refused, match=r"predictions: 1 incoming .*\n  run a — .*a\.parquet \| .*a\.parquet"):
        gather(kept, [("a", other)], {"a"})
    assert gather(kept, [("a", other)], {"a"}, on_conflict="base") == "predictions: +0 ~0 =0 !1"
    assert (kept / "a.parquet").read_bytes() == mine
    assert gather(kept, [("a", other)], {"a"}, on_conflict="incoming") == "predictions: +1 ~1 =0 !0"
    assert (kept / "a.parquet").read_bytes() == other.read_bytes()


def test_a_rebase_drops_the_files_of_runs_that_go(tmp_path: Path) -> None:
    kept = tmp_path / "predictions"
    for run in ("old", "stays"):
        run_file(kept, run, 1.0)
    new = run_file(tmp_path / "in", "new", 2.0)
    line = gather(kept, [("new", new)], {"stays", "new"}, strategy="rebase", key_columns=("version",))
    assert line == "predictions: +1 ~1 =0 !0"
    assert sorted(path.name for path in kept.iterdir()) == ["new.parquet", "stays.parquet"]


def test_a_table_of_an_incoming_database_is_split_by_run_with_every_value(tmp_path: Path) -> None:
    source = results(tmp_path / "x.db", "r1", "r2", predictions=ROWS)
    (tmp_path / "split").mkdir()
    found = dict(find_predictions([source], tmp_path / "split"))
    assert list(found) == ["r1", "r2"]
    read = [row for path in found.values() for row in duckdb.sql(f"FROM '{path}'").fetchall()]
    assert read == ROWS
    again = tmp_path / "again"
    again.mkdir()
    copies = dict(find_predictions([source], again))
    assert [copies[run].read_bytes() for run in copies] == [found[run].read_bytes() for run in found]


def test_files_beside_a_database_and_in_its_folder_are_found(tmp_path: Path) -> None:
    one = results(tmp_path / "runs/a.db", "a")
    run_file(tmp_path / "runs", "a", 1.0)
    many = results(tmp_path / "theirs/experiments.db", "b", "c")
    for run in ("b", "c"):
        run_file(tmp_path / "theirs/predictions", run, 2.0)
    (tmp_path / "split").mkdir()
    found = dict(find_predictions([one, many], tmp_path / "split"))
    assert {run: path.relative_to(tmp_path).as_posix() for run, path in found.items()} == {
        "a": "runs/a.parquet", "b": "theirs/predictions/b.parquet", "c": "theirs/predictions/c.parquet",
    }  # fmt: skip
    assert run_ids(many) == {"b", "c"}


MIXED = [("r1", "t1", 1, 0.5, "x", None), ("r1", "t2", 1, "half", "x", None)]


def test_what_is_no_file_of_predictions_is_named(tmp_path: Path) -> None:
    mixed = results(tmp_path / "mixed.db", "r1", predictions=MIXED)
    (tmp_path / "1").mkdir()
    with pytest.raises(BadInput, match=r"mixed\.db: column 'p' of table 'predictions' holds values of several types"):
        find_predictions([mixed], tmp_path / "1")
    wrong = results(tmp_path / "b.db", "b")
    run_file(tmp_path, "a", 1.0).rename(tmp_path / "b.parquet")
    (tmp_path / "2").mkdir()
    with pytest.raises(BadInput, match=r"b\.parquet should hold predictions of one run, b; it names a"):
        find_predictions([wrong], tmp_path / "2")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "b.parquet")
    (tmp_path / "3").mkdir()
    with pytest.raises(BadInput, match=r"b\.parquet has no column track_id"):
        find_predictions([wrong], tmp_path / "3")
    run_file(tmp_path / "4/predictions", "stray", 1.0)
    (tmp_path / "5").mkdir()
    with pytest.raises(BadInput, match=r"stray\.parquet holds predictions of run stray, which has no row in metrics"):
        find_predictions([results(tmp_path / "4/a.db", "a")], tmp_path / "5")


def test_a_file_alone_in_the_inbox_is_taken_or_named(tmp_path: Path) -> None:
    alone = run_file(tmp_path / "inbox/deep", "a", 1.0)
    beside = run_file(tmp_path / "inbox", "b", 1.0)
    database = results(tmp_path / "inbox/b.db", "b")
    dropped = [database, beside, alone]
    assert find_predictions([database], tmp_path, dropped, {"a", "b"}) == [("b", beside), ("a", alone)]
    with pytest.raises(
        BadInput, match=r"a\.parquet holds predictions of run a, which has no row in metrics of results/"
    ):
        find_predictions([database], tmp_path, dropped, {"b"})


def test_files_of_runs_whose_rows_stay_away_stay_away_too(tmp_path: Path) -> None:
    """A copy of our own database brings runs that a rebase has dropped since: neither rows nor files come back."""
    dropped = run_file(tmp_path / "copy/predictions", "dropped", 1.0)
    assert gather(tmp_path / "kept", [("dropped", dropped)], {"a"}) == "predictions: +0 ~0 =0 !0"
    assert list((tmp_path / "kept").iterdir()) == []


@pytest.mark.slow
def test_the_pipeline_keeps_one_file_for_each_run_and_rebase_drops_it(trained: Project) -> None:
    folder = trained.path / "results/predictions"
    [first] = folder.glob("*.parquet")
    metrics = pd.read_sql("SELECT * FROM metrics", sqlite3.connect(trained.path / "results/experiments.db"))
    assert metrics["track_id"].tolist() == [first.stem]
    predictions = pd.read_parquet(first)
    assert len(predictions) == len(pd.read_parquet(trained.path / "data/test.parquet"))
    assert predictions["track_id"].unique().tolist() == [first.stem]
    trained.set_param("merge.strategy", "rebase")
    trained.set_param("model.C", 0.5)
    out = trained.repro()
    assert "rebase metrics: +1 ~1 =0 !0" in out and "rebase predictions: +1 ~1 =0 !0" in out
    [second] = folder.glob("*.parquet")
    assert second.stem != first.stem
    trained.dvc("status")
    trained.commit("replaced")
    trained.dvc("get", ".", f"results/predictions/{first.name}", "--rev", "HEAD~1", "--out", "old.parquet")
    assert pd.read_parquet(trained.path / "old.parquet").equals(predictions)


@pytest.mark.slow
def test_a_colleagues_database_by_hand_brings_its_predictions_along(trained: Project, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    shutil.copytree(trained.path / "results", theirs, symlinks=False)
    [own] = (theirs / "predictions").glob("*.parquet")
    frame = pd.read_parquet(own).assign(track_id="theirs", extra=1.5)
    own.unlink()
    frame.to_parquet(theirs / "predictions/theirs.parquet")
    database = theirs / "experiments.db"
    database.chmod(0o644)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE metrics SET track_id = 'theirs'")
    words = ("--strategy", "merge", "--base-db", "results/experiments.db", "--output-db", "results/experiments.db")
    planned = trained.script("merge_artifacts", *words, "--exp-db", str(database), "--dry-run")
    assert "merge predictions: +1 ~0 =0 !0" in planned
    assert len(list((trained.path / "results/predictions").iterdir())) == 1
    out = trained.script("merge_artifacts", *words, "--exp-db", str(database))
    assert "merge metrics: +1 ~0 =0 !0" in out and "merge predictions: +1 ~0 =0 !0" in out
    files = sorted(path.stem for path in (trained.path / "results/predictions").glob("*.parquet"))
    both = f"read_parquet('{trained.path}/results/predictions/*.parquet', union_by_name = true)"
    counted = duckdb.sql(f"SELECT track_id, count(*), count(extra) FROM {both} GROUP BY 1 ORDER BY 1").fetchall()
    assert [row[0] for row in counted] == files and counted[-1] == ("theirs", len(frame), len(frame))
    assert counted[0][2] == 0, "a column that a file lacks is NULL there"
