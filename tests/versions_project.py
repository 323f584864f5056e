"""A project with twelve versions over three data sets, made once, and what lay in it at each."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from baked_projects import Project
from light_project import lighten

from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.remote import open_remote, send, with_files
from lineage.versions.new_tag import tag_now

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
        name: path.read_bytes()
        for name, path in paths.items()
        if not name.startswith((".git/", ".dvc/", "build/")) and "/__pycache__/" not in name
    }


def written(version: str) -> str:
    """The version that the rows of a version say: patches here are tags of the same results."""
    return version.rpartition(".")[0] + ".0"


def make_versions(project: Project) -> Versions:
    """Make the versions as their user does: change, run, tag; five runs and seven patches of words."""
    lighten(project)
    seen = {}
    for name in ("name", "email"):
        project.git("config", f"user.{name}", project.environment[f"GIT_AUTHOR_{name.upper()}"])

    def tag(version: str | None, text: str) -> None:
        made = tag_now(project.path, version, "patch", text, f"tag {text}")
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


# --- What tests of versions share --------------------------------------------------------------------------------------


def run(project: Project, script: str, *arguments: str, code: int = 0, **environment: str) -> str:
    done = project.run("python", f"scripts/{script}.py", *arguments, code=code, **environment)
    assert "Traceback" not in done.stderr
    return done.stderr if code else done.stdout


def explore(project: Project, *arguments: str, code: int = 0, cwd: Path | None = None, **environment: str) -> str:
    """Run the explorer; return what it said, or its error."""
    script = str(project.path / "scripts/experiment_explorer.py")
    done = project.run("python", script, *arguments, code=code, cwd=cwd, **environment)
    assert "Traceback" not in done.stderr
    return done.stderr if code else done.stdout


def proof(project: Project, version: str, code: int) -> dict[str, Any]:
    words = ("python", "scripts/experiment_explorer.py", "verify", "--version", version, "--format", "json")
    rows: list[dict[str, Any]] = json.loads(project.run(*words, code=code).stdout)
    return rows[0]


def in_remote(project: Project, md5: str) -> Path:
    return project.path.parent / "digit-experiments-remote/files/md5" / md5[:2] / md5[2:]


def spoil(path: Path, content: bytes = b"garbage") -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def tag_by_hand(project: Project, version: str) -> None:
    project.commit(f"as {version}")
    project.git("tag", "-a", "-m", "by hand", version)


def read(path: Path) -> Files:
    """Every file of an artifact, by its path below it ('.' for a file)."""
    if path.is_file():
        return {".": path.read_bytes()}
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def expected(versions: Versions, version: str, artifact: str) -> Files:
    seen = versions.seen[version]
    if artifact in seen:
        return {".": seen[artifact]}
    inside = {name.removeprefix(f"{artifact}/"): data for name, data in seen.items() if name.startswith(f"{artifact}/")}
    return inside


def state(project: Project) -> dict[str, str]:
    """A hash of everything a user could miss: files, index, refs, stash. Objects of Git and DVC's own state aside."""
    kept = {}
    for path in sorted(project.path.rglob("*")):
        name = path.relative_to(project.path).as_posix()
        if path.is_file() and not name.startswith(
            (".git/objects/", ".git/worktrees/", ".dvc/tmp/", ".dvc/cache/", "build/")
        ):
            kept[name] = f"{hashlib.md5(path.read_bytes()).hexdigest()} {path.stat().st_mode} {path.stat().st_mtime_ns}"
    return kept


def make_dirty(project: Project) -> dict[str, str]:
    """Leave changes of every kind: staged, stashed, in files, in an output, and new ones."""
    readme = project.path / "README.md"
    readme.write_text("stashed\n", encoding="utf-8")
    project.git("stash")
    readme.write_text("staged\n", encoding="utf-8")
    project.git("add", "README.md")
    readme.write_text("not staged\n", encoding="utf-8")
    (project.path / "new.txt").write_text("new\n", encoding="utf-8")
    (project.path / "data/train.parquet").unlink()
    (project.path / "data/train.parquet").write_bytes(b"mine")
    os.utime(project.path / "params.yaml")  # a stale index entry, which `git status` would refresh
    return state(project)
