"""A project whose training data are parts from its first minute: everything that reads data, looked at by pandas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from baked_projects import Project
from clones_project import ada_and_bob
from conftest import train
from light_project import lighten
from worktrees_project import sh, work_in, worktree

import lineage
from lineage.extras.compare.data import compare_data
from lineage.extras.retrieve.get import get
from lineage.extras.verify.verify import verify
from lineage.setup.project import MERGE_DRIVER
from lineage.tables.parts import parts_of
from lineage.tables.sources import read_sources
from lineage.tracked.cache import cache_folder, object_path
from lineage.tracked.recorded import recorded_md5
from lineage.tracked.remote import listing
from lineage.tracked.version_tags import find_tag

TRAIN = "data/train.parquet"
WRONG = [3, 77, 150]
"""Places in the first batch whose labels turn out to be wrong."""


def batch(project: Project, *numbers: int) -> list[int]:
    """Ids of example batches as merges line them up: batch after batch, each by its key."""
    found: list[int] = []
    for number in numbers:
        folder = "data/incoming" if number == 1 else "examples/batches"
        found += sorted(pd.read_parquet(project.path / f"{folder}/batch_{number:03d}.parquet")["id"])
    return found


def ids(project: Project) -> list[int]:
    return list(pd.read_parquet(project.path / TRAIN)["id"])


def parts(project: Project) -> list[str]:
    """The names of the parts with rows, which are those that dvc.lock records."""
    folder = project.path / TRAIN
    md5 = recorded_md5(project.path, TRAIN)
    assert md5 is not None and sorted(listing(project.path, md5)) == [part.name for part in parts_of(folder)]
    return [part.name for part in parts_of(folder)[:-1]]


def data_of_diff(project: Project, v1: str, v2: str) -> list[str]:
    printed = project.script("experiment_explorer", "diff", "--v1", v1, "--v2", v2, "--limit", "0", "--format", "csv")
    return [line for line in printed.splitlines() if line.startswith("data,data/train.parquet")]


@pytest.mark.slow
def test_parts_from_the_first_run_to_a_merge_of_branches(
    fresh: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lighten(fresh)
    fresh.set_param("merge.data_layout", "parts")
    ada, bob = ada_and_bob(train(fresh), tmp_path)
    monkeypatch.chdir(ada.path)
    monkeypatch.setenv("HOME", ada.environment["HOME"])
    cache_folder.cache_clear()
    first = lineage.data()
    assert list(first["id"]) == batch(ada, 1) == ids(bob) and parts(ada) == parts(bob)
    assert lineage.runs()["data_hash"][0] == recorded_md5(ada.path, TRAIN)

    # An experiment in a worktree brings a batch of its own home.
    sh(ada, "setup", "own")
    worktree(ada, "own").drop_batch(2)
    assert ids(work_in(ada, "own", "e0.2.0", C=0.5)) == batch(ada, 1, 2)
    assert "removed" in sh(ada, "finish", "own", "--collect")
    assert ids(ada) == batch(ada, 1, 2)
    grown = parts(ada)
    assert [len(pd.read_parquet(ada.path / TRAIN / part)) for part in grown] == [537, 450]

    # Corrected labels, by a sweep in a version of its own; it is tagged and pushed.
    corrected = first.iloc[WRONG].assign(label=np.uint8(9))
    corrected.to_parquet(ada.path / "data/incoming/corrected.parquet", index=False)
    ada.set_param("merge.data_strategy", "rebase")
    ada.set_param("sweep.grid", {"model.C": [0.1, 0.2]})
    said = ada.script("version_tag", "--suggest")
    assert "major since e0.1.0" not in said and "data/incoming has changed since dvc repro" in said
    ada.script("version_tag", "--start", "major")
    ada.commit("correct three labels")
    assert "rebase data/train.parquet: +3 ~3 =0 !0" in ada.repro()
    ada.script("version_tag", "--version", "e1.0.0", "--commit", "corrected", "--push")
    data = lineage.data()
    assert list(data["id"]) == [one for one in batch(ada, 1, 2) if one not in set(corrected["id"])] + sorted(
        corrected["id"]
    )
    assert list(data["label"][-3:]) == [9, 9, 9]
    assert [part in grown for part in parts(ada)] == [False, True, False]
    assert [line[:50] for line in data_of_diff(ada, "e0.1.0", "e1.0.0")[1:]] == [
        "data,data/train.parquet: rows,537,987,450,83.79888",
        "data,data/train.parquet: rows added,,450,,",
        "data,data/train.parquet: rows removed,,0,,",
        "data,data/train.parquet: rows changed,,3,,",
    ]

    # Meanwhile Bob took the third batch; his branch and Ada's become one.
    bob.git("config", "merge.dvc.driver", MERGE_DRIVER)
    bob.drop_batch(3)
    bob.repro("merge_data")
    bob.commit("a third batch")
    assert ids(bob) == batch(bob, 1, 3)
    bob.git("fetch", "--quiet", "--tags")
    bob.git("merge", "--no-edit", "origin/main")
    bob.dvc("pull")
    merged = pd.read_parquet(bob.path / TRAIN)
    assert list(merged["id"]) == batch(bob, 1, 3, 2)
    assert list(merged.set_index("id")["label"][corrected["id"]]) == [9, 9, 9]
    changed = merged.merge(first, on="id")
    assert list(changed["id"][changed["label_x"] != changed["label_y"]]) == sorted(
        one for one, label in zip(first["id"][WRONG], first["label"][WRONG]) if label != 9
    )
    before = parts(bob)
    assert len(before) == 3 and before[2].split("-")[2] == grown[1].split("-")[2], "the second batch, byte for byte"
    assert sorted(Path(one.name).stem for one in read_sources(bob.path / TRAIN).values()) == [
        "batch_001", "batch_002", "batch_003", "corrected",
    ]  # fmt: skip
    assert "rebase data/train.parquet: +0 ~0 =0 !0; 0 new files, 4 already merged; 1437 rows now" in bob.repro(
        "merge_data"
    )
    assert parts(bob) == before

    # Every version is there, in either form.
    folder = get(ada.path, "e0.1.0", TRAIN, None, "auto", force=False)
    printed = ada.script("experiment_explorer", "get", "--version", "e0.1.0", "--artifact", TRAIN, "--as-file",
                         "--output", "build/first.parquet")  # fmt: skip
    assert printed == "wrote build/first.parquet\n"
    assert folder.is_dir() and (ada.path / "build/first.parquet").is_file()
    for found in (folder, ada.path / "build/first.parquet"):
        pd.testing.assert_frame_equal(pd.read_parquet(found), first)
        assert read_sources(found).keys() < read_sources(bob.path / TRAIN).keys()
    pd.testing.assert_frame_equal(lineage.data("e0.1.0"), first)
    assert compare_data(folder, ada.path / "build/first.parquet", ["id"])["rows changed"] == (None, 0)
    shown = ada.script("experiment_explorer", "show", "--version", "e1.0.0")
    assert "data/incoming/corrected.parquet" in shown and "3 rows --strategy rebase" in shown
    tags = [find_tag(ada.path, version) for version in ("e0.1.0", "e1.0.0")]
    assert [proof.broken() for proof in verify(ada.path, tags)] == [[], []]

    # A part that is damaged, or missing here and in the remote, is named.
    newest = parts(ada)[-1]
    md5 = listing(ada.path, recorded_md5(ada.path, TRAIN))[newest]
    place = object_path(ada.path, md5)
    place.chmod(0o644)
    place.write_bytes(b"PAR1")
    said = ada.script("experiment_explorer", "verify", "--all", "--format", "csv", code=1)
    assert f"md5: 1 objects are damaged in the cache, as {TRAIN}/{newest}" in said
    place.unlink()
    (tmp_path / "digit-experiments-remote/files/md5" / md5[:2] / md5[2:]).unlink()
    said = ada.script("experiment_explorer", "verify", "--version", "e1.0.0", "--format", "csv", code=1)
    assert f"cache: 1 objects are nowhere, as {TRAIN}/{newest}" in said
