"""Sources of other kinds: DuckDB files, several base files, numbers against text that may become text."""

from __future__ import annotations

import contextlib
import os
import pty
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from baked_projects import SOURCE
from small_disk import small_disk

from lineage.core.errors import BadInput, Refused
from lineage.extras.merge_artifacts.databases import merge_databases
from lineage.extras.merge_artifacts.recommend import recommend
from lineage.merge.data import merge_data
from lineage.merge.rules import Rules


def database(path: Path, create: str, rows: list[tuple[Any, ...]]) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(create)
        connection.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(rows[0]))})", rows)
    return path


def rows_of(path: Path, query: str = "SELECT * FROM t ORDER BY 1") -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_a_duckdb_file_is_a_source_like_any_other(tmp_path: Path) -> None:
    source = tmp_path / "new.db"
    with closing(duckdb.connect(str(source))) as connection:
        connection.execute(
            "CREATE TABLE t (id VARCHAR PRIMARY KEY, n BIGINT, x DOUBLE, d DECIMAL(9, 2), ok BOOLEAN, raw BLOB,"
            " made TIMESTAMP, tags VARCHAR[], big HUGEINT)"
        )
        connection.execute(
            "INSERT INTO t VALUES ('b', 9007199254740993, 0.1::DOUBLE + 0.2::DOUBLE, 1.50, true, '\\x00\\xFF', '2026-01-02 03:04:05.000006',"
            " ['u', 'v'], 7), ('c', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"
        )
    base = database(tmp_path / "base.db", "CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER)", [("a", 1)])
    [plan] = merge_databases(base, [source], tmp_path / "out.db", Rules("merge"))
    assert plan.added == 2
    values = (9007199254740993, 0.1 + 0.2, 1.5, 1, b"\x00\xff", "2026-01-02 03:04:05.000006", "[u, v]", 7)
    assert rows_of(tmp_path / "out.db") == [("a", 1, *[None] * 7), ("b", *values), ("c", *[None] * 8)]
    [again] = merge_databases(tmp_path / "out.db", [source], tmp_path / "again.db", Rules("merge"))
    assert again.is_empty


def test_a_number_beyond_64_bits_in_a_duckdb_file_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "new.db"
    with closing(duckdb.connect(str(source))) as connection:
        connection.execute("CREATE TABLE t AS SELECT 170141183460469231731687303715884105727::HUGEINT AS n")
    with pytest.raises(BadInput, match=r"new\.db holds a whole number beyond 64 bits"):
        merge_databases(None, [source], tmp_path / "out.db", Rules("merge"))


def test_a_duckdb_file_that_is_open_elsewhere_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "new.db"
    write = f"import duckdb; c = duckdb.connect({str(source)!r}); c.sql('CREATE TABLE t AS SELECT 1 AS id'); input(print(1))"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-uc", write], **pipes) as writer:
        assert writer.stdout and writer.stdout.readline()
        with pytest.raises(BadInput, match=r"new\.db: .*Could not set lock") as refused:
            merge_databases(None, [source], tmp_path / "out.db", Rules("merge"))
        assert refused.value.remedy == "close the program that writes to it"
        writer.communicate(b"\n")
    [plan] = merge_databases(None, [source], tmp_path / "out.db", Rules("merge"))
    assert plan.added == 1


def test_a_duckdb_file_that_is_damaged_is_not_said_to_be_open(tmp_path: Path) -> None:
    source, whole = tmp_path / "new lock.db", tmp_path / "whole.db"
    source.write_bytes(b"12345678DUCK and nothing of it")
    with pytest.raises(BadInput, match=r"new lock\.db: ") as refused:
        merge_databases(None, [source], tmp_path / "out.db", Rules("merge"))
    assert refused.value.remedy == f"replace or remove {source}"
    with closing(duckdb.connect(str(whole))) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS id")
    whole.rename(source)
    assert merge_databases(None, [source], tmp_path / "out.db", Rules("merge"))[0].added == 1


@pytest.mark.parametrize("kinds", [("INTEGER", "TEXT"), ("TEXT", "REAL")])
def test_cast_text_keeps_every_digit(tmp_path: Path, kinds: tuple[str, str]) -> None:
    values: dict[str, Any] = {"INTEGER": 9007199254740993, "REAL": 0.1 + 0.2, "TEXT": "n/a"}
    paths = [
        database(
            tmp_path / f"{place}.db", f"CREATE TABLE t (id TEXT PRIMARY KEY, v {kind})", [(str(place), values[kind])]
        )
        for place, kind in enumerate(kinds)
    ]
    with pytest.raises(BadInput, match="… --cast text"):
        merge_databases(paths[0], paths[1:], tmp_path / "no.db", Rules("merge"))
    rules = Rules("merge", cast_text=True)
    merge_databases(paths[0], paths[1:], tmp_path / "out.db", rules)
    expected = [(str(place), str(values[kind])) for place, kind in enumerate(kinds)]
    assert rows_of(tmp_path / "out.db") == expected
    assert rows_of(tmp_path / "out.db", "SELECT DISTINCT typeof(v) FROM t") == [("text",)]
    [again] = merge_databases(tmp_path / "out.db", paths, tmp_path / "again.db", rules)
    assert again.is_empty


def parquet(path: Path, **columns: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def test_cast_text_lets_numbers_and_text_into_one_parquet_column(tmp_path: Path) -> None:
    base = parquet(tmp_path / "a.parquet", id=[1], v=[0.1 + 0.2])
    new = parquet(tmp_path / "b.parquet", id=[2], v=["n/a"])
    with pytest.raises(BadInput, match="… --cast text"):
        merge_data([base], [new], tmp_path / "no.parquet", Rules("merge", ("id",)), "data")
    rules = Rules("merge", ("id",), cast_text=True)
    plan = merge_data([base], [new], tmp_path / "out.parquet", rules, "data")
    assert plan.widened == ["v DOUBLE → VARCHAR"]
    assert pq.read_table(tmp_path / "out.parquet").column("v").to_pylist() == ["0.30000000000000004", "n/a"]


@pytest.mark.parametrize("strategy", ["merge", "rebase"])
def test_the_base_may_be_several_files_with_other_columns(tmp_path: Path, strategy: str) -> None:
    base = [
        parquet(tmp_path / "base/a.parquet", id=[3, 1], v=[3.0, 1.0]),
        parquet(tmp_path / "base/b.parquet", id=[2], w=["two"]),
    ]
    new = parquet(tmp_path / "new.parquet", id=[1, 4], v=[1.0, 4.0], w=[None, "four"])
    plan = merge_data(base, [new], tmp_path / "out.parquet", Rules(strategy, ("id",)), "data")
    assert (plan.added, plan.replaced, plan.present, plan.new_columns) == (1, 0, 1, [])
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == [
        {"id": 3, "v": 3.0, "w": None},
        {"id": 1, "v": 1.0, "w": None},
        {"id": 2, "v": None, "w": "two"},
        {"id": 4, "v": 4.0, "w": "four"},
    ]
    changed = parquet(tmp_path / "new.parquet", id=[2], v=[9.0], w=["TWO"])
    if strategy == "rebase":
        merge_data(base, [changed], tmp_path / "rebased.parquet", Rules(strategy, ("id",)), "data")
        assert [row["v"] for row in pq.read_table(tmp_path / "rebased.parquet").to_pylist()] == [3.0, 1.0, 9.0]


@pytest.mark.parametrize("key", ["id", "ID", "Id"])
def test_a_key_is_found_in_whatever_case_it_is_spelled(tmp_path: Path, key: str) -> None:
    base = database(tmp_path / "a.db", "CREATE TABLE t (ID TEXT, n INT)", [("a", 1), ("b", 2)])
    new = database(tmp_path / "b.db", "CREATE TABLE t (id TEXT, n INT)", [("b", 3), ("c", 4)])
    [plan] = merge_databases(base, [new], tmp_path / "out.db", Rules("rebase", (key,)))
    assert (plan.added, plan.replaced) == (2, 1)
    assert rows_of(tmp_path / "out.db") == [("a", 1), ("b", 3), ("c", 4)]


def test_a_database_without_tables_adds_nothing(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "none.db")) as connection:
        connection.execute("PRAGMA user_version = 1")
    assert merge_databases(None, [tmp_path / "none.db"], tmp_path / "out.db", Rules("merge")) == []


def test_a_renamed_column_is_recognised(tmp_path: Path) -> None:
    base = database(tmp_path / "a.db", "CREATE TABLE t (id TEXT PRIMARY KEY, acc REAL)", [("a", 0.5)])
    new = database(tmp_path / "b.db", "CREATE TABLE t (id TEXT PRIMARY KEY, accuracy REAL)", [("a", 0.5)])
    plans = merge_databases(base, [new], tmp_path / "out.db", Rules("merge", dry_run=True))
    assert recommend(plans) == "rebase: t seems to have renamed acc to accuracy; merge would keep both, each half empty"


@pytest.mark.slow
def test_a_base_larger_than_the_memory_limit_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, first in (("base", 0), ("new", 2_000_000)):
        query = (
            f"SELECT range AS id, random() AS x, random() AS y, random() AS z FROM range({first}, {first} + 2500000)"
        )
        duckdb.sql(f"COPY ({query}) TO '{tmp_path}/{name}.parquet'")
    rules = Rules("merge", ("id",), on_conflict="base")
    paths = [tmp_path / "base.parquet"], [tmp_path / "new.parquet"]
    merge_data(*paths, tmp_path / "free.parquet", rules, "data")
    monkeypatch.setenv("LINEAGE_MEMORY_LIMIT", "60MB")  # base and new hold 80 MB each
    merge_data(*paths, tmp_path / "limited.parquet", rules, "data")
    assert (tmp_path / "limited.parquet").read_bytes() == (tmp_path / "free.parquet").read_bytes()
    monkeypatch.setenv("LINEAGE_MEMORY_LIMIT", "1MB")
    with pytest.raises(Refused, match=r"the merge needs more memory: .*\n  → export LINEAGE_MEMORY_LIMIT="):
        merge_data(*paths, tmp_path / "no.parquet", rules, "data")
    monkeypatch.setenv("LINEAGE_MEMORY_LIMIT", "lots")
    with pytest.raises(BadInput, match="LINEAGE_MEMORY_LIMIT=lots"):
        merge_data(*paths, tmp_path / "no.parquet", rules, "data")


SLOW_WORK = """
import sys, time
sys.path.insert(0, sys.argv[1])
from lineage.core import console as cli
cli.QUIET_SECONDS = float(sys.argv[2])
with cli.progress("merging 3 files into out.db"):
    time.sleep(0.8)
"""


@pytest.mark.parametrize("after", [0.1, 60.0])
def test_long_work_is_shown_on_a_terminal_and_nowhere_else(after: float) -> None:
    words = [sys.executable, "-B", "-c", SLOW_WORK, str(SOURCE / "scripts"), str(after)]
    reader, terminal = pty.openpty()
    subprocess.run(words, stderr=terminal, check=True, env={**os.environ, "TERM": "xterm"})
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # Linux says EIO at the end of a terminal
        while part := os.read(reader, 4096):
            shown += part
    os.close(reader)
    assert (b"merging 3 files into out.db" in shown) == (after < 1)
    assert subprocess.run(words, capture_output=True, check=True).stderr == b""


@pytest.mark.parametrize("clause", ["IGNORE", "REPLACE"], ids=["a row is dropped", "a row of the base is replaced"])
def test_rows_that_did_not_arrive_as_they_came_are_noticed(tmp_path: Path, clause: str) -> None:
    create = f"CREATE TABLE t (id TEXT PRIMARY KEY, v REAL UNIQUE ON CONFLICT {clause})"
    base = database(tmp_path / "a.db", create, [("a", 1.0)])
    new = database(tmp_path / "b.db", "CREATE TABLE t (id TEXT PRIMARY KEY, v REAL)", [("b", 1.0), ("c", 3.0)])
    with pytest.raises(Refused, match="not the 3 rows that belong there were written; the old file stays"):
        merge_databases(base, [new], tmp_path / "out.db", Rules("merge"))


def test_damage_that_only_the_integrity_check_sees_is_refused(tmp_path: Path) -> None:
    create = "CREATE TABLE t (id TEXT PRIMARY KEY, v TEXT)"
    base = database(tmp_path / "a.db", create, [(f"{number:04}", "x" * 50) for number in range(500)])
    content = base.read_bytes()
    at = content.rindex(b"0250")  # in the index or the table: either way one of them has another key now
    base.write_bytes(content[:at] + b"9250" + content[at + 4 :])
    new = database(tmp_path / "b.db", create, [("new", "v")])
    with pytest.raises(Refused, match="the merged database fails SQLite's integrity check: "):
        merge_databases(base, [new], tmp_path / "out.db", Rules("merge"))


def test_of_many_databases_the_damaged_one_is_named_and_the_rest_arrive_without_it(tmp_path: Path) -> None:
    """Of more than ten, SQLite gathers the rows that DuckDB compares."""
    sources = []
    for number in range(25):
        source = tmp_path / f"{number:02d}.db"
        with closing(sqlite3.connect(source)) as connection, connection:
            connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, note TEXT)")
            rows = [(number * 1000 + row, "x" * 50) for row in range(500)]
            connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        sources.append(source)
    whole = sources[17].read_bytes()
    sources[17].write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    with pytest.raises(BadInput, match=r"17\.db: database disk image is malformed"):
        merge_databases(None, sources, tmp_path / "out.db", Rules("merge"))
    sources[17].write_bytes(whole)
    merge_databases(None, sources, tmp_path / "out.db", Rules("merge"))
    with closing(sqlite3.connect(tmp_path / "out.db")) as connection:
        ids = [row[0] for row in connection.execute("SELECT id FROM t ORDER BY rowid")]
    assert ids == [number * 1000 + row for number in range(25) for row in range(500)]


def test_databases_of_one_schema_are_described_once_and_another_encoding_is_still_seen(tmp_path: Path) -> None:
    create = "CREATE TABLE t (id TEXT PRIMARY KEY, v TEXT)"
    sources = [database(tmp_path / f"{name}.db", create, [(name, "é")]) for name in ("a", "b")]
    with closing(sqlite3.connect(tmp_path / "c.db")) as connection, connection:
        connection.execute("PRAGMA encoding = 'UTF-16le'")
        connection.execute(create)
        connection.execute("INSERT INTO t VALUES ('c', 'é')")
    other = database(tmp_path / "d.db", f"{create} WITHOUT ROWID", [("d", "é")])
    merge_databases(None, [*sources, tmp_path / "c.db", other], tmp_path / "out.db", Rules("merge"))
    assert rows_of(tmp_path / "out.db") == [("a", "é"), ("b", "é"), ("c", "é"), ("d", "é")]


def test_a_full_disk_for_temporary_files_is_told_and_another_place_helps(tmp_path: Path) -> None:
    """Of more than ten databases, SQLite gathers the rows there that DuckDB compares."""
    for number in range(12):
        rows = [(f"{number}-{row}-{'k' * 400}", "x") for row in range(1000)]
        database(tmp_path / f"e{number}.db", "CREATE TABLE t (id TEXT PRIMARY KEY, v TEXT)", rows)
    merge = "python scripts/merge_artifacts.py --strategy merge --exp-db {}/e*.db --output-db {}/out.db"
    command = merge.format(tmp_path, tmp_path).replace("scripts/", f"{SOURCE}/scripts/")
    with small_disk(tmp_path / "tiny") as disk:
        environment = {**os.environ, "SQLITE_TMPDIR": str(disk)}

        def typed(line: str) -> subprocess.CompletedProcess[str]:
            shell = ["bash", "-c", line]
            return subprocess.run(shell, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

        done = typed(command)
        problem, remedy = done.stderr.splitlines()
        assert (done.returncode, problem) == (1, "error: SQLite has no room for its temporary files"), done.stderr
        assert not (tmp_path / "out.db").exists() and list(disk.iterdir()) == []
        done = typed(f"{remedy.removeprefix('  → ')}\n{command}")
    assert done.returncode == 0 and "+12000 ~0 =0 !0" in done.stdout, done.stdout + done.stderr
    assert len(rows_of(tmp_path / "out.db")) == 12_000
