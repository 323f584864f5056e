"""`git merge` of branches that both ran: every run of both, and a conflict only where nobody but a person can decide."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from baked_projects import Project, stages_run
from forked_project import (
    DATABASE,
    PREDICTIONS,
    TRAIN,
    all_ids,
    marked,
    object_of,
    outs_of,
    runs,
    versions_of,
)
from inbox_project import merged_data, merged_results

from lineage.extras.git_merge.driver import drive
from lineage.setup.project import MERGE_DRIVER
from lineage.tracked.cache import object_path, read_listing, store_object
from lineage.tracked.hashes import file_md5, manifest_of, path_md5, write_listing


@pytest.fixture
def trained(light_trained: Project) -> Project:
    return light_trained


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


def with_predictions(project: Project, lock: Path, **runs: bytes) -> None:
    """Let a lock file name a folder with the predictions of these runs."""
    content = yaml.safe_load(lock.read_text(encoding="utf-8"))
    folder = lock.with_suffix(".predictions")
    folder.mkdir(exist_ok=True)
    for run, predictions in runs.items():
        (folder / f"{run}.parquet").write_bytes(predictions)
    files = manifest_of(folder)
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
