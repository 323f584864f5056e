"""A `git checkout` without `dvc checkout`: what the message says puts everything back, whatever `dvc repro` has touched before."""

from __future__ import annotations

import re
import shutil
import sqlite3
from pathlib import Path

import pandas as pd
import pytest
from baked_projects import Project, stages_run
from clones_project import clone, versions

pytestmark = pytest.mark.slow


@pytest.fixture
def trained(light_trained: Project) -> Project:
    return light_trained


def type_remedy(project: Project, output: str) -> str:
    """Type what stands after the arrows, as it stands; return it."""
    command = "\n".join(re.findall("^  → (.*)$", output, re.MULTILINE))
    project.run("sh", "-e", "-c", command)
    return command


def check_old_state(project: Project) -> None:
    """The old version is there as it was recorded, nothing is left to do, and one can go back."""
    assert project.git("status", "--porcelain") == ""
    assert stages_run(project.repro()) == []
    assert project.git("status", "--porcelain") == ""
    project.git("checkout", "--quiet", "main")
    project.dvc("checkout")
    assert stages_run(project.repro()) == []


def test_old_tag_after_a_batch(grown: Project) -> None:
    grown.git("checkout", "--quiet", "e0.1.0")
    command = type_remedy(grown, grown.repro(code=255))
    assert command == "git checkout -- data/incoming.dvc && dvc checkout"
    assert len(pd.read_parquet(grown.path / "data/train.parquet")) == 537
    check_old_state(grown)


def test_old_tag_after_a_colleagues_results(trained: Project) -> None:
    """Here `merge_results` is the first stage that runs, and DVC has removed its plots and metrics before."""
    trained.git("tag", "e0.1.0")
    [run] = (trained.path / "results/runs").glob("*.db")
    theirs = trained.path / "results/incoming/theirs.db"
    theirs.write_bytes(run.read_bytes())
    with sqlite3.connect(theirs) as connection:
        connection.execute("UPDATE metrics SET track_id = 'theirs', version = 'e0.0.9'")
    trained.repro()
    trained.commit("their results")
    trained.git("checkout", "--quiet", "e0.1.0")
    command = type_remedy(trained, trained.repro(code=255))
    assert command == "git checkout -- results/incoming.dvc && dvc checkout"
    check_old_state(trained)


def test_old_tag_in_a_clone_that_pulled_only_main(grown: Project, tmp_path: Path) -> None:
    """The cache lacks what the tag names, so `dvc checkout` would fail."""
    grown.script("doctor", "--send", code=1)  # it also misses the hooks
    colleague = clone(grown, tmp_path / "colleague")
    colleague.dvc("pull")
    colleague.git("checkout", "--quiet", "e0.1.0")
    command = type_remedy(colleague, colleague.repro(code=255))
    assert command == "git checkout -- data/incoming.dvc && dvc pull"
    check_old_state(colleague)


def test_a_batch_dropped_on_a_stale_checkout_is_kept(grown: Project) -> None:
    grown.git("checkout", "--quiet", "e0.1.0")
    grown.drop_batch(3)
    command = type_remedy(grown, grown.repro(code=255))
    assert command == (
        "cp -r data/incoming data/incoming.mine   # your new files\ngit checkout -- data/incoming.dvc && dvc checkout"
    )
    mine = grown.path / "data/incoming.mine"
    assert sorted(path.name for path in (grown.path / "data/incoming").glob("*.parquet")) == ["batch_001.parquet"]
    batch = (mine / "batch_003.parquet").read_bytes()
    assert batch == (grown.path / "examples/batches/batch_003.parquet").read_bytes()
    shutil.rmtree(mine)
    check_old_state(grown)


def test_files_of_a_tag_over_those_of_main(grown: Project) -> None:
    """`git checkout TAG -- .` takes main's files to another state; HEAD stays."""
    grown.git("checkout", "--quiet", "e0.1.0", "--", ".")
    command = type_remedy(grown, grown.repro(code=255))
    assert command == "git checkout -- data/incoming.dvc && dvc checkout"
    assert len(pd.read_parquet(grown.path / "data/train.parquet")) == 537
    assert stages_run(grown.repro()) == [] and versions(grown) == ["e0.1.0"]
