"""Rows without a key are known by all their values and their occurrence; keys that nobody has are errors."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lineage.core.errors import BadInput
from lineage.extras.merge_artifacts.databases import merge_databases
from lineage.merge.data import merge_data
from lineage.merge.rules import Rules


@pytest.mark.slow
def test_iris_stays_150_rows(tmp_path: Path) -> None:
    """Two of its flowers have equal measures: they are two flowers, and the same file twice adds none."""
    from sklearn.datasets import load_iris

    frame = load_iris(as_frame=True).frame
    assert frame.duplicated().sum() == 1
    iris = tmp_path / "iris.parquet"
    frame.to_parquet(iris, index=False)
    assert merge_data([], [iris], tmp_path / "once.parquet", Rules("merge"), "data").rows == 150
    assert sorted(pq.read_table(tmp_path / "once.parquet").to_pylist(), key=str) == sorted(
        pq.read_table(iris).to_pylist(), key=str
    )
    again = merge_data([tmp_path / "once.parquet"], [iris, iris], tmp_path / "again.parquet", Rules("merge"), "data")
    assert (again.is_empty, again.rows) == (True, 150)


def table(path: Path, *rows: tuple[Any, ...], columns: str = "a, b") -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE t ({columns})")
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
    return path


def test_a_row_more_of_a_kind_is_one_row_more(tmp_path: Path) -> None:
    base = table(tmp_path / "base.db", (1, "x"), (None, None))
    new = table(tmp_path / "new.db", (1, "x"), (1, "x"), (None, None), (1, "x"))
    [plan] = merge_databases(base, [new], tmp_path / "out.db", Rules("merge"))
    assert (plan.added, plan.present, plan.rows) == (2, 2, 4)
    other = table(tmp_path / "other.db", (1, "x"))
    [plan] = merge_databases(tmp_path / "out.db", [other, new], tmp_path / "again.db", Rules("merge"))
    assert plan.is_empty, "two files with one row each have one row"


def test_a_number_and_the_same_number_as_floating_point_are_two_rows_without_types(tmp_path: Path) -> None:
    new = table(tmp_path / "new.db", (1, "x"), (1.0, "x"))
    [plan] = merge_databases(None, [new], tmp_path / "out.db", Rules("merge"))
    with closing(sqlite3.connect(tmp_path / "out.db")) as connection:
        assert connection.execute("SELECT typeof(a) FROM t ORDER BY 1").fetchall() == [("integer",), ("real",)]
    assert plan.rows == 2


@pytest.mark.parametrize("tables", [(), ("t",)])
def test_a_key_column_that_no_table_has_is_an_error(tmp_path: Path, tables: tuple[str, ...]) -> None:
    base, new = table(tmp_path / "base.db", (1, "x")), table(tmp_path / "new.db", (2, "y"))
    rules = Rules("rebase", ("nosuch",), tables=tables)
    with pytest.raises(BadInput, match="no incoming table has the key column 'nosuch'"):
        merge_databases(base, [new], tmp_path / "out.db", rules)
    with pytest.raises(BadInput, match="has no column 'nosuch'"):
        pq.write_table(pq.read_table(_parquet(tmp_path)), tmp_path / "b.parquet")
        merge_data([], [tmp_path / "b.parquet"], tmp_path / "out.parquet", Rules("rebase", ("nosuch",)), "data")


def _parquet(folder: Path) -> Path:
    import pyarrow as pa

    path = folder / "a.parquet"
    pq.write_table(pa.table({"id": [1]}), path)
    return path


def test_numbers_are_ordered_by_size_whatever_file_they_are_in(tmp_path: Path) -> None:
    columns = "a INTEGER PRIMARY KEY, b"
    high = table(tmp_path / "high.db", (10, "x"), (9, "x"), (11, "x"), columns=columns)
    low = table(tmp_path / "low.db", (2, "x"), (1, "x"), columns=columns)
    merge_databases(None, [high, low], tmp_path / "out.db", Rules("merge"))
    with closing(sqlite3.connect(tmp_path / "out.db")) as connection:
        assert [row[0] for row in connection.execute("SELECT a FROM t")] == [1, 2, 9, 10, 11]


def test_one_row_against_two_of_its_key_is_one_conflict(tmp_path: Path) -> None:
    import pyarrow as pa

    pq.write_table(pa.table({"id": [1, 1, 2], "v": [5, 6, 7]}), tmp_path / "base.parquet")
    pq.write_table(pa.table({"id": [1, 2], "v": [9, 7]}), tmp_path / "new.parquet")
    rules = Rules("merge", ("id",), on_conflict="base")
    plan = merge_data([tmp_path / "base.parquet"], [tmp_path / "new.parquet"], tmp_path / "out.parquet", rules, "data")
    assert (plan.added, plan.present, plan.conflicts, plan.rows) == (0, 1, 1, 3)


def test_the_base_stays_as_it_lies_where_equal_rows_are_told_apart(tmp_path: Path) -> None:
    import pyarrow as pa

    texts = ["b", None, "a", "b", None, ""] * 50
    pq.write_table(pa.table({"t": texts}), tmp_path / "base.parquet")
    pq.write_table(pa.table({"t": ["c", "c"]}), tmp_path / "new.parquet")
    merge_data(
        [tmp_path / "base.parquet"], [tmp_path / "new.parquet"], tmp_path / "out.parquet", Rules("merge"), "data"
    )
    assert pq.read_table(tmp_path / "out.parquet").column("t").to_pylist() == [*texts, "c", "c"]
