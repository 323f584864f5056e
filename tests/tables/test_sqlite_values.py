"""Tables of SQLite as tables of DuckDB: every value, and one type for a column."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lineage.core.errors import BadInput
from lineage.extras.predictions_table.sqlite_values import read_values
from lineage.tables.engine import open_engine


@pytest.fixture
def engine() -> Iterator[Any]:
    with open_engine() as opened:
        yield opened


def database(path: Path, columns: str, *rows: tuple[object, ...]) -> Path:
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE t ({columns})")
        connection.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(rows[0]))})", rows)
    connection.close()
    return path


def test_values_arrive_as_they_are(engine: Any, tmp_path: Path) -> None:
    """Also where a type shows only far down, and where a column holds nothing."""
    first = (2**63 - 1, None, None, 1, "é'\"", b"\x00\xff", None, None)
    last = (-(2**63), 0.1 + 0.2, "late", 0.5, "", b"", None, None)
    empty = (None,) * 8
    columns = '"Number" INTEGER, x REAL, late TEXT, mixed INTEGER, text TEXT, bytes BLOB, none_text TEXT, none REAL'
    file = database(tmp_path / "a.db", columns, first, *[empty] * 5000, last)
    assert read_values(engine, file, "t", "rows")
    described = {name: kind for name, kind, *_ in engine.execute("DESCRIBE rows").fetchall()}
    assert list(described.values()) == ["BIGINT", "DOUBLE", "VARCHAR", "DOUBLE", "VARCHAR", "BLOB", "VARCHAR", "DOUBLE"]
    rows = engine.execute("FROM rows").fetchall()
    assert rows[0] == first and rows[-1] == last and len(rows) == 5002 and rows[1] == empty


def test_the_condition_is_that_of_sqlite_and_no_file_appears(engine: Any, tmp_path: Path) -> None:
    file = database(tmp_path / "a.db", "track_id TEXT", ("a",), ("b",), ("a",))
    before = file.stat().st_mtime_ns
    assert read_values(engine, file, "t", "rows", "track_id = 'a'")
    assert engine.execute("SELECT count(*) FROM rows").fetchall() == [(2,)]
    assert not read_values(engine, file, "events", "others")
    assert [path.name for path in tmp_path.iterdir()] == ["a.db"] and file.stat().st_mtime_ns == before


def test_a_column_of_numbers_and_text_is_refused_by_name(engine: Any, tmp_path: Path) -> None:
    file = database(tmp_path / "a.db", "x REAL", (0.5,), ("half",))
    with pytest.raises(BadInput, match=r"a\.db: column 'x' of table 't' holds values of several types") as caught:
        read_values(engine, file, "t", "rows")
    assert caught.value.remedy == "give the column one type"
    assert read_values(engine, file, "t", "numbers", "typeof(x) = 'real'")
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE t SET x = 0.5 WHERE x = 'half'")
    assert read_values(engine, file, "t", "rows")
