"""What SQLite can do beyond plain tables: each arrives with the right values, or is refused or left out by name."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lineage.core.errors import BadInput
from lineage.extras.merge_artifacts.databases import merge_databases
from lineage.extras.merge_artifacts.merges import Request, merge_databases_by_hand
from lineage.merge.rules import Rules

MERGE = Rules("merge")


def database(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


def query(path: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def merged(base: Path | None, source: Path, rules: Rules = MERGE) -> Path:
    """Merge as the command does, which first asks what the source began as a copy of."""
    output = source.with_name("out.db")
    output.unlink(missing_ok=True)
    merge_databases_by_hand(Request(base and str(base), [str(source)], output, rules, lambda _: True))
    return output


def type_remedy(error: BadInput, folder: Path) -> None:
    """Type the remedy of an error, as it is printed, in the folder of the files."""
    assert error.remedy
    subprocess.run(error.remedy, shell=True, cwd=folder, check=True, capture_output=True)


def test_a_generated_column_arrives_with_its_values(tmp_path: Path) -> None:
    base = database(
        tmp_path / "b.db", "CREATE TABLE t(id TEXT PRIMARY KEY, a INT, b INT); INSERT INTO t VALUES('x',1,2)"
    )
    source = database(
        tmp_path / "e.db",
        "CREATE TABLE t(id TEXT PRIMARY KEY, a INT, b INT GENERATED ALWAYS AS (a*2) STORED, c AS (a+1));"
        "INSERT INTO t(id, a) VALUES('y', 5)",
    )
    assert query(merged(base, source), "SELECT id, a, b, c FROM t") == [("x", 1, 2, None), ("y", 5, 10, 6)]
    assert query(merged(None, source), "SELECT id, a, b, c FROM t") == [("y", 5, 10, 6)]


def test_a_column_that_the_base_generates_is_not_sent(tmp_path: Path) -> None:
    table = "CREATE TABLE t(id TEXT PRIMARY KEY, a INT, b INT GENERATED ALWAYS AS (a*2) STORED);"
    base = database(tmp_path / "b.db", table + "INSERT INTO t(id, a) VALUES('x', 1)")
    same = database(tmp_path / "s.db", table + "INSERT INTO t(id, a) VALUES('y', 5), ('x', 1)")
    without = database(tmp_path / "w.db", "CREATE TABLE t(id TEXT PRIMARY KEY, a INT); INSERT INTO t VALUES('z', 7)")
    plain = database(
        tmp_path / "p.db", "CREATE TABLE t(id TEXT PRIMARY KEY, a INT, b INT); INSERT INTO t VALUES('z',7,3)"
    )
    assert query(merged(base, same), "SELECT * FROM t") == [("x", 1, 2), ("y", 5, 10)]
    assert query(merged(base, without), "SELECT * FROM t") == [("x", 1, 2), ("z", 7, 14)]
    with pytest.raises(BadInput, match=r"p\.db: column 'b' of table 't' .* the base computes it") as refused:
        merged(base, plain)
    type_remedy(refused.value, tmp_path)
    assert query(merged(base, plain), "SELECT * FROM t") == [("x", 1, 2), ("z", 7, 14)]


def test_a_database_in_utf_16_is_read(tmp_path: Path) -> None:
    text = "Grüße 🐟"
    script = f"CREATE TABLE t(id TEXT PRIMARY KEY, v); INSERT INTO t VALUES('b', '{text}'), ('c', 7), ('d', x'00ff')"
    for encoding in ("UTF-16le", "UTF-16be"):
        source = database(tmp_path / f"{encoding}.db", f"PRAGMA encoding='{encoding}'; {script}")
        base = database(tmp_path / "b.db", "CREATE TABLE IF NOT EXISTS t(id TEXT PRIMARY KEY, v)")
        for below in (base, None):
            assert query(merged(below, source), "SELECT v FROM t ORDER BY id") == [(text,), (7,), (b"\x00\xff",)]
        base.unlink()


def test_a_base_in_utf_16_is_refused_until_it_is_written_anew(tmp_path: Path) -> None:
    table = "CREATE TABLE t(id TEXT PRIMARY KEY, v);"
    base = database(tmp_path / "b.db", f"PRAGMA encoding='UTF-16le'; {table} INSERT INTO t VALUES('ä', 'x')")
    source = database(tmp_path / "e.db", f"{table} INSERT INTO t VALUES('ö', 'y')")
    with pytest.raises(BadInput, match=r"b\.db .*UTF-16") as refused:
        merged(base, source)
    type_remedy(refused.value, tmp_path)
    assert query(merged(base, source), "SELECT id, v FROM t") == [("ä", "x"), ("ö", "y")]


def test_a_default_is_not_a_value_that_somebody_sent(tmp_path: Path) -> None:
    base = database(
        tmp_path / "b.db", "CREATE TABLE t(a INT PRIMARY KEY, b INT NOT NULL DEFAULT 7); INSERT INTO t VALUES(1,1)"
    )
    source = database(tmp_path / "e.db", "CREATE TABLE t(a INT PRIMARY KEY); INSERT INTO t VALUES(2)")
    with pytest.raises(BadInput, match=r"NOT NULL constraint failed: t\.b"):
        merged(base, source)


def test_a_strict_base_gets_columns_of_types_that_it_knows(tmp_path: Path) -> None:
    base = database(
        tmp_path / "b.db", "CREATE TABLE t(id TEXT PRIMARY KEY, v ANY) STRICT; INSERT INTO t VALUES('a','x')"
    )
    source = database(
        tmp_path / "e.db",
        "CREATE TABLE t(id TEXT PRIMARY KEY, v, f FLOAT, n BIGINT, w VARCHAR(9), d DECIMAL, u);"
        "INSERT INTO t VALUES('b', 2, 1.5, 7, 'w', 0.5, x'01')",
    )
    output = merged(base, source)
    assert query(output, "SELECT * FROM t") == [("a", "x", *[None] * 5), ("b", 2, 1.5, 7, "w", 0.5, b"\x01")]
    types = dict(query(output, "SELECT name, type FROM pragma_table_info('t')"))
    assert types == {"id": "TEXT", "v": "ANY", "f": "REAL", "n": "INTEGER", "w": "TEXT", "d": "ANY", "u": "ANY"}


@pytest.mark.parametrize("module", ["fts3(a)", "fts4(a)", "fts5(a)", "rtree(id, a, b)"])
def test_virtual_tables_are_left_out_by_name(module: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their shadow tables hold an index: rows of two of them make a broken one."""
    for name, rows in (("b", 0), ("e", 3)):
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as connection, connection:
            connection.execute("CREATE TABLE plain(id INT PRIMARY KEY)")
            connection.execute("INSERT INTO plain VALUES(?)", (rows,))
            connection.execute(f"CREATE VIRTUAL TABLE t USING {module}")
            columns = "rowid, a" if module.startswith("fts") else "id, a, b"
            for number in range(1, rows + 1):
                values = [number] * columns.count(",") + [number]
                connection.execute(f"INSERT INTO t({columns}) VALUES ({', '.join('?' * len(values))})", values)
    output = merged(tmp_path / "b.db", tmp_path / "e.db")
    assert query(output, "SELECT id FROM plain ORDER BY id") == [(0,), (3,)]
    assert query(output, "SELECT count(*) FROM t") == [(0,)]
    assert query(output, "PRAGMA integrity_check") == [("ok",)]
    assert "e.db: 't' is a virtual table, whose rows are not merged" in capsys.readouterr().err


def test_a_rebase_that_would_leave_orphans_is_refused(tmp_path: Path) -> None:
    tables = (
        "CREATE TABLE p(id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE k(id INTEGER PRIMARY KEY, p REFERENCES p(id));"
    )
    base = database(tmp_path / "b.db", tables + "INSERT INTO p VALUES(1,'a'),(2,'b'); INSERT INTO k VALUES(1,1),(2,2)")
    source = database(tmp_path / "e.db", "CREATE TABLE p(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO p VALUES(3,'a')")
    with pytest.raises(BadInput, match="1 row of table 'k' refers to a row of 'p' that is not there"):
        merged(base, source, Rules("rebase", ("v",)))
    assert query(merged(base, source), "SELECT id FROM p") == [(1,), (2,), (3,)]

    broken = database(tmp_path / "broken.db", tables + "INSERT INTO k VALUES(1, 9)")
    assert query(merged(broken, source), "SELECT id FROM p") == [(3,)], (
        "what was an orphan before is not for us to judge"
    )


def test_a_view_in_the_place_of_a_table_is_no_damage(tmp_path: Path) -> None:
    base = database(tmp_path / "v.db", "CREATE TABLE x(a); CREATE VIEW t AS SELECT * FROM x")
    source = database(tmp_path / "e.db", "CREATE TABLE t(id TEXT PRIMARY KEY, v); INSERT INTO t VALUES('a','x')")
    with pytest.raises(BadInput, match=r"v\.db: view t already exists, in the place of an incoming table") as refused:
        merged(base, source)
    type_remedy(refused.value, tmp_path)
    assert query(merged(base, source), "SELECT id, v FROM t") == [("a", "x")]


def test_a_database_with_a_write_ahead_log_is_read_without_a_trace(tmp_path: Path) -> None:
    source = database(
        tmp_path / "w.db", "PRAGMA journal_mode = WAL; CREATE TABLE t(id PRIMARY KEY, v); INSERT INTO t VALUES(1,2)"
    )
    before = source.read_bytes()
    assert query(merged(None, source), "SELECT * FROM t") == [(1, 2)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.db", "w.db"] and source.read_bytes() == before


def test_rows_in_a_write_ahead_log_are_read_without_touching_it(tmp_path: Path) -> None:
    """As a killed program leaves it: the newest rows are in the log alone."""
    live = tmp_path / "live.db"
    with closing(sqlite3.connect(live)) as connection:
        connection.executescript(
            "PRAGMA journal_mode = WAL; CREATE TABLE t(id PRIMARY KEY, v); INSERT INTO t VALUES(1,2)"
        )
        folder = tmp_path / "left"
        folder.mkdir()
        for ending in ("", "-wal"):
            shutil.copyfile(f"{live}{ending}", folder / f"k.db{ending}")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    merge_databases(None, [folder / "k.db"], tmp_path / "out.db", MERGE)
    assert query(tmp_path / "out.db", "SELECT * FROM t") == [(1, 2)]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_what_only_a_base_has_is_said_when_there_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = database(
        tmp_path / "e.db",
        "CREATE TABLE t(id INT PRIMARY KEY, v TEXT NOT NULL UNIQUE); CREATE INDEX i ON t(v); CREATE VIEW w AS SELECT v FROM t;"
        "INSERT INTO t VALUES(1, 'x')",
    )
    merged(None, source)
    said = capsys.readouterr().err
    assert "e.db: index 'i', view 'w' are not taken over" in said and f"cp {source}" in said
    shutil.copyfile(source, tmp_path / "base.db")
    assert query(merged(tmp_path / "base.db", source), "SELECT v FROM w") == [("x",)]
    assert capsys.readouterr().err == ""


def test_a_duckdb_file_with_other_schemas_nan_or_nothing_is_named(tmp_path: Path) -> None:
    """Each is refused by the name of the file that somebody sent."""
    path = tmp_path / "e.duckdb"

    def write(*statements: str) -> Path:
        path.unlink(missing_ok=True)
        with duckdb.connect(str(path)) as connection:
            for statement in statements:
                connection.execute(statement)
        return path

    def paste_remedy(error: BadInput) -> None:
        assert error.remedy
        with duckdb.connect(str(path)) as connection:
            connection.execute(error.remedy)

    with pytest.raises(BadInput, match=r"e\.duckdb: table 'z' is in schema 's2'") as refused:
        merged(None, write("CREATE TABLE t(id INT)", "CREATE SCHEMA s2", "CREATE TABLE s2.z AS SELECT 7 AS a"))
    paste_remedy(refused.value)
    assert query(merged(None, path), "SELECT a FROM z") == [(7,)]
    with pytest.raises(
        BadInput, match=r"e\.duckdb: table 't', column 'm' holds NaN, which SQLite cannot store"
    ) as refused:
        merged(None, write("CREATE TABLE t(id INT, m DOUBLE)", "INSERT INTO t VALUES (1, 'nan'), (2, 0.5)"))
    paste_remedy(refused.value)
    assert query(merged(None, path), "SELECT id, m FROM t") == [(1, None), (2, 0.5)]
    with pytest.raises(BadInput, match=r"e\.duckdb: it has no tables"):
        merged(None, write())
