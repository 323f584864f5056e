"""No cell of a file is lost or changed on the way: what a hostile reader of the merge found, each with its numbers."""

from __future__ import annotations

import decimal
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
from baked_projects import SOURCE
from lossless_merges import database, merge_files, parquet, query
from waiting import wait_for

from lineage.core.errors import BadInput, LineageError, Refused
from lineage.extras.merge_artifacts.merges import Request, merge_databases_by_hand
from lineage.merge.rules import Rules

# --- Files that others write to --------------------------------------------------------------------------------------

CRASHED = """
import os, sqlite3, sys
c = sqlite3.connect(sys.argv[1])
c.execute("PRAGMA journal_mode = WAL")
c.execute("PRAGMA wal_autocheckpoint = 0")
c.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)")
c.executemany("INSERT INTO t VALUES (?, ?)", [(i, "base") for i in range(500)])
c.commit()
os._exit(0)
"""


def test_a_log_that_a_crashed_writer_left_is_not_replayed_over_the_merged_file(tmp_path: Path) -> None:
    base, new = tmp_path / "base.db", tmp_path / "new.db"
    subprocess.run([sys.executable, "-c", CRASHED, base], check=True)
    database(new, "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)", t=[(1000, "new")])
    files = [(tmp_path / name).read_bytes() for name in ("base.db", "base.db-wal")]
    with pytest.raises(Refused, match="has rows in its write-ahead log") as refused:
        merge_databases_by_hand(Request(str(base), [str(new)], base, Rules("merge"), lambda _: True))
    assert [(tmp_path / name).read_bytes() for name in ("base.db", "base.db-wal")] == files
    assert refused.value.remedy == f"sqlite3 {base} 'PRAGMA journal_mode = DELETE'"
    subprocess.run(refused.value.remedy, shell=True, check=True)
    merge_databases_by_hand(Request(str(base), [str(new)], base, Rules("merge"), lambda _: True))
    assert query(base, "SELECT count(*), max(id) FROM t") == [(501, 1000)]


@pytest.mark.slow
def test_rows_written_during_a_merge_are_not_overwritten(tmp_path: Path) -> None:
    create = "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)"
    base = database(tmp_path / "base.db", create, t=[(-1, "a")])
    many = [(number, "x" * 40) for number in range(1_000_000)]
    database(tmp_path / "new.db", create, t=many)
    words = ("--strategy", "merge", "--base-db", "base.db", "--output-db", "base.db", "--exp-db", "new.db")
    command = [sys.executable, "-B", SOURCE / "scripts/merge_artifacts.py", *words]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as merging:
        wait_for(lambda: list(tmp_path.glob(".base.db.*.tmp")), pause=0.01)
        time.sleep(0.1)
        with closing(sqlite3.connect(base)) as connection, connection:
            connection.execute("INSERT INTO t VALUES (-2, 'theirs')")
        _, errors = merging.communicate(timeout=60)
    assert merging.returncode == 1 and "base.db was changed by another program meanwhile" in errors
    assert errors.endswith("\n  → try again\n")
    assert query(base, "SELECT * FROM t ORDER BY id") == [(-2, "theirs"), (-1, "a")]
    assert [path.name for path in tmp_path.iterdir() if "tmp" in path.name] == []
    with closing(sqlite3.connect(tmp_path / "new.db")) as connection, connection:
        connection.execute("DELETE FROM t WHERE id > 0")  # fewer take less time
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert query(base, "SELECT id FROM t ORDER BY id") == [(-2,), (-1,), (0,)]


# --- Files and folders -----------------------------------------------------------------------------------------------


def test_names_of_files_with_the_characters_of_globs(tmp_path: Path) -> None:
    create = "CREATE TABLE t (id TEXT PRIMARY KEY)"
    new = database(tmp_path / "new.db", create, t=[("a",)])
    other = tmp_path / ".a[1].db.old.999.tmp"  # of another output, which another process writes
    other.touch()
    out = tmp_path / "a[1].db"
    merge_databases_by_hand(Request(None, [str(new)], out, Rules("merge", dry_run=True), lambda _: True))
    assert sorted(path.name for path in tmp_path.iterdir() if "tmp" in path.name) == [other.name]
    merge_databases_by_hand(Request(None, [str(new)], out, Rules("merge"), lambda _: True))
    before = out.stat()
    merge_databases_by_hand(
        Request(None, [str(new)], out, Rules("merge"), lambda _: True)
    )  # the same bytes: nothing is replaced
    assert out.stat().st_ino == before.st_ino and query(out, "SELECT id FROM t") == [("a",)]


def test_links_that_lead_nowhere_and_empty_words_are_named(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/gone.db").symlink_to("nowhere")
    for pattern, words in ((str(tmp_path / "runs"), r"gone\.db is a link that leads nowhere"), ("", "an empty word")):
        with pytest.raises(BadInput, match=words):
            merge_databases_by_hand(Request(None, [pattern], tmp_path / "out.db", Rules("merge"), lambda _: True))


@pytest.mark.slow
def test_a_locked_or_broken_source_is_named_and_not_the_base(tmp_path: Path) -> None:
    create = "CREATE TABLE t (id TEXT PRIMARY KEY)"
    base, new = database(tmp_path / "a.db", create, t=[("a",)]), database(tmp_path / "b.db", create, t=[("b",)])
    with closing(sqlite3.connect(new, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LineageError, match=r"b\.db: database is locked") as caught:
            merge_databases_by_hand(Request(str(base), [str(new)], base, Rules("merge"), lambda _: True))
        assert caught.value.remedy == "close the program that writes to it, then try again"
    merge_databases_by_hand(Request(str(base), [str(new)], base, Rules("merge"), lambda _: True))
    assert query(base, "SELECT id FROM t") == [("a",), ("b",)]


# --- Parquet ---------------------------------------------------------------------------------------------------------


def test_folders_named_as_partitions_are_no_columns(tmp_path: Path) -> None:
    base = parquet(tmp_path / "id=5/split=train/base.parquet", id=[1, 2], split=["train", "val"])
    new = parquet(tmp_path / "id=6/new.parquet", id=[3], split=["test"])
    assert [tuple(row.values()) for row in merge_files(base, new)] == [(1, "train"), (2, "val"), (3, "test")]


def test_names_of_columns_that_duckdb_takes_for_one(tmp_path: Path) -> None:
    base, new = parquet(tmp_path / "a.parquet", ID=[1], Acc=[1.0]), parquet(tmp_path / "b.parquet", id=[2], acc=[2.0])
    assert merge_files(base, new) == [{"ID": 1, "Acc": 1.0}, {"ID": 2, "Acc": 2.0}]
    for name in ("ACC", "file_row_number", "lineage row"):
        odd = parquet(tmp_path / "c.parquet", **{"id": [3], "Acc": [3.0], name: [4.0]})
        with pytest.raises(BadInput, match=r"c\.parquet: DuckDB cannot tell column"):
            merge_files(base, odd)
    for strategy in ("merge", "rebase"):
        base, new = (
            parquet(tmp_path / "a.parquet", id=[1], rowid=[7]),
            parquet(tmp_path / "b.parquet", id=[2], rowid=[7]),
        )
        assert merge_files(base, new, strategy=strategy) == [{"id": 1, "rowid": 7}, {"id": 2, "rowid": 7}]


LARGE = 2**53 + 1


def test_whole_numbers_and_decimals_that_would_be_rounded_are_refused(tmp_path: Path) -> None:
    base = parquet(tmp_path / "a.parquet", id=[1, 2], v=[LARGE, 1])
    new = parquet(tmp_path / "b.parquet", id=[3], v=[0.5])
    with pytest.raises(
        BadInput, match=f"a.parquet: column .v. holds {LARGE}, which DOUBLE, as in others, would change"
    ):
        merge_files(base, new)
    assert merge_files(parquet(tmp_path / "a.parquet", id=[1], v=[2**53]), new)[0]["v"] == 2.0**53
    unsigned = parquet(tmp_path / "c.parquet", id=[3], v=pa.array([2**63 + 5], pa.uint64()))
    with pytest.raises(BadInput, match="column 'v' is UBIGINT, but BIGINT in"):
        merge_files(base, unsigned)
    long = pa.array([decimal.Decimal("12345678901234567890123456789012345678901.25")], pa.decimal256(50, 2))
    with pytest.raises(BadInput, match="decimals of 'v' have more than 38 digits"):
        merge_files(parquet(tmp_path / "d.parquet", id=[1], v=long), parquet(tmp_path / "e.parquet", id=[2], v=long))


def test_text_that_is_none_and_damaged_pages_are_errors_without_a_traceback(tmp_path: Path) -> None:
    base = parquet(tmp_path / "a.parquet", id=[1], v=["x"])
    latin = pa.StringArray.from_buffers(1, pa.py_buffer(bytes([0, 0, 0, 0, 1, 0, 0, 0])), pa.py_buffer(b"\xff"))
    with pytest.raises(BadInput, match="DuckDB cannot read the data"):
        merge_files(base, parquet(tmp_path / "b.parquet", id=[2], v=latin))
    damaged = parquet(tmp_path / "c.parquet", id=list(range(5000)), v=[str(n) for n in range(5000)])
    content = bytearray(damaged.read_bytes())
    content[100:2000] = os.urandom(1900)
    damaged.write_bytes(content)
    with pytest.raises(BadInput):
        merge_files(base, damaged)
