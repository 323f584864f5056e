"""Each stage of dvc.yaml declares the files and params that it reads, so that a change of one reruns it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from baked_projects import Project, copy_project

WATCHER = Path(__file__).parents[1] / "watch_stage.py"
STAGES = {"merge_data": (), "train": ("--debug",), "merge_results": (), "promote_model": ()}
"""The stages and what their scripts are called with: --debug keeps the runs in the process that is watched."""

PARAMS_BESIDE = {
    "merge_data": {"merge.engine", "merge.shuffle"},  # how rows are merged, not what comes of it
    "train": {
        *(
            "sweep.jobs",
            "sweep.on_error",
            "sweep.backend",
            "sweep.address",
            "sweep.scheduler",
        ),  # how runs are done, not what comes out of them
        *("sweep.gpus", "sweep.runs_per_gpu"),
        *("promote.metric", "promote.mode"),  # which run is shown as the best so far, on a terminal
    },
}
"""Params that a stage reads although a change of them has to rerun nothing."""

FILES_BESIDE = {
    "train": {
        "requirements.lock",  # its hash is a fact in the run's row
        "results/unfinished",  # its own, until the last run has ended
        "results/experiments.db",  # refused when rows that are recorded are missing from it, before anything is trained
    },
    "promote_model": {
        "data/train.parquet",  # its columns stand in the model card; a change of it reruns train, and then this
    },
}
"""Files that a stage reads although a change of them has to rerun nothing by itself."""

RECORDS = ("params.yaml", "dvc.yaml", "dvc.lock", ".git/", ".dvc/", "scripts/")
"""What every stage may look at: what is recorded of the project. Its code is the matter of test_rooms.py."""


def watch(project: Project, stage: str) -> dict[str, list[str]]:
    """Run a stage's script as `dvc repro` does, and tell which files and params it read."""
    record = project.path.parent / f"{stage}.json"
    project.run("python", str(WATCHER), str(record), f"scripts/{stage}.py", *STAGES[stage])
    seen: dict[str, list[str]] = json.loads(record.read_text("utf-8"))
    return seen


def names(declared: list[Any]) -> set[str]:
    """What a list of dvc.yaml names; an entry may carry options, as in `data/train.parquet: {persist: true}`."""
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in declared}


def undeclared(read: set[str], declared: set[str], between: str) -> set[str]:
    """What was read and neither it nor what it is in is declared."""
    return {name for name in read if not any(f"{name}{between}".startswith(f"{known}{between}") for known in declared)}


def is_temporary(name: str) -> bool:
    """Whether a file is being written by the stage itself: it, or a folder that it is in, is called `.….tmp`."""
    return any(part.startswith(".") and part.endswith(".tmp") for part in Path(name).parts)


def test_what_is_not_declared_is_found() -> None:
    assert undeclared({"a/b/c", "a/bc", "d"}, {"a/b", "d"}, "/") == {"a/bc"}
    assert undeclared({"promote.keep", "model", "merge.tables"}, {"promote", "model"}, ".") == {"merge.tables"}


@pytest.fixture(scope="module")
def seen(trained_original: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[str]]]:
    """What each stage read, one after another, with a new batch."""
    project = copy_project(trained_original, tmp_path_factory.mktemp("watched"))
    project.drop_batch(2)
    return {stage: watch(project, stage) for stage in STAGES}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_the_params_that_it_reads(
    baked: Project, seen: dict[str, dict[str, list[str]]], stage: str
) -> None:
    declared = yaml.safe_load((baked.path / "dvc.yaml").read_text("utf-8"))["stages"][stage]["params"]
    read = set(seen[stage]["params"])
    assert undeclared(read, {*declared, *PARAMS_BESIDE.get(stage, ())}, ".") == set()
    assert len(read) >= 3, "the watcher sees nothing"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_the_files_that_it_reads(
    baked: Project, seen: dict[str, dict[str, list[str]]], stage: str
) -> None:
    declared = yaml.safe_load((baked.path / "dvc.yaml").read_text("utf-8"))["stages"][stage]
    places = names([*declared["deps"], *declared["outs"], *declared.get("metrics", [])])
    read = {name for name in seen[stage]["files"] if not name.startswith(RECORDS) and not is_temporary(name)}
    assert undeclared(read, {*places, *FILES_BESIDE.get(stage, ())}, "/") == set()
    assert read, "the watcher sees nothing"
