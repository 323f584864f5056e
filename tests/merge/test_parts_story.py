"""A project whose training data are parts: from a file and back, a clone, a correction, small parts, things that lie about."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pandas as pd
from baked_projects import Project, stages_run
from clones_project import clone
from inbox_project import command_in, type_it

TRAIN = "data/train.parquet"


def parts(project: Project) -> dict[str, bytes]:
    return {part.name: part.read_bytes() for part in sorted((project.path / TRAIN).iterdir())}


def rows(project: Project) -> pd.DataFrame:
    return pd.read_parquet(project.path / TRAIN)


def data_hashes(project: Project) -> list[str]:
    with closing(sqlite3.connect(project.path / "results/experiments.db")) as connection:
        return [md5 for (md5,) in connection.execute("SELECT data_hash FROM metrics ORDER BY timestamp")]


def test_the_story_of_data_that_grow_as_parts(light_trained: Project, tmp_path: Path) -> None:
    project = light_trained
    first = rows(project)
    project.set_param("merge.data_layout", "parts")
    assert "merge data/train.parquet: +0 ~0 =0 !0; 0 new files, 1 already merged; 537 rows now" in project.repro()
    pd.testing.assert_frame_equal(rows(project), first)
    assert data_hashes(project)[-1].endswith(".dir")
    assert stages_run(project.repro()) == []
    project.commit("as parts")
    before = parts(project)

    project.drop_batch(2)
    assert "merge data/train.parquet: +450 ~0 =0 !0; 1 new file, 1 already merged; 987 rows now" in project.repro()
    now = parts(project)
    assert [name in before for name in now] == [True, False, False], "a new part, and the record"
    project.commit("more")
    colleague = clone(project, tmp_path / "bob")
    assert f"error: {TRAIN} is missing although dvc.lock records it" in colleague.script("merge_data", code=1)
    colleague.dvc("pull", "--quiet")
    assert parts(colleague) == now
    wrong = pd.read_parquet(colleague.path / "data/incoming/batch_001.parquet").head(3)
    wrong = wrong.assign(label=(wrong["label"] + 1) % 10)
    wrong.to_parquet(colleague.path / "data/incoming/corrections.parquet", index=False)
    colleague.set_param("merge.data_strategy", "rebase")
    assert "rebase data/train.parquet: +3 ~3 =0 !0; 1 new file" in colleague.repro("merge_data")
    assert [name in now for name in parts(colleague)] == [False, True, False, False]
    last = rows(colleague).tail(3).reset_index(drop=True)
    pd.testing.assert_frame_equal(last, wrong.sort_values("id", ignore_index=True))

    project.git("checkout", "--quiet", "HEAD~1")
    project.drop_batch(3)
    stale = project.repro("merge_data", code=255)
    assert f"{TRAIN} is not the version that dvc.lock records but another one, left behind by a git checkout" in stale
    (project.path / "data/incoming/batch_003.parquet").unlink()
    project.git("checkout", "--quiet", "--force", "main")
    stray = project.path / TRAIN / "mine.parquet"
    stray.write_bytes(next(iter(now.values())))
    refused = project.script("merge_data", code=2)
    assert f"error: {stray} is no part of the data in that folder, or one too many" in refused
    type_it(project, command_in(refused, "→ "))
    assert "0 new files, 2 already merged" in project.script("merge_data")

    said = project.script("merge_artifacts", "compact")
    assert f"{TRAIN}: 2 parts became 1\n" in said
    type_it(project, command_in(said, "next: ").replace("--all", "--all -m folded"))
    assert project.git("status", "--porcelain", "--untracked-files=no") == ""
    assert len(parts(project)) == 2
    assert "nothing to do: " in project.script("merge_artifacts", "compact", "--data", TRAIN)
    assert stages_run(project.repro()) == ["train", "merge_results", "promote_model"], "the hash is another one"

    wanted = rows(project)
    project.set_param("merge.data_layout", "file")
    project.repro("merge_data")
    assert (project.path / TRAIN).is_file()
    pd.testing.assert_frame_equal(rows(project), wanted)
    assert "0 new files, 2 already merged" in project.script("merge_data")
    folded = project.script("merge_artifacts", "compact", code=2)
    assert (
        f"error: {TRAIN} is no folder of parts\n  → set merge.data_layout: parts in params.yaml, then: dvc repro"
        in folded
    )
    project.set_param("merge.data_layout", "parts")
    project.run(*folded.rpartition("then: ")[2].split())
    assert "nothing to do: no neighbours among the 1 parts" in project.script("merge_artifacts", "compact")


def test_by_hand_an_output_is_laid_out_as_it_was_or_as_its_base_or_as_asked(light_trained: Project) -> None:
    project = light_trained

    def merge(base: str, output: str, *options: str) -> Path:
        words = ("--strategy", "merge", "--key-columns", "id", "--exp-data", "examples/batches/batch_002.parquet")
        project.script("merge_artifacts", *words, "--base-data", base, "--output-data", output, *options)
        return project.path / output

    made = merge(TRAIN, "build/all.parquet", "--data-layout", "parts")
    assert made.is_dir() and len(pd.read_parquet(made)) == 987
    assert merge("build/all.parquet", "build/again.parquet").is_dir()
    names = sorted(path.name for path in made.iterdir())
    assert merge("build/all.parquet", "build/all.parquet").is_dir(), "nothing is new"
    assert sorted(path.name for path in made.iterdir()) == names
    assert merge("build/all.parquet", "build/file.parquet", "--data-layout", "file").is_file()
    assert merge("build/all.parquet", "build/all.parquet", "--data-layout", "file").is_file()
    words = ("--strategy", "merge", "--key-columns", "id", "--exp-data", "build/again.parquet", "--dry-run")
    said = project.script("merge_artifacts", *words, "--base-data", TRAIN, "--output-data", TRAIN)
    assert f"merge {TRAIN}: +450 ~0 =537 !0" in said
    tagged = ("--backup-tag", "before", "--data-layout", "parts")
    merge("build/again.parquet", "build/again.parquet", *tagged)
    project.dvc("get", ".", "build/again.parquet", "--rev", "before", "--out", "old.parquet")
    assert len(pd.read_parquet(project.path / "old.parquet")) == 987


def test_a_killed_merge_leaves_the_old_folder_or_the_new_one_whole(light_trained: Project) -> None:
    project = light_trained
    project.set_param("merge.data_layout", "parts")
    project.repro("merge_data")
    old = parts(project)
    project.drop_batch(2)
    command = [sys.executable, "scripts/merge_data.py"]
    started = time.monotonic()
    done = subprocess.run(command, cwd=project.path, env=project.environment, check=True, capture_output=True)
    seconds = time.monotonic() - started
    new = parts(project)
    assert new != old and b"+450" in done.stdout
    seen = []
    for share in (0.5, 0.7, 0.8, 0.9, 0.95):
        project.dvc("checkout", "--quiet", "--force", TRAIN)
        process = subprocess.Popen(command, cwd=project.path, env=project.environment, stdout=subprocess.DEVNULL)
        time.sleep(seconds * share)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert parts(project) in (old, new)
        seen.append(parts(project) == new)
    assert not all(seen)
    project.script("merge_data")
    assert parts(project) == new
    assert not [path for path in (project.path / "data").iterdir() if path.name.endswith(".tmp")]
