"""`git merge` of branches that both ran: every run of both, and a conflict only where nobody but a person can decide."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import Project, copy_project, stages_run
from inbox_project import merged_data, merged_results

from lineage.branches.git_merge_driver import drive
from lineage.setup.project import MERGE_DRIVER
from lineage.tracked import recorded as records
from lineage.tracked.cache import cache_folder, object_path, read_listing, store_object
from lineage.tracked.hashes import file_md5, folder_manifest, path_md5, write_listing

DATABASE, PREDICTIONS, TRAIN = "results/experiments.db", "results/predictions", "data/train.parquet"
SPEAKS = "run.log(step=0, C=params['C']); run.artifact('C.txt').write_text(str(params['C']))\n"
FIRST = 523
"""An image of the first batch."""


def branch(project: Project, name: str, *, batch: int | None = None, line: tuple[str, str] | None = None) -> None:
    """Run something of its own on a new branch from main, and commit it."""
    project.git("switch", "--quiet", "--create", name, "start")
    project.dvc("checkout")
    if batch:
        project.drop_batch(batch)
    if line:
        path = project.path / "params.yaml"
        path.write_text(path.read_text(encoding="utf-8").replace(*line), encoding="utf-8")
    project.repro()
    project.commit(name)


@pytest.fixture(scope="module")
def forked_original(trained_original: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two branches of `start` that both ran: `left` with other params and a batch, `right` with another batch."""
    project = copy_project(trained_original, tmp_path_factory.mktemp("forked"))
    project.git("config", "merge.dvc.driver", MERGE_DRIVER)
    code = project.path / "experiment.py"
    signature = "def fit(train: pd.DataFrame, params: dict[str, Any], run: Any) -> Pipeline:\n    " + SPEAKS
    text = code.read_text(encoding="utf-8")
    old = "def fit(train: pd.DataFrame, params: dict[str, Any]) -> Pipeline:\n"
    code.write_text(text.replace(old, signature), encoding="utf-8")
    project.commit("runs speak")
    project.git("branch", "start")
    branch(project, "left", batch=2, line=("version: e0.1.0", "version: e0.2.0"))
    branch(project, "right", batch=3, line=("  C: 1.0 ", "  C: 0.3 "))
    project.git("switch", "--quiet", "left")
    project.dvc("checkout")
    return project


@pytest.fixture
def forked(forked_original: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    project = copy_project(forked_original, tmp_path)
    monkeypatch.setenv("HOME", project.environment["HOME"])
    cache_folder.cache_clear()
    return project


def object_of(project: Project, revision: str, path: str) -> Path:
    return object_path(project.path, records.recorded_outputs(project.path, revision)[path])


def runs(database: Path) -> list[str]:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return [row[0] for row in connection.execute("SELECT track_id FROM metrics ORDER BY track_id")]


def all_ids(project: Project) -> list[int]:
    """Ids of the first batch and of those that the two branches added."""
    files = [project.path / "examples/batches/batch_002.parquet", project.path / "examples/batches/batch_003.parquet"]
    return sorted(pd.concat([pd.read_parquet(path) for path in (*files, object_of(project, "start", TRAIN))])["id"])


def test_setup_tells_git_how_to_merge(trained: Project) -> None:
    trained.script("setup_project")
    assert trained.git("config", "merge.dvc.driver") == MERGE_DRIVER
    asked = trained.git("check-attr", "merge", "dvc.lock", "data/incoming.dvc", "results/metrics.json", "params.yaml")
    assert [line.split(": ")[-1] for line in asked.splitlines()] == ["dvc", "dvc", "dvc", "unspecified"]


@pytest.mark.slow
def test_both_branches_ran_and_the_merge_holds_all_runs_of_both(forked: Project) -> None:
    expected = sorted({*runs(object_of(forked, "left", DATABASE)), *runs(object_of(forked, "right", DATABASE))})
    assert len(expected) == 3
    ours = runs(object_of(forked, "left", DATABASE))
    said = forked.run("git", "merge", "--no-edit", "right").stderr
    assert "dvc.lock merged; next: dvc checkout && dvc repro" in said
    assert forked.git("status", "--porcelain") == ""
    forked.dvc("checkout")
    assert runs(forked.path / DATABASE) == expected
    assert sorted(path.name for path in (forked.path / "data/incoming").iterdir()) == [
        "batch_001.parquet", "batch_002.parquet", "batch_003.parquet",
    ]  # fmt: skip
    assert sorted(pd.read_parquet(forked.path / TRAIN)["id"]) == all_ids(forked)
    candidates = {path.name.removesuffix("_model.bin") for path in (forked.path / "models/candidates").iterdir()}
    assert candidates == set(expected)
    kept = {path.parent.name: float(path.read_text()) for path in (forked.path / "results/artifacts").rglob("C.txt")}
    with sqlite3.connect(f"file:{forked.path / DATABASE}?mode=ro", uri=True) as connection:
        logged = dict(connection.execute("SELECT track_id, C FROM events"))
    assert kept == logged and sorted(kept.values()) == [0.3, 1.0] and kept.keys() < set(expected)
    names = [name for _, name, *_ in merged_data(forked)]
    assert names == [f"data/incoming/batch_00{number}.parquet" for number in (1, 2, 3)], "ours first"
    merged = [Path(name).stem for _, name, *_ in merged_results(forked.path / DATABASE)]
    assert merged[:2] == ours and sorted(merged) == expected
    before = file_md5(forked.path / TRAIN)
    status = forked.dvc("status")
    assert "train:" in status and "modified:           data/train.parquet" in status
    said = forked.repro()
    assert stages_run(said) == ["merge_data", "train", "merge_results", "promote_model"]
    assert "merge data/train.parquet: +0 ~0 =0 !0; 0 new files, 3 already merged; " in said
    assert file_md5(forked.path / TRAIN) == before
    assert set(expected) < set(runs(forked.path / DATABASE)) and len(runs(forked.path / DATABASE)) == 4
    assert "up to date" in forked.dvc("status")
    forked.commit("merged")


@pytest.mark.slow
def test_the_git_hook_of_setup_checks_the_merge_out(forked: Project) -> None:
    forked.script("setup_project")
    forked.run("git", "merge", "--no-edit", "right")
    assert len(runs(forked.path / DATABASE)) == 3, "no dvc checkout by hand"


def versions_of(project: Project, path: str, folder: Path) -> list[Path]:
    """The three files that Git hands to the driver: start, left, right."""
    files = []
    for revision in ("start", "left", "right"):
        file = folder / revision
        file.write_text(project.git("show", f"{revision}:{path}") + "\n", encoding="utf-8")
        files.append(file)
    return files


def with_rows(project: Project, lock: Path, path: str, change: object) -> None:
    """Make another version of an accumulated output, and name it in a lock file."""
    content = yaml.safe_load(lock.read_text(encoding="utf-8"))
    [out] = [out for stage in content["stages"].values() for out in stage["outs"] if out["path"] == path]
    file = lock.with_suffix(".object")
    file.write_bytes(object_path(project.path, out["md5"]).read_bytes())
    change(file)  # type: ignore[operator]
    out["md5"] = file_md5(file)
    place = object_path(project.path, out["md5"])
    place.parent.mkdir(parents=True, exist_ok=True)
    file.rename(place)
    lock.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def outs_of(lock: Path) -> dict[str, str]:
    content = yaml.safe_load(lock.read_text(encoding="utf-8"))
    return {out["path"]: out["md5"] for stage in content["stages"].values() for out in stage["outs"]}


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


def marked(file: Path) -> bool:
    text = file.read_text(encoding="utf-8")
    return "<<<<<<< ours" in text and ">>>>>>> theirs" in text


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
    assert said == "no conflicts: no merge is under way that both sides changed a cell for\n"
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


def with_predictions(project: Project, lock: Path, **runs: bytes) -> None:
    """Let a lock file name a folder with the predictions of these runs."""
    content = yaml.safe_load(lock.read_text(encoding="utf-8"))
    folder = lock.with_suffix(".predictions")
    folder.mkdir(exist_ok=True)
    for run, predictions in runs.items():
        (folder / f"{run}.parquet").write_bytes(predictions)
    files = folder_manifest(folder)
    for name, md5 in files.items():
        store_object(project.path, folder / name, md5)
    listing = lock.with_suffix(".listing")
    listing.write_text(write_listing(files), encoding="utf-8")
    store_object(project.path, listing, path_md5(folder))
    stage = content["stages"]["merge_results"]
    others = [out for out in stage["outs"] if out["path"] != PREDICTIONS]
    stage["outs"] = [*others, {"path": PREDICTIONS, "hash": "md5", "md5": path_md5(folder)}]
    lock.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    shutil.rmtree(folder)


def test_predictions_of_both_sides_stay_and_those_that_one_side_dropped_are_gone(
    forked: Project, tmp_path: Path
) -> None:
    for mine, theirs in ((1, 2), (2, 1)):
        lock = versions_of(forked, "dvc.lock", tmp_path)
        with_predictions(forked, lock[0], kept=b"1", rebased=b"2")
        with_predictions(forked, lock[mine], kept=b"1", rebased=b"2", left=b"3")
        with_predictions(forked, lock[theirs], kept=b"1", right=b"4")
        assert drive(forked.path, *lock, "dvc.lock") == 0
        merged = read_listing(object_path(forked.path, outs_of(lock[1])[PREDICTIONS]))
        assert sorted(merged) == ["kept.parquet", "left.parquet", "right.parquet"]
        assert object_path(forked.path, merged["right.parquet"]).read_bytes() == b"4"


def test_a_run_with_two_predictions_is_a_conflict(
    forked: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = versions_of(forked, "dvc.lock", tmp_path)
    with_predictions(forked, lock[0])
    with_predictions(forked, lock[1], brisk_otter=b"1", same=b"3")
    with_predictions(forked, lock[2], brisk_otter=b"2", same=b"3")
    assert drive(forked.path, *lock, "dvc.lock") == 1
    assert marked(lock[1])
    assert capsys.readouterr().err.startswith(
        "dvc.lock is left with conflict marks: both sides changed brisk_otter.parquet\n  → git checkout --ours"
    )


def test_an_object_that_is_nowhere_is_a_conflict(
    forked: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = versions_of(forked, "dvc.lock", tmp_path)
    object_of(forked, "right", DATABASE).unlink()
    assert drive(forked.path, *lock, "dvc.lock") == 1
    assert marked(lock[1]) and "is not in the cache and not in the remote" in capsys.readouterr().err


def test_batches_of_one_name_with_other_contents_are_a_conflict(forked: Project, tmp_path: Path) -> None:
    pointer = versions_of(forked, "data/incoming.dvc", tmp_path)
    assert drive(forked.path, *pointer, "data/incoming.dvc") == 0
    forked.git("switch", "--quiet", "right")
    forked.dvc("checkout")
    (forked.path / "data/incoming/batch_003.parquet").rename(forked.path / "data/incoming/batch_002.parquet")
    forked.dvc("commit", "--force", "data/incoming.dvc")
    forked.commit("another batch 2")
    done = forked.run("git", "merge", "left", code=1)
    assert "CONFLICT (content): Merge conflict in data/incoming.dvc" in done.stdout
    assert "data/incoming.dvc is left with conflict marks: both sides changed batch_002.parquet" in done.stderr
    assert marked(forked.path / "data/incoming.dvc")


def test_a_file_that_both_sides_replaced_is_a_conflict(forked: Project, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("base", "ours", "theirs")]
    for number, file in enumerate(files):
        file.write_text(f"outs:\n- md5: {'abc'[number] * 32}\n  size: 1\n  path: test.parquet\n", encoding="utf-8")
    assert drive(forked.path, *files, "data/test.parquet.dvc") == 1
    assert marked(files[1])


def test_histories_without_a_common_version(forked: Project, tmp_path: Path) -> None:
    lock = versions_of(forked, "dvc.lock", tmp_path)
    lock[0].write_bytes(b"")
    assert drive(forked.path, *lock, "dvc.lock") == 0
    assert len(runs(object_path(forked.path, outs_of(lock[1])[DATABASE]))) == 3


@pytest.mark.slow
def test_a_killed_merge_is_done_by_the_same_command(forked: Project) -> None:
    moments = random.Random(3)
    before = {path: path.read_bytes() for path in (forked.path.parent / "cache/files/md5").glob("*/*")}
    for _ in range(4):
        process = subprocess.Popen(["git", "merge", "--no-edit", "right"], cwd=forked.path, env=forked.environment,
                                   start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        time.sleep(moments.uniform(0.2, 1.2))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        (forked.path / ".git/index.lock").unlink(missing_ok=True)  # as Git asks for after a crash of its own
        if forked.git("log", "-1", "--format=%s") == "left":
            forked.git("reset", "--quiet", "--hard")
    forked.run("git", "merge", "--no-edit", "right")
    forked.dvc("checkout")
    assert len(runs(forked.path / DATABASE)) == 3
    assert {path: path.read_bytes() for path in before} == before
