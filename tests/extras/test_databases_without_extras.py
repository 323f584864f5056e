"""Databases of others without the extras for them: refused by name, not passed over, not merged as any other."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pyarrow.parquet as pq
from baked_projects import Project
from inbox_project import edit
from test_without_extras import set_up


def test_a_table_of_predictions_is_not_passed_over_without_its_extra(trained: Project) -> None:
    theirs = trained.path / "results/incoming/theirs.db"
    with closing(sqlite3.connect(theirs)) as connection, connection:
        connection.execute(
            "CREATE TABLE metrics (track_id TEXT, timestamp TEXT, version TEXT, PRIMARY KEY (track_id, timestamp))"
        )
        connection.execute("INSERT INTO metrics VALUES ('theirs', 'now', 'e0.1.0')")
        connection.execute("CREATE TABLE predictions (track_id TEXT, p REAL)")
        connection.executemany("INSERT INTO predictions VALUES (?, ?)", [("theirs", 0.5), ("no run", 1.0)])
    shutil.rmtree(trained.path / "scripts/lineage/extras/predictions_table")
    before = {path: path.read_bytes() for path in (trained.path / "results").rglob("*.*") if path.is_file()}
    said = trained.script("merge_results", code=2)
    problem = f"{theirs}: table 'predictions' asks for an extra that is not here: "
    missing = "No module named 'lineage.extras.predictions_table'"
    assert said == f"error: {problem}{missing}\n  → make setup EXTRAS=predictions_table\n"
    after = {path: path.read_bytes() for path in (trained.path / "results").rglob("*.*") if path.is_file()}
    assert after == before
    set_up(trained, "predictions_table")
    said = trained.script("merge_results")
    assert "merge metrics: +1 ~0 =0 !0, missing columns: " in said and "merge predictions: +1 ~0 =0 !0\n" in said
    table = pq.read_table(trained.path / "results/predictions/theirs.parquet")
    assert table.to_pydict() == {"track_id": ["theirs"], "p": [0.5]}


def test_a_copy_of_our_database_is_not_merged_as_any_other_without_its_extra(trained: Project) -> None:
    """It would take newer rows of ours back. A database of other runs comes in as ever."""
    database = trained.path / "results/experiments.db"
    [run] = (trained.path / "results/runs").glob("*.db")
    shutil.rmtree(trained.path / "scripts/lineage/extras/copies")
    theirs = trained.path / "results/incoming/theirs.db"
    shutil.copyfile(run, theirs)
    edit(theirs, "UPDATE metrics SET track_id = 'theirs'")
    assert "merge metrics: +1 ~0 =0 !0\n" in trained.script("merge_results")
    copy = trained.path / "results/incoming/copy.db"
    shutil.copyfile(database, copy)
    for change in ("UPDATE metrics SET f1_score = 0.5", "DROP TABLE lineage_sources"):  # then its runs tell
        edit(copy, change)
        before = database.read_bytes()
        said = trained.script("merge_results", code=2)
        problem = f"{copy}, a copy of results/experiments.db, asks for an extra that is not here: "
        missing = "No module named 'lineage.extras.copies'"
        assert said == f"error: {problem}{missing}\n  → make setup EXTRAS=copies\n"
        assert database.read_bytes() == before
    edit(copy, "UPDATE metrics SET track_id = 'again-' || track_id")
    set_up(trained, "copies")
    assert "merge metrics: +2 ~0 =0 !0\n" in trained.script("merge_results")
