"""What pandas and Arrow know of a table beyond parquet's own types comes through a merge: nobody's dtypes change by accumulating."""

from __future__ import annotations

import datetime
import itertools
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from baked_projects import SOURCE

from lineage.core.errors import BadInput
from lineage.extras.git_merge.three_way_files import merge_three_data_files
from lineage.merge.data import merge_data
from lineage.merge.rules import Rules


def frame(*ids: int, categories: str = "ab", **more: Any) -> pd.DataFrame:
    """What pandas has and parquet has not: categories, durations, zones, whole numbers with NULL, an index."""
    columns = {
        "id": list(ids),
        "kind": pd.Categorical([categories[number % len(categories)] for number in ids]),
        "took": pd.to_timedelta(list(ids), unit="s"),
        "at": pd.to_datetime([f"2026-03-29 0{number}:30" for number in ids], utc=True)
        .as_unit("us")  # DuckDB 1, which Python 3.10 gets, keeps times with a zone to the microsecond
        .tz_convert("Europe/Berlin"),
        "count": pd.array([None, *ids[1:]], dtype="Int64"),
        "sure": pd.array([True, *[None] * (len(ids) - 1)], dtype="boolean"),
        **more,
    }
    return pd.DataFrame(columns, index=pd.Index([f"row-{number}" for number in ids], name="row"))


def write(path: Path, table: pd.DataFrame | pa.Table) -> Path:
    if isinstance(table, pd.DataFrame):
        table.to_parquet(path)
    else:
        pq.write_table(table, path)
    return path


def merge(out: Path, base: Path | None, *sources: Path, strategy: str = "merge") -> pd.DataFrame:
    out.unlink(missing_ok=True)
    merge_data([base] if base else [], sources, out, Rules(strategy, ("id",)), "data")
    return pd.read_parquet(out)


def test_a_table_of_pandas_comes_back_as_pandas_had_it(tmp_path: Path) -> None:
    base, new = frame(1, 2, 3), frame(4, 5, categories="abc")
    files = [write(tmp_path / f"{name}.parquet", table) for name, table in (("base", base), ("new", new))]
    whole = pd.concat([base, new])
    whole["kind"] = whole["kind"].astype(pd.CategoricalDtype(["a", "b", "c"]))
    merged = merge(tmp_path / "out.parquet", *files)
    merged["kind"] = merged["kind"].cat.reorder_categories(["a", "b", "c"])  # their order is that of the rows
    pd.testing.assert_frame_equal(merged, whole)


def test_a_column_of_nothing(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{number}.parquet", pd.DataFrame({"id": [number], "v": [None]})) for number in (1, 2)]
    merged = merge(tmp_path / "out.parquet", *files)
    assert list(merged.columns) == ["id", "v"] and merged["v"].isna().all()


def test_a_second_merge_keeps_what_the_first_one_wrote(tmp_path: Path) -> None:
    files = [
        write(tmp_path / f"{name}.parquet", frame(*ids)) for name, ids in (("a", (1, 2)), ("b", (3, 4)), ("c", (5,)))
    ]
    merge(tmp_path / "first.parquet", None, *files[:2])
    merged = merge(tmp_path / "second.parquet", tmp_path / "first.parquet", files[2])
    expected = pd.concat([frame(1, 2), frame(3, 4), frame(5)])
    pd.testing.assert_frame_equal(merged.astype({"kind": str}), expected.astype({"kind": str}))
    assert merged["kind"].dtype == "category"


def test_a_rebase_keeps_types_and_index(tmp_path: Path) -> None:
    base, new = frame(1, 2, 3), frame(2, categories="z")
    files = [write(tmp_path / f"{name}.parquet", table) for name, table in (("base", base), ("new", new))]
    merged = merge(tmp_path / "out.parquet", *files, strategy="rebase")
    assert merged.index.tolist() == ["row-1", "row-3", "row-2"]
    pd.testing.assert_series_equal(merged.dtypes.astype(str), base.dtypes.astype(str))
    assert merged["kind"].tolist() == ["b", "b", "z"]


def test_an_index_without_a_name_does_not_become_a_feature(tmp_path: Path) -> None:
    left, right = (pd.DataFrame({"id": ids, "x": [0.5] * 3}) for ids in ([1, 2, 3], [4, 5, 6]))
    files = []
    for name, table in (("l", left), ("r", right)):
        even = table[table.id % 2 == 0]
        even = even.set_axis(pd.Index(list(even.index), dtype="int64"))  # pandas 3 would note it as a range
        files.append(write(tmp_path / f"{name}.parquet", even))
    merged = merge(tmp_path / "out.parquet", *files)
    assert list(merged.columns) == ["id", "x"]
    assert merged.index.tolist() == [1, 0, 2]


def test_the_range_of_the_base_is_not_that_of_the_whole(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{ids[0]}.parquet", pd.DataFrame({"id": ids})) for ids in ([1, 2], [2, 3], [1, 2])]
    assert merge(tmp_path / "out.parquet", *files[:2]).index.tolist() == [0, 1, 2]
    shifted = write(tmp_path / "shifted.parquet", pd.DataFrame({"id": [1, 2]}, index=pd.RangeIndex(7, 9)))
    assert merge(tmp_path / "out.parquet", shifted, files[2]).index.tolist() == [0, 1]


def test_new_columns_and_wider_ones_do_not_spoil_the_others(tmp_path: Path) -> None:
    base, new = frame(1, 2, count=[1, 2]), frame(3, 4, extra=pd.array([None, 7], dtype="Int32"), count=[0.5, 1.5])
    files = [write(tmp_path / f"{name}.parquet", table) for name, table in (("base", base), ("new", new))]
    merged = merge(tmp_path / "out.parquet", *files)
    assert merged["count"].tolist() == [1.0, 2.0, 0.5, 1.5]
    assert merged["extra"].astype(object).where(merged["extra"].notna(), None).tolist() == [None, None, None, 7]
    kept = base.dtypes.astype(str).drop("count")
    pd.testing.assert_series_equal(merged.dtypes.astype(str)[kept.index], kept)
    assert merged.index.name == "row"


@pytest.mark.filterwarnings("ignore:The DataFrame has column names of mixed type")
def test_labels_that_are_no_text_and_a_new_column_beside_them(tmp_path: Path) -> None:
    files = [write(tmp_path / "base.parquet", pd.DataFrame({"id": [1], 0: [0.5]}))]
    files.append(write(tmp_path / "new.parquet", pd.DataFrame({"id": [2], 0: [1.5], "extra": ["x"]})))
    merged = merge(tmp_path / "out.parquet", *files)
    assert [tuple(row) for row in merged.fillna("-").itertuples(index=False)] == [(1, 0.5, "-"), (2, 1.5, "x")]


def test_labels_of_several_levels(tmp_path: Path) -> None:
    labels = pd.MultiIndex.from_tuples([("id", 0), ("id", 1)])
    files = [write(tmp_path / f"{number}.parquet", pd.DataFrame([[number, 5]], columns=labels)) for number in range(2)]
    merge_data(files[:1], files[1:], tmp_path / "out", Rules("merge"), "data")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out"), pd.DataFrame([[0, 5], [1, 5]], columns=labels))


def test_the_first_file_that_has_a_column_says_its_type(tmp_path: Path) -> None:
    category = write(tmp_path / "a.parquet", pa.table({"id": [1], "v": pa.array(["x"]).dictionary_encode()}))
    plain = write(tmp_path / "b.parquet", pa.table({"id": [2], "v": ["y"]}))
    pairs = write(tmp_path / "c.parquet", pa.table({"id": [3], "w": pa.array([[1, 2]], pa.list_(pa.int64(), 2))}))
    triple = write(tmp_path / "d.parquet", pa.table({"id": [4], "w": [[1, 2, 3]]}))
    merge(out := tmp_path / "out.parquet", category, plain, pairs, triple)
    of_any_length = pa.list_(pa.field("element", pa.int64()))
    assert pq.read_schema(out).types == [pa.int64(), pa.dictionary(pa.int32(), pa.string()), of_any_length]
    assert pq.read_table(out).to_pydict() == {
        "id": [1, 2, 3, 4],
        "v": ["x", "y", None, None],
        "w": [None, None, [1, 2], [1, 2, 3]],
    }
    merge(out, plain, category)
    assert pq.read_schema(out).field("v").type == pa.string()


@pytest.mark.parametrize(("index", "many"), [(pa.int8(), 120), (pa.int16(), 30_000)], ids=str)
@pytest.mark.parametrize("nested", [False, True], ids=["column", "nested"])
def test_more_categories_than_any_one_file_can_count(
    tmp_path: Path, index: pa.DataType, many: int, nested: bool
) -> None:
    """An index of 8 bits counts 128 categories; a hint at it makes the whole column unreadable."""
    files = []
    for first in (0, many):
        ids = range(first, first + many)
        column = pa.array([f"word-{number}" for number in ids]).cast(pa.dictionary(index, pa.string()))
        column = pa.StructArray.from_arrays([column], ["word"]) if nested else column
        files.append(write(tmp_path / f"{first}.parquet", pa.table({"id": ids, "v": column})))
    merge(out := tmp_path / "out.parquet", *files)
    words = [f"word-{number}" for number in range(2 * many)]
    assert pq.read_table(out)["v"].to_pylist() == ([{"word": word} for word in words] if nested else words)
    assert polars.read_parquet(out)["v"].n_unique() == 2 * many


def test_ordered_categories_claim_no_order_that_they_have_not(tmp_path: Path) -> None:
    kind = pd.CategoricalDtype(["low", "mid", "high"], ordered=True)
    tables = [pd.DataFrame({"id": ids, "x": pd.Series(x, dtype=kind)}) for ids, x in (([1], ["high"]), ([2], ["low"]))]
    merged = merge(tmp_path / "out.parquet", *(write(tmp_path / f"{n}.parquet", t) for n, t in enumerate(tables)))
    assert merged["x"].tolist() == ["high", "low"]
    assert str(merged["x"].dtype) in ("object", "str"), "text, as pandas 2 or 3 calls it"
    assert merged["x"].astype(kind).max() == "high", "the user's own order can be given again"


def test_the_first_merge_and_the_second_say_the_same(tmp_path: Path) -> None:
    """DuckDB stores seconds and milliseconds as microseconds; that is no other type."""
    files = []
    for number in range(1, 5):
        days = pd.date_range(f"2026-01-0{number}", periods=1, unit="ms", tz="Europe/Berlin", name="day")
        files.append(write(tmp_path / f"{number}.parquet", pd.DataFrame({"id": [number], "at": days}, index=days)))
    merge(tmp_path / "first", *files[:2])
    merge(tmp_path / "second", tmp_path / "first", files[2])
    third = merge(tmp_path / "third", tmp_path / "second", files[3])
    assert str(third.index.dtype) == str(third["at"].dtype) == "datetime64[us, Europe/Berlin]"
    assert third.index.name == "day" and third.index.tolist() == third["at"].tolist()


def test_nested_durations_can_be_merged_again(tmp_path: Path) -> None:
    kind = pa.struct({"took": pa.duration("us"), "at": pa.timestamp("ms"), "pair": pa.list_(pa.int8(), 2)})
    value = {"took": datetime.timedelta(1), "at": datetime.datetime(2026, 1, 1), "pair": [1, 2]}
    files = [
        write(tmp_path / f"{number}.parquet", pa.table({"id": [number], "duration": pa.array([value], kind)}))
        for number in range(3)
    ]
    merge(tmp_path / "first", *files[:2])
    merge(tmp_path / "second", tmp_path / "first", files[2])
    assert pq.read_table(tmp_path / "second")["duration"].to_pylist() == [value] * 3


def test_notes_of_later_files_count_for_columns_of_their_own(tmp_path: Path) -> None:
    base = write(tmp_path / "base.parquet", pd.DataFrame({"ID": [1, 2]}))
    batch = pd.DataFrame({"id": [3, 4, 5], "n": pd.array([None, 2**53 + 1, 7], dtype="Int64")}).iloc[:2]
    batch.index = pd.Index([8, 9])
    merged = merge(tmp_path / "out.parquet", base, write(tmp_path / "batch.parquet", batch))
    assert merged["n"].dtype == "Int64" and merged["n"].iloc[3] == 2**53 + 1
    assert list(merged.columns) == ["ID", "n"], "an index without a name is no column"


def test_types_of_pandas_itself_by_hand(tmp_path: Path) -> None:
    """The command does not load pandas, whose own types Arrow knows only with it."""
    for number in (1, 2):
        months = pd.PeriodIndex([f"2026-0{number}"], freq="M", name="month")
        spans = pd.arrays.IntervalArray.from_tuples([(0.0, float(number))])
        write(tmp_path / f"{number}.parquet", pd.DataFrame({"id": [number], "span": spans}, index=months))
    words = ["--strategy", "merge", "--key-columns", "id", "--base-data", "1.parquet", "--exp-data", "2.parquet"]
    script = [sys.executable, "-B", SOURCE / "scripts/merge_artifacts.py", *words, "--output-data", "out.parquet"]
    subprocess.run(script, cwd=tmp_path, check=True, capture_output=True)
    merged = pd.read_parquet(tmp_path / "out.parquet")
    assert (str(merged.index.dtype), str(merged["span"].dtype)) == ("period[M]", "interval[float64, right]")
    assert merged.index.astype(str).tolist() == ["2026-01", "2026-02"]
    assert merged["span"].iloc[1] == pd.Interval(0.0, 2.0)


NOTES = [
    b"",
    b"not json",
    b"\xff\xfe",
    b"null",
    b"{}",
    b"[]",
    b'{"columns": null}',
    b'{"columns": [{}], "index_columns": []}',
]
NOTES += [b'{"columns": [], "index_columns": null, "column_indexes": null}']


@pytest.mark.parametrize("note", NOTES)
def test_notes_that_pandas_did_not_write(tmp_path: Path, note: bytes) -> None:
    broken = write(tmp_path / "a.parquet", pa.table({"id": [1]}).replace_schema_metadata({b"pandas": note}))
    whole = write(tmp_path / "b.parquet", pd.DataFrame({"id": [2], "n": pd.array([None], dtype="Int64")}))
    for pair in ((broken, whole), (whole, broken)):
        merged = merge(tmp_path / "out.parquet", *pair)
        assert sorted(merged["id"]) == [1, 2] and merged["n"].dtype == "Int64"


def test_metadata_that_arrow_cannot_read(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.parquet", pd.DataFrame({"id": [1]}))
    broken = tmp_path / "b.parquet"
    duckdb.sql(f"COPY (SELECT 2 AS id) TO '{broken}' (KV_METADATA {{'ARROW:schema': 'AAAA'}})")
    with pytest.raises(BadInput, match=r"b\.parquet cannot be read by pyarrow: ") as refused:
        merge(tmp_path / "out.parquet", whole, broken)
    assert refused.value.remedy == "write the file anew"
    duckdb.sql(f"CREATE TABLE rows AS FROM '{broken}'; COPY rows TO '{broken}'; DROP TABLE rows")
    assert sorted(merge(tmp_path / "out.parquet", whole, broken)["id"]) == [1, 2]


@pytest.mark.parametrize(
    ("other", "said"),
    [(pa.duration("ms"), "duration[ms] and duration[us]"), (pa.int64(), "duration[us] and int64")],
    ids=["other unit", "number"],
)
def test_durations_that_are_counted_differently_are_refused(tmp_path: Path, other: pa.DataType, said: str) -> None:
    base = write(tmp_path / "a.parquet", pa.table({"id": [1], "took": pa.array([5], pa.duration("us"))}))
    new = write(tmp_path / "b.parquet", pa.table({"id": [2], "took": pa.array([5], other)}))
    for pair in itertools.permutations([base, new]):
        with pytest.raises(BadInput, match=re.escape(f"column 'took' is {said}\n")) as refused:
            merge(tmp_path / "out.parquet", *pair)
        assert not (tmp_path / "out.parquet").exists()
    assert refused.value.remedy == "give the column one type in all files"
    write(new, pa.table({"id": [2], "took": pa.array([5], pa.duration("us"))}))
    assert len(merge(tmp_path / "out.parquet", base, new)) == 2


def test_the_order_of_sources_changes_no_byte(tmp_path: Path) -> None:
    frames = [frame(1, 2), frame(3, extra=["x"]), frame(4, 5).reset_index(drop=True).drop(columns="kind")]
    files = [write(tmp_path / f"{number}.parquet", table) for number, table in enumerate(frames)]
    outcomes = set()
    for order in itertools.permutations(files):
        merge(tmp_path / "out.parquet", None, *order)
        outcomes.add((tmp_path / "out.parquet").read_bytes())
    assert len(outcomes) == 1


KINDS: dict[str, tuple[pa.DataType, Any]] = {
    "category": (pa.dictionary(pa.int32(), pa.string()), "x"),
    "ordered category": (pa.dictionary(pa.int32(), pa.string(), ordered=True), "x"),
    "category of numbers": (pa.dictionary(pa.int32(), pa.int64()), 5),
    "large text": (pa.large_string(), "x"),
    "view of text": (pa.string_view(), "x"),
    "large bytes": (pa.large_binary(), b"\0"),
    "duration s": (pa.duration("s"), datetime.timedelta(seconds=5)),
    "duration ns": (pa.duration("ns"), datetime.timedelta(seconds=5)),
    "zone": (pa.timestamp("us", "America/New_York"), datetime.datetime(2026, 3, 1, tzinfo=datetime.timezone.utc)),
    "no zone": (pa.timestamp("ns"), pd.Timestamp("2026-03-01 00:00:00.000000001")),
    "day": (pa.date32(), datetime.date(2026, 3, 1)),
    "time": (pa.time64("us"), datetime.time(1, 2, 3, 4)),
    "fixed list": (pa.list_(pa.float32(), 3), [1.0, 2.0, 3.0]),
    "list of fixed lists": (pa.list_(pa.list_(pa.float32(), 1)), [[1.0]]),
    "large list": (pa.large_list(pa.int64()), [1, 2]),
    "list of categories": (pa.list_(pa.dictionary(pa.int32(), pa.string())), ["x", "y"]),
    "struct": (pa.struct({"a": pa.duration("ms"), "b": pa.string()}), {"a": datetime.timedelta(1), "b": "x"}),
    "map": (pa.map_(pa.string(), pa.int64()), [("x", 1)]),
    "decimal": (pa.decimal128(12, 3), None),
    "half": (pa.float16(), 0.5),
    "flag": (pa.bool_(), True),
    "bytes of one size": (pa.binary(4), b"abcd"),
    "nothing": (pa.null(), None),
}
ELEMENT = pa.list_(pa.field("element", pa.float32()))
CHANGED = {
    **({} if duckdb.__version__ >= "2" else {"nothing": pa.int32()}),
    "ordered category": pa.string(),  # whose order is not in the schema
    "fixed list": ELEMENT,  # of which pyarrow does not read a NULL, not even from a file of its own
    "list of fixed lists": pa.list_(pa.field("element", ELEMENT)),
    "category of numbers": pa.int64(),
    "half": pa.float32(),
    "bytes of one size": pa.binary(),
}
"""What parquet readers do not take from the metadata. Each value is the same."""


@pytest.mark.parametrize("kind", KINDS)
def test_types_of_arrow(tmp_path: Path, kind: str) -> None:
    arrow, value = KINDS[kind]
    for name, ids in (("a", [1, 2]), ("b", [3, 4])):
        column = pa.array([value, None], pa.float32() if kind == "half" else arrow).cast(arrow)
        write(tmp_path / f"{name}.parquet", pa.table({"id": ids, "v": column}))
    merge_data([tmp_path / "a.parquet"], [tmp_path / "b.parquet"], tmp_path / "out", Rules("merge", ("id",)), "data")
    merged, written = pq.read_table(tmp_path / "out"), pq.read_schema(tmp_path / "a.parquet")
    assert merged["v"].to_pylist() == pa.array([value, None] * 2, arrow).to_pylist()
    assert str(merged.schema.field("v").type) == str(CHANGED.get(kind, written.field("v").type))
    assert polars.read_parquet(tmp_path / "out")["v"].null_count() == (4 if value is None else 2)


def test_three_versions_of_a_file_become_one_that_keeps_its_types(tmp_path: Path) -> None:
    old, now, other = (write(tmp_path / f"{ids}.parquet", frame(*ids)) for ids in ((1, 2), (1, 2, 3), (1, 4)))
    assert merge_three_data_files([now, other, old], tmp_path / "new.parquet", (), "data") == []
    new = pd.read_parquet(tmp_path / "new.parquet")
    pd.testing.assert_frame_equal(new, frame(1, 3, 4), check_categorical=False)


def test_files_without_such_types_get_none_and_cost_nothing(tmp_path: Path) -> None:
    for name, first in (("a", 0), ("b", 5)):
        duckdb.sql(f"COPY (SELECT range AS id FROM range({first}, {first + 5})) TO '{tmp_path}/{name}.parquet'")
    code = (
        "import sys; from pathlib import Path; from lineage.merge.data import merge_data; from lineage.merge.rules import Rules;"
        "merge_data([Path('a.parquet')], [Path('b.parquet')], Path('out'), Rules('merge', ('id',)), 'data');"
        "print('pyarrow' in sys.modules)"
    )
    words = [sys.executable, "-B", "-c", code]
    done = subprocess.run(
        words, cwd=tmp_path, env={"PYTHONPATH": str(SOURCE / "scripts")}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
    assert pq.read_schema(tmp_path / "out").metadata is None
