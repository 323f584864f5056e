"""A project with twelve versions over three data sets, made once, and what lay in it at each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from conftest import Project

from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.remote import open_remote, send, with_files
from lineage.versions.tagging import tag_now

VERSIONS = (
    "e0.1.0", "e0.1.1", "e0.1.2", "e0.2.0", "e0.2.1", "e0.3.0",
    "e0.3.1", "e0.3.2", "e1.0.0", "e1.0.1", "e1.10.0", "e1.10.1",
)  # fmt: skip
Files = dict[str, bytes]


@dataclass(frozen=True)
class Versions:
    """The project, pushed to its remote, and every file of its working tree at each version."""

    project: Project
    seen: dict[str, Files]


def files_of(folder: Path) -> Files:
    """Every file below a folder but those of Git and DVC themselves."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes() for name, path in paths.items() if not name.startswith((".git/", ".dvc/", "build/"))
    }


def written(version: str) -> str:
    """The version that the rows of a version say: patches here are tags of the same results."""
    return version.rpartition(".")[0] + ".0"


def make_versions(project: Project) -> Versions:
    """Make the versions as their user does: change, run, tag; five runs and seven patches of words."""
    seen = {}
    for name in ("name", "email"):
        project.git("config", f"user.{name}", project.environment[f"GIT_AUTHOR_{name.upper()}"])

    def tag(version: str | None, text: str) -> None:
        made = tag_now(project.path, version, "patch", text, f"tag {text}", lambda _: None)
        seen[made.version] = files_of(project.path)

    def run(version: str, text: str, patches: int, **params: object) -> None:
        project.set_param("experiment.version", version)
        for key, value in params.items():
            project.set_param(key.replace("__", "."), value)
        project.commit(f"set {version} up")
        project.repro()
        tag(version, text)
        for number in range(patches):
            with (project.path / "README.md").open("a", encoding="utf-8") as file:
                file.write(f"Note {number}.\n")
            tag(None, "words only")

    run("e0.1.0", "the first", 2)
    run("e0.2.0", "C=0.3,\n  as a try", 1, model__C=0.3)
    project.drop_batch(2)
    run("e0.3.0", "more data", 2)
    wrong = pd.read_parquet(project.path / "data/train.parquet").iloc[[3, 400, 900]]
    right = wrong.assign(label=(wrong["label"] + 1) % 10)
    right.to_parquet(project.path / "data/incoming/batch_004.parquet", index=False)
    with (project.path / "experiment.py").open("a", encoding="utf-8") as file:
        file.write("\n# labels were corrected\n")
    run("e1.0.0", "corrected labels", 1, merge__data_strategy="rebase")
    run("e1.10.0", "a sweep", 1, sweep__grid={"model.C": [0.03, 0.01]})
    remote = open_remote(project.path)
    assert remote is not None
    for version in seen:  # `dvc push --all-tags` leaves most of it out, and says nothing
        send(project.path, remote, with_files(project.path, recorded_outputs(project.path, version).values()))
    assert tuple(seen) == VERSIONS
    return Versions(project, seen)
