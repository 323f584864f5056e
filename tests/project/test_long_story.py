"""A month of two people in one project, looked at after every step from outside: by sqlite3, pandas, hashlib and Git alone."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from baked_projects import Project
from clones_project import ada_and_bob

from lineage.setup.project import MERGE_DRIVER

pytestmark = pytest.mark.slow


@pytest.fixture
def trained(weak_trained: Project) -> Project:
    return weak_trained


@dataclass
class Seen:
    """What lies in a working tree.

    Attributes:
        runs: by run id, the row of `metrics`.
        labels: by image, the label in the training data.
        production: md5 of the model's bytes.
        card: what `model.json` says.
        tags: by name, the commit.
    """

    runs: dict[str, dict[str, Any]]
    labels: dict[int, int]
    production: str
    card: dict[str, Any]
    tags: dict[str, str]

    def of(self, version: str) -> list[dict[str, Any]]:
        return [row for row in self.runs.values() if row["version"] == version]


def look(project: Project) -> Seen:
    database = project.path / "results/experiments.db"
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        connection.row_factory = sqlite3.Row
        rows = [dict(row) for row in connection.execute("SELECT * FROM metrics")]
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    predictions = {path.stem for path in (project.path / "results/predictions").glob("*.parquet")}
    assert predictions == {row["track_id"] for row in rows}, "each run has its predictions, and none has no run"
    train = pd.read_parquet(project.path / "data/train.parquet")
    assert train["id"].is_unique
    [model] = (project.path / "models/production").glob("model.bin")
    card = json.loads((project.path / "models/production/model.json").read_text(encoding="utf-8"))
    listed = project.git("for-each-ref", "--format=%(refname:short) %(*objectname)", "refs/tags")
    seen = Seen(
        {row["track_id"]: row for row in rows},
        dict(zip(train["id"], train["label"], strict=True)),
        hashlib.md5(model.read_bytes()).hexdigest(),
        card,
        dict(line.split() for line in listed.splitlines()),
    )
    row = seen.runs[card["track_id"]]
    assert row["model_hash"] == seen.production == card["model_hash"], "production is the model of a row"
    return seen


def start(project: Project, part: str) -> str:
    """Begin a version as its user does; return its number."""
    project.script("version_tag", "--start", part)
    text = (project.path / "params.yaml").read_text(encoding="utf-8")
    return re.search(r"version: (e[0-9.]+)", text)[1]  # type: ignore[index]


def change(project: Project, file: str, old: str, new: str) -> None:
    path = project.path / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, (file, old)
    path.write_text(text.replace(old, new), encoding="utf-8")


def run(project: Project, message: str) -> str:
    """Commit, run, and commit what the run gave: rows are of a clean commit."""
    project.git("commit", "--quiet", "--no-verify", "--all", "--message", message)
    return project.repro()


def close(project: Project, version: str, *options: str, code: int = 0) -> str:
    return project.script("version_tag", "--version", version, "--commit", f"{version} is done", *options, code=code)


def test_a_month_of_two_people(trained: Project, tmp_path: Path) -> None:
    ada, bob = ada_and_bob(trained, tmp_path)
    for person in (ada, bob):
        person.git("config", "merge.dvc.driver", MERGE_DRIVER)
    first = look(ada)
    [one] = first.runs
    assert list(first.tags) == ["e0.1.0"] and first.card["track_id"] == one

    # Bob corrects labels on a branch; Ada tries another C on one of hers; both begin e0.2.0.
    bob.git("switch", "--quiet", "--create", "corrections")
    assert start(bob, "minor") == "e0.2.0"
    corrected = dict.fromkeys(list(first.labels)[:30], 9)
    frame = pd.read_parquet(bob.path / "data/train.parquet")
    frame = frame[frame["id"].isin(corrected)].assign(label=9)
    frame.to_parquet(bob.path / "data/incoming/corrections.parquet", index=False)
    change(bob, "params.yaml", "data_strategy: merge ", "data_strategy: rebase ")
    assert "1 new file, 1 already merged" in run(bob, "correct thirty labels")
    seen = look(bob)
    assert {image: seen.labels[image] for image in corrected} == corrected
    assert seen.labels.keys() == first.labels.keys() and len(seen.of("e0.2.0")) == 1
    assert [row["git_dirty"] for row in seen.of("e0.2.0")] == [0]
    ada.git("switch", "--quiet", "--create", "narrow")
    assert start(ada, "minor") == "e0.2.0"
    change(ada, "params.yaml", "  C: 1.0 ", "  C: 0.05 ")
    change(ada, "params.yaml", "confidence: 0.95 ", "confidence: null ")
    run(ada, "narrow")
    [narrow] = look(ada).of("e0.2.0")
    assert look(ada).card["track_id"] == narrow["track_id"], (
        "it is better, and asked for no proof that this is no noise"
    )
    assert narrow["git_dirty"] == 0 and narrow["model_C"] == 0.05

    # The first to push has the number; the other's runs get the next one, and nothing else changes.
    close(bob, "e0.2.0", "--push")
    said = close(ada, "e0.2.0", "--push", code=1)
    assert "on origin, e0.2.0 is tagged (by Bob, " in said and "→ python scripts/version_tag.py --renumber" in said
    ada.script("version_tag", "--renumber")
    mine = look(ada)
    [moved] = mine.of("e0.3.0")
    assert {**moved, "version": "e0.2.0"} == narrow and mine.tags["e0.2.0"] == bob.git("rev-parse", "e0.2.0^{}")
    ada.git("push", "--quiet", "--set-upstream", "origin", "narrow", "e0.3.0")
    ada.dvc("push")

    # Ada merges Bob's branch: the rows of both, the corrections, and no run under a closed version.
    ada.git("fetch", "--quiet", "origin")
    ada.run("git", "merge", "--no-edit", "origin/corrections", code=1)  # params.yaml is text: version differs
    assert ada.git("diff", "--name-only", "--diff-filter=U") == "params.yaml"
    ada.git("checkout", "--ours", "params.yaml")
    change(ada, "params.yaml", "data_strategy: merge ", "data_strategy: rebase ")
    ada.git("commit", "--quiet", "--no-verify", "--all", "--no-edit")
    ada.dvc("pull")
    both = look(ada)
    assert both.runs.keys() == {one, narrow["track_id"], seen.of("e0.2.0")[0]["track_id"]}
    assert both.labels == seen.labels
    said = ada.repro(code=255)
    assert "e0.3.0 is tagged (by Ada Lovelace" in said and "takes no new runs" in said
    assert start(ada, "minor") == "e0.4.0"
    run(ada, "both")
    merged = look(ada)
    assert len(merged.runs) == 4 and merged.labels == seen.labels
    close(ada, "e0.4.0", "--push")

    # A third branch changes evaluate(): what is in production is measured again before anything replaces it.
    ada.git("switch", "--quiet", "--create", "strict")
    start(ada, "minor")
    change(ada, "experiment.py", "f1[both > 0].mean()", "np.median(f1[both > 0])")
    change(ada, "params.yaml", "  C: 0.05 ", "  C: 50.0 ")
    said = run(ada, "another average")
    strict = look(ada)
    [new] = strict.of("e0.5.0")
    assert new["evaluate_hash"] != merged.of("e0.4.0")[0]["evaluate_hash"]
    assert strict.card["track_id"] == merged.card["track_id"], "a worse model stays out under the new measure, too"
    assert f"{strict.card['track_id']} stays" in said
    close(ada, "e0.5.0", "--push")

    # A rollback by hand stands until something better comes, and says so.
    ada.git("switch", "--quiet", "main")
    ada.git("merge", "--quiet", "--no-edit", "strict")
    ada.dvc("checkout")
    ada.script("model_manager", "promote", "--version", "e0.1.0")
    assert look(ada).production == first.production
    ada.commit("back to the first model")
    start(ada, "patch")
    change(ada, "params.yaml", "  C: 50.0 ", "  C: 60.0 ")
    said = run(ada, "worse again")
    assert look(ada).production == first.production and "was put there by hand" in said
    close(ada, "e0.5.1", "--push")

    # Bob has all of it, to the byte, and every version that was closed is what it was.
    bob.git("switch", "--quiet", "main")
    bob.git("pull", "--quiet", "--tags", "origin", "main")
    bob.dvc("pull")
    assert look(bob) == look(ada)
    assert "Data and pipelines are up to date." in bob.repro()
    for version in ("e0.1.0", "e0.2.0", "e0.3.0", "e0.4.0", "e0.5.0", "e0.5.1"):
        bob.script("experiment_explorer", "verify", "--version", version)
