"""Parquet files as they are found in the wild: each of these has cost somebody an evening."""

from __future__ import annotations

import decimal
import math
from datetime import datetime, timezone
from pathlib import Path

import pyarrow as pa
import pytest
from corpus_files import parquet, rows_of

from lineage.merge.data import merge_data
from lineage.merge.rules import Rules
from lineage.tables.parquet_types import widest


def merged_data(folder: Path, base: Path | None, *sources: Path, rules: Rules | None = None) -> Path:
    merge_data([base] if base else [], sources, folder / "out.parquet", rules or Rules("merge", ("id",)), "data")
    return folder / "out.parquet"


NESTED: dict[str, pa.Array] = {
    "list": pa.array([[1, 2], None]),
    "struct": pa.array([{"a": 1, "b": [None, "x"]}, {"a": None, "b": []}]),
    "decimal": pa.array([decimal.Decimal("1.10"), None], pa.decimal128(10, 2)),
    "zoned timestamp": pa.array([datetime(2026, 1, 1, tzinfo=timezone.utc), None], pa.timestamp("us", "UTC")),
    "timestamp": pa.array([datetime(2026, 1, 1, 12), None], pa.timestamp("us")),
    "date": pa.array([datetime(2026, 1, 1).date(), None]),
    "dictionary": pa.array(["a", "b"]).dictionary_encode(),
    "binary": pa.array([b"", b"\x00\xff"]),
    "large integer": pa.array([2**64 - 1, 0], pa.uint64()),
    "not a number": pa.array([math.inf, -0.0]),
    "boolean": pa.array([True, None]),
    "map": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
}


@pytest.mark.parametrize("name", NESTED)
def test_values_of_every_type_arrive_as_they_left(tmp_path: Path, name: str) -> None:
    values = NESTED[name]
    base = parquet(tmp_path / "a.parquet", id=[1], v=values[:1])
    new = parquet(tmp_path / "b.parquet", id=[1, 2], v=values)
    assert rows_of(merged_data(tmp_path, base, new)) == [
        {"id": number + 1, "v": value} for number, value in enumerate(values.to_pylist())
    ]


def test_not_a_number_equals_itself(tmp_path: Path) -> None:
    base = parquet(tmp_path / "a.parquet", id=[1], v=[math.nan])
    result = merge_data([base], [base], tmp_path / "out.parquet", Rules("merge", ("id",)), "data")
    assert result.is_empty and result.present == 1
    assert math.isnan(rows_of(tmp_path / "out.parquet")[0]["v"])


@pytest.mark.parametrize(
    ("left", "right", "both"),
    [
        ("INTEGER", "BIGINT", "BIGINT"),
        ("INTEGER", "DOUBLE", "DOUBLE"),
        ("FLOAT", "DOUBLE", "DOUBLE"),
        ("UTINYINT", "TINYINT", "SMALLINT"),
        ("UBIGINT", "BIGINT", None),
        ("INTEGER", "VARCHAR", None),
        ("DATE", "TIMESTAMP", None),
        ('"NULL"', "VARCHAR", "VARCHAR"),
    ],
)
def test_types_widen_or_clash(left: str, right: str, both: str | None) -> None:
    assert widest(left, right) == widest(right, left) == both


def test_a_batch_with_a_new_column_and_one_without_an_old_one(tmp_path: Path) -> None:
    base = parquet(tmp_path / "a.parquet", id=[1], old=["x"])
    new = parquet(tmp_path / "b.parquet", id=[2], fresh=[0.5])
    assert rows_of(merged_data(tmp_path, base, new)) == [
        {"id": 1, "old": "x", "fresh": None},
        {"id": 2, "old": None, "fresh": 0.5},
    ]


def test_a_column_of_nothing_but_null_takes_any_type(tmp_path: Path) -> None:
    base = parquet(tmp_path / "a.parquet", id=[1], v=pa.nulls(1))
    new = parquet(tmp_path / "b.parquet", id=[2], v=["x"])
    assert [row["v"] for row in rows_of(merged_data(tmp_path, base, new))] == [None, "x"]


def test_a_column_of_nothing_but_null_on_both_sides(tmp_path: Path) -> None:
    files = [parquet(tmp_path / f"{number}.parquet", id=[number], v=pa.nulls(1)) for number in (1, 2)]
    assert rows_of(merged_data(tmp_path, *files)) == [{"id": 1, "v": None}, {"id": 2, "v": None}]


def test_two_incoming_rows_with_one_key_the_later_source_wins_and_says_so(tmp_path: Path) -> None:
    base = parquet(tmp_path / "a.parquet", id=[1, 2], v=[0, 0])
    early = parquet(tmp_path / "b.parquet", id=[1], v=[1])
    late = parquet(tmp_path / "c.parquet", id=[1], v=[2])
    result = merge_data([base], [early, late], tmp_path / "out.parquet", Rules("rebase", ("id",)), "data")
    assert rows_of(tmp_path / "out.parquet") == [{"id": 2, "v": 0}, {"id": 1, "v": 2}]
    assert result.line() == "data: +1 ~1 =0 !0, 1 incoming rows gave way to a later one"


def test_wildcards_in_a_path_are_letters(tmp_path: Path) -> None:
    folder = tmp_path / "run [1]*?"
    folder.mkdir()
    base = parquet(folder / "a.parquet", id=[1])
    assert rows_of(merged_data(folder, base, parquet(folder / "b's.parquet", id=[2]))) == [{"id": 1}, {"id": 2}]
