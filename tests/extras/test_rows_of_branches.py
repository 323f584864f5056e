"""`git merge` of rows that both branches changed: cell by cell, and a conflict only where nobody but a person can decide."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from baked_projects import Project
from forked_project import (
    DATABASE,
    TRAIN,
    all_ids,
    marked,
    object_of,
    outs_of,
    runs,
    versions_of,
    with_rows,
)

from lineage.extras.git_merge.driver import drive
from lineage.tracked.cache import object_path

FIRST = 523
"""An image of the first batch."""


def relabel(label: int, ids: Sequence[int] = (FIRST,)):  # type: ignore[no-untyped-def]
    """Give rows that `start` knows another label, as a rebase does."""

    def change(file: Path) -> None:
        frame = pd.read_parquet(file)
        frame.loc[frame["id"].isin(ids), "label"] = label
        frame.to_parquet(file)

    return change


def score_of_first_run(value: float):  # type: ignore[no-untyped-def]
    def change(file: Path) -> None:
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE metrics SET f1_score = ? WHERE rowid = 1", (value,))

    return change


def test_one_side_corrected_rows_and_the_other_added_some(forked: Project, tmp_path: Path) -> None:
    for side in (1, 2):
        lock = versions_of(forked, "dvc.lock", tmp_path)
        with_rows(forked, lock[side], TRAIN, relabel(77))
        assert drive(forked.path, *lock, "dvc.lock") == 0
        train = pd.read_parquet(object_path(forked.path, outs_of(lock[1])[TRAIN]))
        assert train.loc[train["id"] == FIRST, "label"].tolist() == [77], "the correction, on whichever side"
        assert sorted(train["id"]) == all_ids(forked)


def test_a_new_column_of_one_side_stays(forked: Project, tmp_path: Path) -> None:
    def widen(file: Path) -> None:
        frame = pd.read_parquet(file)
        frame.loc[frame.index > 900, "scanner"] = 2.5
        frame.to_parquet(file)

    lock = versions_of(forked, "dvc.lock", tmp_path)
    with_rows(forked, lock[2], TRAIN, widen)
    assert drive(forked.path, *lock, "dvc.lock") == 0
    train = pd.read_parquet(object_path(forked.path, outs_of(lock[1])[TRAIN]))
    assert sorted(train["id"]) == all_ids(forked) and train["scanner"].notna().sum() > 0


def test_the_same_merge_twice_gives_the_same_objects(forked: Project, tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        lock = versions_of(forked, "dvc.lock", tmp_path)
        assert drive(forked.path, *lock, "dvc.lock") == 0
        found.append(lock[1].read_bytes())
    assert found[0] == found[1]


def test_rows_that_both_sides_corrected_differently_are_a_conflict(
    forked: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = versions_of(forked, "dvc.lock", tmp_path)
    with_rows(forked, lock[1], TRAIN, relabel(77))
    with_rows(forked, lock[2], TRAIN, relabel(88))
    assert drive(forked.path, *lock, "dvc.lock") == 1
    assert marked(lock[1])
    said = capsys.readouterr().err
    assert "dvc.lock is left with conflict marks: cells with two values, 1 in all (base | ours | theirs):" in said
    assert f"data/train.parquet: id={FIRST} — label: " in said and " | 77 | 88" in said
    assert "  → git checkout --ours dvc.lock && git add dvc.lock   # or --theirs" in said


def test_a_run_that_both_sides_changed_differently_is_a_conflict(
    forked: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = versions_of(forked, "dvc.lock", tmp_path)
    with_rows(forked, lock[1], DATABASE, score_of_first_run(0.1))
    assert drive(forked.path, *lock, "dvc.lock") == 0, "one side may"
    lock = versions_of(forked, "dvc.lock", tmp_path)
    with_rows(forked, lock[1], DATABASE, score_of_first_run(0.1))
    with_rows(forked, lock[2], DATABASE, score_of_first_run(0.2))
    assert drive(forked.path, *lock, "dvc.lock") == 1
    said = capsys.readouterr().err
    assert (
        marked(lock[1])
        and "cells with two values, 1 in all" in said
        and "f1_score: " in said
        and " | 0.1 | 0.2" in said
    )


def test_a_row_that_both_sides_changed_in_different_cells_is_merged_cell_by_cell(
    forked: Project, tmp_path: Path
) -> None:
    def score(column: str, value: float):  # type: ignore[no-untyped-def]
        def change(file: Path) -> None:
            with sqlite3.connect(file) as connection:
                connection.execute(f"UPDATE metrics SET {column} = ? WHERE rowid = 1", (value,))

        return change

    lock = versions_of(forked, "dvc.lock", tmp_path)
    with_rows(forked, lock[1], DATABASE, score("f1_score", 0.25))
    with_rows(forked, lock[2], DATABASE, score("accuracy", 0.75))
    assert drive(forked.path, *lock, "dvc.lock") == 0
    with sqlite3.connect(object_path(forked.path, outs_of(lock[1])[DATABASE])) as connection:
        changed = connection.execute("SELECT f1_score, accuracy FROM metrics WHERE rowid = 1").fetchone()
    assert changed == (0.25, 0.75)


def test_training_rows_that_one_side_dropped_are_gone(forked: Project, tmp_path: Path) -> None:
    def drop(file: Path) -> None:
        frame = pd.read_parquet(file)
        frame[frame["id"] != FIRST].to_parquet(file)

    for side in (1, 2):
        lock = versions_of(forked, "dvc.lock", tmp_path)
        with_rows(forked, lock[side], TRAIN, drop)
        assert drive(forked.path, *lock, "dvc.lock") == 0
        train = pd.read_parquet(object_path(forked.path, outs_of(lock[1])[TRAIN]))
        assert sorted([*train["id"], FIRST]) == all_ids(forked), "whichever side dropped it"


@pytest.mark.slow
def test_all_conflicts_of_a_git_merge_can_be_asked_until_it_is_given_up(forked: Project) -> None:
    """Both branches give eight images and a run another value; the remedies are typed."""
    old = pd.read_parquet(object_of(forked, "start", TRAIN)).iloc[:8]
    for side, label in (("right", 88), ("left", 77)):
        forked.git("switch", "--quiet", "--force", side)
        lock = forked.path / "dvc.lock"
        with_rows(forked, lock, TRAIN, relabel(label, old["id"]))
        with_rows(forked, lock, DATABASE, score_of_first_run(label / 100))
        forked.git("commit", "--quiet", "--no-verify", "--all", "-m", f"{side} corrects")
    done = forked.run("git", "merge", "--no-edit", "right", code=1)
    assert "cells with two values, 9 in all (base | ours | theirs):" in done.stderr
    assert "  → python scripts/experiment_explorer.py conflicts   # shows all of them" in done.stderr
    shown = json.loads(forked.script("experiment_explorer", "conflicts", "--format", "json"))
    assert [one for one in shown if one["table"] == TRAIN] == [
        {"table": TRAIN, "key": f"id={key}", "column": "label", "base": base, "ours": 77, "theirs": 88}
        for key, base in zip(old["id"], old["label"], strict=True)
    ]
    [run] = [one for one in shown if one["table"] == "metrics"]
    assert (run["column"], run["ours"], run["theirs"]) == ("f1_score", 0.77, 0.88)
    assert run["key"].startswith(f"track_id={runs(object_of(forked, 'start', DATABASE))[0]}, timestamp=")
    forked.git("merge", "--abort")
    said = forked.script("experiment_explorer", "conflicts")
    assert said == "there are no conflicts: no merge is under way in which both sides changed a cell\n"
    forked.run("git", "merge", "--no-edit", "right", code=1)
    forked.git("checkout", "--ours", "dvc.lock")
    forked.git("add", "dvc.lock")
    forked.run("git", "commit", "--no-edit", "--no-verify")
    assert json.loads(forked.script("experiment_explorer", "conflicts", "--format", "json")) == []
    forked.dvc("checkout")
    train = pd.read_parquet(forked.path / TRAIN)
    assert train.loc[train["id"].isin(old["id"]), "label"].tolist() == [77] * 8


def test_a_run_that_one_side_dropped_is_gone_unless_the_other_changed_it(forked: Project, tmp_path: Path) -> None:
    """A rebase drops runs."""

    def drop(file: Path) -> None:
        with sqlite3.connect(file) as connection:
            connection.execute("DELETE FROM metrics WHERE rowid = 1")

    def change(file: Path) -> None:
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE metrics SET f1_score = 0.1 WHERE rowid = 1")

    [first] = runs(object_of(forked, "start", DATABASE))
    for side in (1, 2):
        lock = versions_of(forked, "dvc.lock", tmp_path)
        with_rows(forked, lock[side], DATABASE, drop)
        assert drive(forked.path, *lock, "dvc.lock") == 0
        left = runs(object_path(forked.path, outs_of(lock[1])[DATABASE]))
        assert len(left) == 2 and first not in left, "whichever side dropped it"
    lock = versions_of(forked, "dvc.lock", tmp_path)
    with_rows(forked, lock[1], DATABASE, change)
    with_rows(forked, lock[2], DATABASE, drop)
    assert drive(forked.path, *lock, "dvc.lock") == 0
    assert first in runs(object_path(forked.path, outs_of(lock[1])[DATABASE]))
