"""Predictions of a version are one parquet file per run: found, compared, and proved."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from baked_projects import Project, copy_project
from versions_project import Versions, explore, proof, tag_by_hand

from lineage.extras.compare.predictions import compare_predictions
from lineage.extras.show.versions import find_predictions
from lineage.results.version_results import find_results


@pytest.fixture
def project(versions: Versions, tmp_path: Path) -> Project:
    """A project of this test's own with twelve versions."""
    return copy_project(versions.project, tmp_path)


def changed_database(project: Project, *statements: str) -> None:
    """Change the results database of a project, whose file is a link to the cache."""
    database = project.path / "results/experiments.db"
    copy = database.with_name("copy.db")
    shutil.copyfile(database, copy)
    copy.chmod(0o644)
    with closing(sqlite3.connect(copy)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    copy.replace(database)


@pytest.mark.slow
def test_predictions_come_from_the_tag_or_lie_beside_the_database(
    versions: Versions, project: Project, tmp_path: Path
) -> None:
    results = find_results(project.path, "e0.1.0")
    name = f"{results.runs[0]['track_id']}.parquet"
    kept = versions.seen["e0.1.0"][f"results/predictions/{name}"]
    shutil.rmtree(project.path / "results/predictions")
    file = find_predictions(project.path, results, results.runs[0])
    assert file is not None and file.read_bytes() == kept, "from the cache, by the hash that the tag records"
    assert find_predictions(project.path, results, {"track_id": "nobody"}) is None

    project.dvc("checkout")
    project.git("tag", "--delete", "e0.1.0")
    results = find_results(project.path, "e0.1.0")
    file = find_predictions(project.path, results, results.runs[0])
    assert file == project.path / "results/predictions" / name and file.read_bytes() == kept
    assert find_predictions(project.path, results, {"track_id": "nobody"}) is None

    database = tmp_path / "elsewhere/any.db"
    database.parent.mkdir()
    shutil.copyfile(project.path / "results/experiments.db", database)
    results = find_results(project.path, "e0.1.0", database)
    assert find_predictions(project.path, results, results.runs[0]) is None
    beside = database.with_name("predictions") / name
    beside.parent.mkdir()
    beside.write_bytes(kept)
    assert find_predictions(project.path, results, results.runs[0]) == beside
    results = find_results(project.path, "e0.2.0", database)
    file = find_predictions(project.path, results, results.runs[0])
    name = f"{results.runs[0]['track_id']}.parquet"
    assert file is not None and file.read_bytes() == versions.seen["e0.2.0"][f"results/predictions/{name}"], (
        "of a tag's run, whatever database is asked"
    )


@pytest.mark.slow
def test_predictions_of_one_item_are_compared_in_their_order(project: Project, tmp_path: Path) -> None:
    rogue = tmp_path / "rogue/rogue.db"
    shutil.copytree(project.path / "results/predictions", rogue.with_name("predictions"))
    shutil.copyfile(project.path / "results/experiments.db", rogue)
    rogue.chmod(0o644)
    for file in rogue.with_name("predictions").iterdir():
        frame = pd.read_parquet(file)
        file.unlink()
        frame.assign(item_id=frame["item_id"] // 2).to_parquet(file)
    with closing(sqlite3.connect(rogue)) as connection, connection:
        connection.execute("UPDATE metrics SET f1_score = X'00FF' WHERE version = 'e0.1.0'")
    for version in ("e0.1.0", "e0.2.0"):
        project.git("tag", "--delete", version)
    words = ("diff", "--v1", "e0.1.0", "--v2", "e0.2.0", "--db", str(rogue), "--format", "json")
    found = {row["name"]: row for row in json.loads(explore(project, *words)) if row["section"] == "predictions"}
    assert found["items in both"]["v1"] == 360
    for file in rogue.with_name("predictions").iterdir():
        pd.read_parquet(file).drop(columns="predicted").to_parquet(file)
    assert "items in both (item_id, predicted, track_id not recorded)" in explore(project, *words)
    for file in rogue.with_name("predictions").iterdir():
        file.write_bytes(b"no parquet")
    assert "DuckDB cannot read the data" in explore(project, *words), "the rest of the comparison is shown"
    shutil.rmtree(rogue.with_name("predictions"))
    assert "items in both (item_id, predicted, track_id not recorded)" in explore(project, *words)


def test_flips_are_counted_and_named_in_the_order_of_their_ids(tmp_path: Path) -> None:
    def flips(left: pd.DataFrame, right: pd.DataFrame, limit: int = 20) -> dict[str, list[object]]:
        for name, frame in (("left", left), ("it's right", right)):
            frame.assign(track_id=name).to_parquet(tmp_path / f"{name}.parquet")
        found: dict[str, list[object]] = {}
        for line in compare_predictions(tmp_path / "left.parquet", tmp_path / "it's right.parquet", limit):
            assert line.section == "predictions"
            found.setdefault(line.name, []).append((line.v1, line.v2))
        return found

    left = pd.DataFrame({"item_id": [9, 9, 10, 2, 3], "predicted": [1.0, 2.0, float("nan"), None, 5.0]})
    right = pd.DataFrame({"item_id": [2, 9, 10, 9, 4], "predicted": [7.0, 1.0, float("nan"), 3.0, 5.0]})
    counts: dict[str, list[object]] = {"items in both": [(4, 4)], "flipped": [(None, 2)]}
    all_flips = {**counts, "item 2": [(None, 7.0)], "item 9": [(2.0, 3.0)]}
    assert flips(left, right) == all_flips and list(flips(left, right)) == list(all_flips)
    assert flips(left, right, 1) == {**counts, "item 2": [(None, 7.0)]}
    assert flips(left, right, 0) == counts
    assert flips(left, right.assign(item_id=right["item_id"].astype(str))) == all_flips, "ids of another type"
    unknown = {"items in both (item_id, predicted, track_id not recorded)": [(None, None)]}
    assert flips(left, right.drop(columns="item_id")) == unknown
    labels = pd.DataFrame({"item_id": ["a", "b", "b"], "predicted": ["x", "y", "z"]})
    twice = {"items in both": [(3, 3)], "flipped": [(None, 2)], "item b": [("y", "z"), ("z", "y")]}
    assert flips(labels, labels.iloc[::-1]) == twice


@pytest.mark.slow
def test_a_run_that_recorded_other_predictions_is_found(project: Project) -> None:
    with closing(sqlite3.connect(project.path / "results/experiments.db")) as connection:
        recorded = dict(connection.execute("SELECT track_id, predictions_hash FROM metrics").fetchall())
    files = (project.path / "results/predictions").glob("*.parquet")
    assert recorded == {path.stem: hashlib.md5(path.read_bytes()).hexdigest() for path in files}
    changed_database(project, "CREATE TABLE notes (text TEXT)")
    project.dvc("commit", "--force")
    tag_by_hand(project, "e2.0.0")
    project.script("doctor", "--send", code=1)  # this copy has no merge driver
    assert proof(project, "e2.0.0", code=0)["row"] == "yes"

    newest = json.loads(explore(project, "show", "--version", "e2.0.0", "--format", "json"))
    run = next(row["value"] for row in newest if row["name"] == "track_id")
    changed_database(project, f"UPDATE metrics SET predictions_hash = '{'0' * 32}' WHERE track_id = '{run}'")
    project.dvc("commit", "--force")
    tag_by_hand(project, "e2.1.0")
    project.script("doctor", "--send", code=1)
    row = proof(project, "e2.1.0", code=1)
    assert row["row"] == "no" and f"row: results/predictions does not hold what run {run} recorded" in row["problem"]
    said = explore(project, "verify", "--version", "e2.1.0", code=1)
    show = said.rpartition("→ ")[2].partition("   #")[0]
    assert show == "python scripts/experiment_explorer.py show --version e2.1.0"
    assert f" track_id {' ' * 23} {run}" in project.run("sh", "-c", show).stdout
