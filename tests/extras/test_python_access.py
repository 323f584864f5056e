"""`import lineage`: what it gives of a project with twelve versions, beside the files that lay there."""

from __future__ import annotations

import gc
import sqlite3
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from baked_projects import Project, copy_project
from versions_project import VERSIONS, Versions, in_remote, spoil, state

import lineage
from lineage.core.errors import BadInput, LineageError, Refused
from lineage.tracked.cache import object_path
from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.remote import listing

OWN = {"e0.1": 1, "e0.2": 1, "e0.3": 1, "e1.0": 1, "e1.10": 2}
"""How many runs the tag of each version holds, by its major and minor number."""


@pytest.fixture
def inside(versions: Versions, monkeypatch: pytest.MonkeyPatch) -> Versions:
    """Work in a folder of the project with twelve versions."""
    monkeypatch.chdir(versions.project.path / "notebooks")
    return versions


def own_runs(versions: Versions, version: str) -> set[str]:
    """The runs that lay in `results/runs` when a version was tagged."""
    names = [name for name in versions.seen[version] if name.startswith("results/runs/") and name.endswith(".db")]
    return {Path(name).stem for name in names}


def metrics_at(versions: Versions, version: str, folder: Path) -> pd.DataFrame:
    """The whole table of the database that a version recorded, as pandas reads it."""
    file = folder / f"{version}.db"
    file.write_bytes(versions.seen[version]["results/experiments.db"])
    return pd.read_sql("SELECT * FROM metrics", sqlite3.connect(file))


def frame_of(versions: Versions, version: str, name: str, folder: Path) -> pd.DataFrame:
    file = folder / "file.parquet"
    file.write_bytes(versions.seen[version][name])
    return pd.read_parquet(file)


def test_all_versions_stand_side_by_side_each_with_the_runs_of_its_tag(inside: Versions, tmp_path: Path) -> None:
    found = lineage.sql("FROM metrics", VERSIONS).df()
    assert tuple(dict.fromkeys(found["source"])) == VERSIONS
    for version in VERSIONS:
        mine = found[found["source"] == version].set_index("track_id").sort_index()
        assert set(mine.index) == own_runs(inside, version) and len(mine) == OWN[version.rpartition(".")[0]]
        there = metrics_at(inside, version, tmp_path).set_index("track_id").loc[mine.index]
        for name in ("f1_score", "model_C", "model_max_iter", "git_commit", "timestamp", "duration_seconds", "seed"):
            assert list(mine[name]) == list(there[name]), (version, name)
    assert found["error"].isna().all() and found["git_dirty"].dtype == "int64"


def test_this_state_has_all_runs_that_the_database_holds(inside: Versions) -> None:
    ids = lineage.sql("SELECT track_id FROM metrics").fetchall()
    assert len(ids) == 6 and {name for (name,) in ids} == set(lineage.runs()["track_id"])
    counted = lineage.sql("SELECT source, count(*) FROM predictions GROUP BY source ORDER BY source", [".", "e0.1.0"])
    assert counted.fetchall() == [(".", 6 * 360), ("e0.1.0", 360)]


def test_runs_come_best_first_and_take_the_conditions_of_list(inside: Versions) -> None:
    runs = lineage.runs()
    listed = inside.project.script("experiment_explorer", "list", "--format", "csv", "--columns", "track_id")
    assert list(runs["track_id"]) == listed.split("\n", 1)[1].split()[: len(runs)]
    assert set(lineage.runs(where="model_C<0.1")["model_C"]) == {0.03, 0.01}
    assert list(lineage.runs(["model.C<0.1", "model.C!=0.01"])["model_C"]) == [0.03]
    nothing = lineage.runs("version=e7.0.0")
    assert len(nothing) == 0 and {"version", "track_id", "f1_score"} <= set(nothing.columns)


def test_predictions_of_a_version_and_of_a_run_are_those_of_their_files(inside: Versions, tmp_path: Path) -> None:
    for version in ("e0.1.0", "e1.10.1"):
        files = [f"results/predictions/{run}.parquet" for run in own_runs(inside, version)]
        there = pd.concat([frame_of(inside, version, name, tmp_path) for name in files])
        mine = lineage.predictions(version)
        by = ["track_id", "item_id"]
        pd.testing.assert_frame_equal(
            mine.sort_values(by, ignore_index=True), there.sort_values(by, ignore_index=True), check_dtype=False
        )
        assert mine["actual"].dtype == there["actual"].dtype and list(mine.columns) == list(there.columns)
    [run] = own_runs(inside, "e0.2.0")
    one = frame_of(inside, "e0.2.0", f"results/predictions/{run}.parquet", tmp_path)
    assert list(lineage.predictions(run)["item_id"]) == list(one["item_id"]), "in the order of the file"


def test_data_are_those_of_the_version(inside: Versions, tmp_path: Path) -> None:
    lengths = set()
    for version in ("e0.1.0", "e0.3.1", "e1.0.0"):
        there = frame_of(inside, version, "data/train.parquet", tmp_path)
        pd.testing.assert_frame_equal(lineage.data(version), there)
        lengths.add(len(there))
    assert lengths == {537, 987}
    pd.testing.assert_frame_equal(lineage.data(), pd.read_parquet(inside.project.path / "data/train.parquet"))


def test_a_model_of_production_of_a_version_and_of_a_run_predicts_as_recorded(inside: Versions) -> None:
    pixels = pd.read_parquet(inside.project.path / "data/test.parquet").set_index("id").drop(columns="label")
    best = lineage.runs()
    for which in ("e0.2.0", "e1.10.0", best["track_id"].iloc[-1]):
        model = lineage.load_model(which)
        run = which if which in set(best["track_id"]) else best_of(which)
        recorded = lineage.predictions(run).set_index("item_id")["predicted"]
        assert list(model.predict(pixels.loc[recorded.index])) == list(recorded), which
    production: Any = lineage.load_model("production")
    assert production.predict(pixels).shape == (360,)


def best_of(version: str) -> str:
    rows = lineage.sql("SELECT track_id FROM metrics ORDER BY f1_score DESC, timestamp LIMIT 1", version).fetchall()
    return str(rows[0][0])


def test_a_relation_lives_on_its_own(inside: Versions) -> None:
    relation = lineage.sql("SELECT * FROM predictions JOIN metrics USING (source, track_id)", ("e0.1.0", "e0.2.0"))
    gc.collect()
    assert relation.filter("predicted = actual").aggregate("count(DISTINCT source), count(*) > 600").fetchall() == [
        (2, True)
    ]


def test_versions_that_share_their_files_are_read_once(inside: Versions) -> None:
    plan = lineage.sql("SELECT * FROM predictions", ("e0.1.0", "e0.1.1", "e0.1.2", "e0.2.0")).explain()
    assert plan.count("Function:") == 2, "READ_PARQUET of each file"
    rows = lineage.sql("SELECT source, count(*) FROM predictions GROUP BY 1 ORDER BY 1", ("e0.1.0", "e0.1.2"))
    assert rows.fetchall() == [("e0.1.0", 360), ("e0.1.2", 360)]


def test_what_is_wrong_is_said_with_what_helps(inside: Versions) -> None:
    project = inside.project
    listing_runs = "python scripts/experiment_explorer.py list"
    wrong: list[tuple[Any, type[LineageError], str, str]] = [
        (lambda: lineage.predictions("nobody"), BadInput, "'nobody' is no version, no run of results/", listing_runs),
        (lambda: lineage.sql("FROM metrics", [".", "../x"]), BadInput, "'../x' is no version, no run of", listing_runs),
        (lambda: lineage.events("e7.0.0"), Refused, "has no such run of e7.0.0", listing_runs),
        (lambda: lineage.data("e7.0.0"), Refused, "has no such run of e7.0.0", listing_runs),
        (lambda: lineage.data("e7"), BadInput, "'e7' is not a version; allowed: e{major}", ""),
        (lambda: lineage.runs("model_X=1"), BadInput, "'model_X' is not a column of metrics; it has: model_", ""),
    ]
    for ask, kind, problem, remedy in wrong:
        with pytest.raises(LineageError) as caught:
            ask()
        assert type(caught.value) is kind and problem in caught.value.problem, caught.value
        assert (caught.value.remedy or "") == remedy
        if remedy:
            project.run("bash", "-c", remedy)
    with pytest.raises(BadInput, match='"nosuch" not found') as caught:
        lineage.sql("SELECT nosuch FROM metrics")
    remedy, _, _ = str(caught.value.remedy).partition("   #")
    assert remedy == 'lineage.sql("DESCRIBE metrics")'
    described = eval(remedy, {"lineage": lineage})
    assert ("f1_score", "DOUBLE") in [row[:2] for row in described.fetchall()]


@pytest.fixture
def mine(versions: Versions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of that project to work in, with a cache and a remote of its own."""
    project = copy_project(versions.project, tmp_path)
    monkeypatch.chdir(project.path)
    return project


def everything(project: Project) -> dict[str, str]:
    """Every file of the project, its mode and time, and all objects of the cache beside it."""
    cache = Project(project.path.parent / "cache", {})
    files = {f"cache {name}": about for name, about in state(cache).items()}
    objects = sorted(path.relative_to(project.path).as_posix() for path in project.path.rglob("*"))
    return {**state(project), **files, "names": "\n".join(objects)}


def test_reading_changes_no_file_no_index_and_no_object_behind_a_hard_link(mine: Project) -> None:
    mine.dvc("config", "--local", "cache.type", "hardlink")
    mine.dvc("checkout", "--relink")
    database = mine.path / "results/experiments.db"
    assert database.stat().st_nlink > 1 and not database.stat().st_mode & 0o222
    mine.git("stash", "list")
    before = everything(mine)
    runs = lineage.runs()
    lineage.sql("FROM metrics JOIN predictions USING (source, track_id)", [".", *VERSIONS]).df()
    lineage.events(), lineage.events("e1.0.0"), lineage.predictions("e0.1.0")
    lineage.data(), lineage.data("e0.1.0")
    for which in ("production", "e0.1.0", runs["track_id"][0]):
        lineage.load_model(which)
    assert everything(mine) == before
    for run in range(2):  # nor does anything stay behind outside
        assert lineage.sql("SELECT count(*) FROM metrics").fetchall() == [(6,)], run


def test_what_the_cache_lacks_is_fetched_and_verified(mine: Project) -> None:
    outputs = recorded_outputs(mine.path, "e0.2.0")
    [run] = (Path(name).stem for name in listing(mine.path, outputs["results/runs"]) if name.endswith(".db"))
    md5 = listing(mine.path, outputs["results/predictions"])[f"{run}.parquet"]
    there = object_path(mine.path, md5)
    there.unlink()
    assert len(lineage.predictions("e0.2.0")) == 360 and there.is_file()
    spoil(there)
    assert len(lineage.predictions("e0.2.0")) == 360, "an object that can be written to is not trusted"
    (mine.path / "data/train.parquet").unlink()
    with pytest.raises(
        BadInput, match=r"data/train\.parquet does not exist\n  → dvc pull data/train\.parquet$"
    ) as caught:
        lineage.data()
    mine.run("sh", "-c", str(caught.value.remedy))
    assert len(lineage.data()) > 500
    there.unlink()
    spoil(in_remote(mine, md5))
    with pytest.raises(Refused, match="not in the cache and damaged in the remote"):
        lineage.predictions("e0.2.0")


def test_events_are_lined_up_and_are_no_rows_where_nothing_was_logged(mine: Project) -> None:
    assert list(lineage.events().columns) == ["track_id", "timestamp", "step"] and len(lineage.events()) == 0
    first, second, *_ = lineage.runs()["track_id"]
    database = mine.path / "results/experiments.db"
    content = database.read_bytes()
    database.unlink()
    database.write_bytes(content)
    with sqlite3.connect(database) as writer:
        writer.execute("CREATE TABLE events (track_id TEXT, timestamp TEXT, step INTEGER, loss REAL, val_f1 REAL)")
        rows = [(first, "2026-01-01", step, 1 / (step + 1), None) for step in range(3)]
        writer.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", [*rows, (second, "2026-01-02", None, 2, 0.5)])
    writer.close()
    events = lineage.events()
    assert list(events["loss"]) == [1.0, 0.5, 1 / 3, 2.0] and events["val_f1"].dtype == "float64"
    assert list(lineage.events(first)["step"]) == [0, 1, 2] and len(lineage.events("e0.1.0")) == 0
    both = lineage.sql("SELECT source, count(*), count(step) FROM events GROUP BY source", ["e0.1.0", "."])
    assert both.fetchall() == [(".", 4, 3)]


def test_columns_that_only_one_state_has_are_null_in_the_other_and_a_column_source_keeps_its_values(
    mine: Project, tmp_path: Path
) -> None:
    """A colleague's folder, whose experiment measures and predicts other things."""
    theirs = tmp_path / "theirs"
    (theirs / "results/predictions").mkdir(parents=True)
    (theirs / "params.yaml").write_bytes((mine.path / "params.yaml").read_bytes())
    database = theirs / "results/experiments.db"
    database.write_bytes((mine.path / "results/experiments.db").read_bytes())
    with sqlite3.connect(database) as connection:
        connection.execute("ALTER TABLE metrics DROP COLUMN accuracy")
        connection.execute("ALTER TABLE metrics ADD COLUMN auc REAL DEFAULT 0.5")
        connection.execute("ALTER TABLE metrics ADD COLUMN source TEXT DEFAULT 'scanner 7'")
    connection.close()
    for file in (mine.path / "results/predictions").glob("*.parquet"):
        frame = pd.read_parquet(file).drop(columns="confidence").assign(margin=2, source="scanner 7")
        frame[frame.columns[::-1]].to_parquet(theirs / "results/predictions" / file.name, index=False)
    for relation, only_mine, only_theirs, number in (
        ("metrics", "accuracy", "auc", 6),
        ("predictions", "confidence", "margin", 6 * 360),
    ):
        found = lineage.sql(f"FROM {relation}", [".", str(theirs)]).df()
        own, other = (found[found["source"] == name] for name in (".", str(theirs)))
        assert len(own) == len(other) == number
        assert own[only_mine].notna().all() and other[only_mine].isna().all()
        assert own[only_theirs].isna().all() and set(other[only_theirs]) <= {0.5, 2}
        assert own["source_1"].isna().all() and set(other["source_1"]) == {"scanner 7"}
        shared = [name for name in own if name in other and name not in (only_mine, only_theirs, "source", "source_1")]
        by = [name for name in ("track_id", "item_id") if name in shared]
        left, right = (side.sort_values(by, ignore_index=True)[shared] for side in (own, other))
        pd.testing.assert_frame_equal(left, right)
    alone = lineage.sql("FROM metrics", str(theirs)).df()
    assert list(alone["source"]) == [str(theirs)] * 6 and list(alone["source_1"]) == ["scanner 7"] * 6
    assert set(lineage.predictions(str(theirs))["source_1"]) == {"scanner 7"}


def test_a_worktree_is_a_source_by_its_folder(mine: Project) -> None:
    mine.script("worktree", "setup_worktree.sh", "side")
    there = "../exp-side"
    rows = lineage.sql("SELECT source, count(*) FROM metrics GROUP BY source ORDER BY source", [".", there, "e0.1.0"])
    assert rows.fetchall() == [(".", 6), (there, 6), ("e0.1.0", 1)]
    (mine.path / there / "results/experiments.db").unlink()
    with pytest.raises(BadInput, match=r"exp-side/results/experiments\.db does not exist") as caught:
        lineage.sql("FROM metrics", there)
    assert caught.value.remedy == "dvc repro   # or, in a fresh clone: dvc pull"
