"""A project whose two branches both ran, and the three versions of a file that Git hands to its merge driver."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pandas as pd
import yaml
from baked_projects import Project
from light_project import train_light

from lineage.setup.project import MERGE_DRIVER
from lineage.tracked import recorded as records
from lineage.tracked.cache import object_path
from lineage.tracked.hashes import file_md5

DATABASE, PREDICTIONS, TRAIN = "results/experiments.db", "results/predictions", "data/train.parquet"
SPEAKS = "    run.log(step=0, C=params['C']); run.artifact('C.txt').write_text(str(params['C']))\n"


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


def fork(project: Project) -> Project:
    """Two branches of `start` that both ran: `left` with other params and a batch, `right` with another batch."""
    train_light(project)
    code = project.path / "experiment.py"
    text = code.read_text(encoding="utf-8")
    code.write_text(
        text.replace("def fit(train, params):\n", f"def fit(train, params, run):\n{SPEAKS}"), encoding="utf-8"
    )
    project.commit("runs speak")
    project.git("config", "merge.dvc.driver", MERGE_DRIVER)
    project.git("branch", "start")
    branch(project, "left", batch=2, line=("version: e0.1.0", "version: e0.2.0"))
    branch(project, "right", batch=3, line=("  C: 1.0 ", "  C: 0.3 "))
    project.git("switch", "--quiet", "left")
    project.dvc("checkout")
    return project


def object_of(project: Project, revision: str, path: str) -> Path:
    return object_path(project.path, records.recorded_outputs(project.path, revision)[path])


def runs(database: Path) -> list[str]:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return [row[0] for row in connection.execute("SELECT track_id FROM metrics ORDER BY track_id")]


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


def all_ids(project: Project) -> list[int]:
    """Ids of the first batch and of those that the two branches added."""
    files = [project.path / "examples/batches/batch_002.parquet", project.path / "examples/batches/batch_003.parquet"]
    return sorted(pd.concat([pd.read_parquet(path) for path in (*files, object_of(project, "start", TRAIN))])["id"])


def marked(file: Path) -> bool:
    text = file.read_text(encoding="utf-8")
    return "<<<<<<< ours" in text and ">>>>>>> theirs" in text
