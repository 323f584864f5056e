"""What a parquet file says counts, not what DuckDB's reader makes of it: every digit, zone and text arrives as pyarrow reads it."""

from __future__ import annotations

import datetime
import decimal
import struct
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from footers import rewrite, without_converted_type, without_logical_type

from lineage.core.errors import BadInput
from lineage.merge.data import merge_data
from lineage.merge.plan import Plan
from lineage.merge.rules import Rules
from lineage.tables.engine import open_engine
from lineage.tables.parquet_files import read_schemas
from lineage.tables.parts import parts_of

NS = pa.timestamp("ns")
SECOND = 1_700_000_000_000_000_000


def write(path: Path, table: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(table), path, compression="none", **options)
    return path


def merge(out: Path, base: Path | None, *sources: Path, **rules: Any) -> Plan:
    rules = {"strategy": "merge", "key_columns": ("id",), **rules}
    return merge_data([base] if base else [], sources, out, Rules(**rules), "data")


def read(path: Path) -> pa.Table:
    return pa.concat_tables(pq.ParquetFile(part).read() for part in parts_of(path)).combine_chunks()


def int96(path: Path, *times: int | None, **columns: Any) -> Path:
    values = {
        "t": pa.array(times, NS),
        "several": pa.array([None if time is None else [time, None] for time in times], pa.list_(NS)),
        "inside": pa.array([{"t": time} for time in times], pa.struct({"t": NS})),
    }
    return write(path, {**columns, **values}, use_deprecated_int96_timestamps=True)


def julian(day: int, nanoseconds: int) -> bytes:
    """A time as INT96."""
    return struct.pack("<qi", nanoseconds, day)


@pytest.mark.parametrize("layout", ["file", "parts"])
def test_nanoseconds_stored_as_int96_stay(tmp_path: Path, layout: str) -> None:
    base = int96(tmp_path / "base", SECOND + 1, SECOND + 2, None, -1)
    new = int96(tmp_path / "new", SECOND + 2, SECOND + 3, None)
    plan = merge(out := tmp_path / "out", base, new, key_columns=(), layout=layout)
    assert (plan.added, plan.present) == (1, 2)
    expected = [SECOND + 1, SECOND + 2, None, -1, SECOND + 3]
    for column in (read(out)["t"], read(out)["inside"].combine_chunks().field(0)):
        assert column.type == NS and column.cast(pa.int64()).to_pylist() == expected
    assert [time and time[0].value for time in read(out)["several"].to_pylist()] == expected
    assert merge(tmp_path / "again", out, base, new, key_columns=(), layout=layout).is_empty


def test_a_rebase_by_nanoseconds_replaces_the_one_row(tmp_path: Path) -> None:
    base = int96(tmp_path / "base", SECOND + 1, SECOND + 2, v=["kept", "old"])
    plan = merge(
        tmp_path / "out", base, int96(tmp_path / "new", SECOND + 2, v=["new"]), strategy="rebase", key_columns=("t",)
    )
    assert (plan.added, plan.replaced) == (1, 1)
    assert read(tmp_path / "out")["v"].to_pylist() == ["kept", "new"]


def test_far_times_stay_and_are_refused_only_beside_nanoseconds(tmp_path: Path) -> None:
    far = pa.array([datetime.datetime(9999, 12, 31), datetime.datetime(1, 1, 1)], pa.timestamp("us"))
    table = write(tmp_path / "far", {"id": [1, 2], "t": far}, use_deprecated_int96_timestamps=True)
    merge(tmp_path / "out", None, table)
    assert read(tmp_path / "out")["t"].to_pylist() == far.to_pylist()
    with pytest.raises(BadInput, match="column 't' holds 0001-01-01 00:00:00, which TIMESTAMP_NS, as in others"):
        merge(tmp_path / "no", tmp_path / "out", int96(tmp_path / "new", SECOND + 1, id=[3]))
    options = {"use_deprecated_int96_timestamps": True, "use_dictionary": False}
    both = write(tmp_path / "both", {"id": [1, 2], "t": far}, **options)
    content = both.read_bytes()
    assert content.count(julian(1_721_426, 0)) >= 1, "the year 1"
    both.write_bytes(content.replace(julian(1_721_426, 0), julian(2_440_588, 1)))  # 1970-01-01, and a nanosecond
    with pytest.raises(
        BadInput, match="both: of the times in t some have nanoseconds, others lie beyond 1677 to 2262"
    ) as refused:
        merge(tmp_path / "no", None, both)
    assert refused.value.remedy == "split the column in two" and not (tmp_path / "no").exists()
    exact = pa.array([1, None], NS)
    split = write(tmp_path / "split", {"id": [1, 2], "t": exact, "far": far}, use_deprecated_int96_timestamps=True)
    with pytest.raises(BadInput, match="of the times in t, far some have nanoseconds"):
        merge(tmp_path / "no", None, split)
    merge(tmp_path / "yes", None, write(tmp_path / "split", {"id": [1, 2], "t": exact, "far": far}))
    assert read(tmp_path / "yes")["t"].cast(pa.int64()).to_pylist() == [1, None]


@pytest.mark.parametrize("unit", ["ms", "us"])
def test_times_of_format_1_are_in_utc(tmp_path: Path, unit: str) -> None:
    when = pa.array([1_700_000_000_123], pa.timestamp("ms", "UTC")).cast(pa.timestamp(unit, "UTC"))
    old = without_logical_type(write(tmp_path / "old", {"id": [1], "t": when}, store_schema=False), "t")
    assert merge(tmp_path / "out", None, old).rows == 1
    assert read(tmp_path / "out")["t"].to_pylist() == when.to_pylist() == pq.read_table(old)["t"].to_pylist()
    new = write(tmp_path / "new", {"id": [2], "t": when})
    merge(tmp_path / "both", new, old)
    assert read(tmp_path / "both")["t"].to_pylist() == when.to_pylist() * 2
    assert merge(tmp_path / "again", tmp_path / "both", old, new).is_empty


def test_types_that_only_newer_readers_know_arrive_as_such(tmp_path: Path) -> None:
    table = {
        "text": pa.array(["Straße", None]),
        "large": pa.array([2**63 + 5, 1], pa.uint64()),
        "tiny": pa.array([-1, 7], pa.int8()),
        "price": pa.array([decimal.Decimal("1.25"), None], pa.decimal128(10, 2)),
        "day": pa.array([datetime.date(2026, 3, 1), None]),
    }
    odd = without_converted_type(write(tmp_path / "odd", table, store_schema=False), *table)
    kinds = [kind for _, kind, *_ in duckdb.sql(f"DESCRIBE FROM read_parquet('{odd}')").fetchall()]
    assert kinds == ["BLOB", "BIGINT", "INTEGER", "BLOB", "INTEGER"], "what DuckDB makes of it"
    plan = merge(tmp_path / "out", write(tmp_path / "base", table), odd, key_columns=())
    assert (plan.added, plan.present) == (0, 2)
    merge(tmp_path / "alone", None, odd, key_columns=())
    for merged in (read(tmp_path / "out"), read(tmp_path / "alone")):
        assert merged.to_pydict() == pa.table(table).to_pydict()
        assert merged.schema.types == [column.type for column in table.values()]


def test_types_that_pyarrow_would_lose_are_refused_beside_them(tmp_path: Path) -> None:
    month = pa.array([struct.pack("<3i", 1, 0, 0)], pa.binary(12))
    table = {"id": [1], "t": pa.array([SECOND + 1], NS), "i": month}

    def odd(name: str, old_times: bool) -> Path:
        file = write(tmp_path / name, table, use_deprecated_int96_timestamps=old_times)
        return rewrite(file, lambda footer: footer.replace(b"\x18\x01i\x00", b"\x18\x01i\x25\x2a\x00"))  # INTERVAL

    with pytest.raises(BadInput, match="odd: INTERVAL cannot be read beside INT96") as refused:
        merge(tmp_path / "out", None, odd("odd", old_times=True))
    assert not (tmp_path / "out").exists()
    assert refused.value.remedy == "write the file anew, with times as TIMESTAMP, not as INT96"
    assert merge(tmp_path / "out", None, odd("odd", old_times=False)).rows == 1
    assert duckdb.sql(f"SELECT i = INTERVAL 1 MONTH FROM read_parquet('{tmp_path}/out')").fetchall() == [(True,)]


def test_coarser_times_widen_to_finer_ones(tmp_path: Path) -> None:
    for unit in ("s", "ms", "us"):
        base = write(tmp_path / f"base-{unit}", {"id": [1], "t": pa.array([7], pa.timestamp(unit))})
        new = write(tmp_path / "new", {"id": [2], "t": pa.array([SECOND + 1], NS)})
        for one, other in ((base, new), (new, base)):
            merge(out := tmp_path / f"out-{unit}-{one.name}", one, other)
            times = read(out)["t"]
            assert times.type == NS
            expected = {7 * {"s": 10**9, "ms": 10**6, "us": 10**3}[unit], SECOND + 1}
            assert set(times.cast(pa.int64()).to_pylist()) == expected


def wrong_footer(path: Path, **columns: Any) -> Path:
    """A file whose footer says that its smallest `k` is the second."""
    keys = [0x1122334455667788 + step for step in range(8)]
    write(path, {"k": keys, **columns}, use_dictionary=False, store_schema=False)
    return rewrite(path, lambda footer: footer.replace(struct.pack("<q", keys[0]), struct.pack("<q", keys[1])))


def test_wrong_minima_in_a_footer_hide_no_row(tmp_path: Path) -> None:
    base = wrong_footer(tmp_path / "base", y=["old"] * 8)
    first = 0x1122334455667788
    assert duckdb.sql(f"SELECT count(*) FROM read_parquet('{base}') WHERE k = {first}").fetchall() == [(0,)], (
        "what DuckDB makes of it"
    )
    assert merge(tmp_path / "same", base, base, key_columns=()).present == 8
    new = write(tmp_path / "new", {"k": [first], "y": ["new"]})
    plan = merge(tmp_path / "out", base, new, strategy="rebase", key_columns=("k",))
    assert (plan.added, plan.replaced, plan.rows) == (1, 1, 8)
    assert read(tmp_path / "out").to_pydict()["y"] == ["old"] * 7 + ["new"]
    floating = write(tmp_path / "floating", {"k": [0.5], "y": ["x"]})
    with pytest.raises(BadInput, match=f"column 'k' holds {first}, which DOUBLE"):
        merge(tmp_path / "no", floating, base, key_columns=("y",))


def test_a_geometry_keeps_its_coordinates_and_their_system(tmp_path: Path) -> None:
    crs = '{"type":"GeographicCRS","name":"WGS 84","id":{"authority":"EPSG","code":4326}}'
    for name, kind in (("plain", "GEOMETRY"), ("crs", f"GEOMETRY('{crs}')")):
        file, out = tmp_path / name, tmp_path / f"{name}-out"
        point = f"SELECT 1 AS id, 'POINT(1 2)'::{kind} AS g"
        duckdb.sql(f"COPY ({point}) TO '{file}' (FORMAT parquet, GEOPARQUET_VERSION 'NONE')")
        merge(out, None, file)
        assert merge(tmp_path / f"{name}-again", out, file).is_empty
        [(_, kind_before), (_, kind_after)] = [
            duckdb.sql(f"SELECT column_name, column_type FROM (DESCRIBE FROM read_parquet('{path}'))").fetchall()[1]
            for path in (file, out)
        ]
        assert kind_after == kind_before and (name == "plain") == ("WGS" not in kind_after)
        assert read(out)["g"].to_pylist() == read(file)["g"].to_pylist()


def test_variants_keep_their_types(tmp_path: Path) -> None:
    values = "5::VARIANT, '5'::VARIANT, 5.0::DOUBLE::VARIANT, {'a': [1, NULL]}::VARIANT"
    file, out = tmp_path / "file", tmp_path / "out"
    duckdb.sql(f"COPY (SELECT unnest([{values}]) AS v) TO '{file}' (FORMAT parquet)")
    assert merge(out, None, file, key_columns=()).rows == 4
    kinds = "SELECT variant_typeof(v), v::VARCHAR FROM read_parquet('{}') ORDER BY ALL"
    assert duckdb.sql(kinds.format(out)).fetchall() == duckdb.sql(kinds.format(file)).fetchall()
    assert merge(tmp_path / "again", out, file, key_columns=()).is_empty


@pytest.mark.parametrize("junk", [b"\x1f", b"\x15\x02\x19\xff", b"\xff" * 40])
def test_a_footer_that_says_nothing_is_said_to_be_damaged(tmp_path: Path, junk: bytes) -> None:
    """DuckDB's own words end with a byte there that nobody can print."""
    file = tmp_path / "a.parquet"
    file.write_bytes(b"PAR1" + junk + len(junk).to_bytes(4, "little") + b"PAR1")
    with open_engine() as engine, pytest.raises(BadInput, match="its metadata are damaged") as caught:
        read_schemas(engine, [file])
    assert caught.value.problem == f"{file} is not a readable parquet file: its metadata are damaged"
    assert caught.value.remedy == f"replace or remove {file}"
