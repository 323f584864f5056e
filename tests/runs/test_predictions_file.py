"""Files of predictions: every value as `evaluate()` gave it, and the same frame gives the same bytes."""

from __future__ import annotations

import datetime
import decimal
import math
import re
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from baked_projects import SOURCE
from toy_runs import md5, predictions

from lineage.core.errors import BadInput
from lineage.runs.predictions_file import check_columns, write_predictions

KEPT = {
    "64-bit integers": (pd.Series([2**63 - 1, -(2**63)]), "BIGINT", [2**63 - 1, -(2**63)]),
    "unsigned integers": (pd.Series([2**64 - 1], dtype="uint64"), "UBIGINT", [2**64 - 1]),
    "integers with a gap": (pd.Series([2**62 + 1, None], dtype="Int64"), "BIGINT", [2**62 + 1, None]),
    "truth values": (pd.Series([True, False]), "BOOLEAN", [True, False]),
    "truth values with a gap": (pd.Series([True, None], dtype=object), "BOOLEAN", [True, None]),
    "small floats": (pd.Series([0.1], dtype="float32"), "FLOAT", [float(np.float32(0.1))]),
    "infinity": (pd.Series([math.inf]), "DOUBLE", [math.inf]),
    "text with gaps": (pd.Series(["a", None, math.nan, ""], dtype=object), "VARCHAR", ["a", None, None, ""]),
    "pandas' own text": (pd.Series(["ä", None], dtype="string"), "VARCHAR", ["ä", None]),
    "categories of text": (pd.Series(["b", "a", None], dtype="category"), "VARCHAR", ["b", "a", None]),
    "categories of numbers": (pd.Series([3, 1, 3], dtype="category"), "BIGINT", [3, 1, 3]),
    "times": (pd.Series(["2026-01-01"], dtype="datetime64[ns]"), "TIMESTAMP_NS", [datetime.datetime(2026, 1, 1)]),
    "dates": (pd.Series([datetime.date(2026, 1, 1)]), "DATE", [datetime.date(2026, 1, 1)]),
    "decimals": (pd.Series([decimal.Decimal("0.10")]), "DECIMAL(2,2)", [decimal.Decimal("0.10")]),
    "bytes": (pd.Series([b"\xff\x00"]), "BLOB", [b"\xff\x00"]),
    "probabilities of each class": (pd.Series([[0.25, 0.75], [1.0]]), "DOUBLE[]", [[0.25, 0.75], [1.0]]),
}
AS_TEXT = {
    "numbers and text": (pd.Series([1, "a", 0.5, None, True], dtype=object), ["1", "a", "0.5", None, "1"]),
    "integers that no type holds": (pd.Series([2**70, 1], dtype=object), [str(2**70), "1"]),
    "integers that a float would round": (pd.Series([2**60 + 1, 0.5], dtype=object), [str(2**60 + 1), "0.5"]),
    "durations": (pd.Series(pd.to_timedelta([1, None], "s")), ["0 days 00:00:01", None]),
    "periods": (pd.Series(pd.period_range("2026-01", periods=1, freq="M")), ["2026-01"]),
    "mappings": (pd.Series([{"a": 1}, {}]), ["{'a': 1}", "{}"]),
    "paths": (pd.Series([Path("a/b")]), ["a/b"]),
    "nothing": (pd.Series([None, None], dtype=object), [None, None]),
}


def written(path: Path, frame: pd.DataFrame) -> list[dict[str, Any]]:
    write_predictions(path, "run-1", frame)
    return predictions(path)


@pytest.mark.parametrize(("values", "kind", "expected"), KEPT.values(), ids=KEPT.keys())
def test_values_keep_their_types(tmp_path: Path, values: pd.Series, kind: str, expected: list[Any]) -> None:
    found = written(tmp_path / "p.parquet", pd.DataFrame({"value": values}))
    assert found == [{"track_id": "run-1", "value": value} for value in expected]
    [described] = predictions(tmp_path / "p.parquet", "SELECT DISTINCT typeof(value) AS kind")
    assert described["kind"] == kind


@pytest.mark.parametrize(("values", "expected"), AS_TEXT.values(), ids=AS_TEXT.keys())
def test_what_no_column_of_parquet_holds_is_text(tmp_path: Path, values: pd.Series, expected: list[Any]) -> None:
    found = written(tmp_path / "p.parquet", pd.DataFrame({"value": values}))
    assert found == [{"track_id": "run-1", "value": value} for value in expected]


def test_nan_stays_nan_and_null_stays_null(tmp_path: Path) -> None:
    frame = pd.DataFrame({"score": [math.nan, 1.0], "left": pd.Series([None, 1.0], dtype="Float64")})
    first, second = written(tmp_path / "p.parquet", frame)
    assert math.isnan(first["score"]) and first["left"] is None and second["left"] == 1.0


def test_columns_and_rows_stay_in_their_order_and_the_index_is_left_out(tmp_path: Path) -> None:
    frame = pd.DataFrame({"z": [3, 1, 2], "a b": ["x", "y", "z"], "select": 0.5, 7: 1}, index=[9, 8, 7])
    found = written(tmp_path / "p.parquet", frame)
    assert list(found[0]) == ["track_id", "z", "a b", "select", "7"] and [row["z"] for row in found] == [3, 1, 2]


def test_equal_frames_are_equal_bytes_and_rows_of_a_run_take_little_room(tmp_path: Path) -> None:
    frame = pd.DataFrame({"item_id": range(100_000), "predicted": 1, "confidence": 0.5})
    for name in ("a.parquet", "b.parquet"):
        write_predictions(tmp_path / name, "20260101T120000-0a1b2c3d", frame.copy(), lineage_model="{}")
    assert md5(tmp_path / "a.parquet") == md5(tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 10 * len(frame), "the id is not stored in each row"
    codecs = duckdb.execute("SELECT DISTINCT compression FROM parquet_metadata(?)", [str(tmp_path / "a.parquet")])
    assert codecs.fetchall() == [("ZSTD",)]


def test_a_test_set_without_rows_is_a_file_without_rows(tmp_path: Path) -> None:
    frame = pd.DataFrame({"item_id": pd.Series([], dtype="int64"), "predicted": pd.Series([], dtype=object)})
    assert written(tmp_path / "p.parquet", frame) == []
    described = duckdb.execute("DESCRIBE FROM read_parquet(?)", [str(tmp_path / "p.parquet")]).fetchall()
    assert [row[:2] for row in described] == [("track_id", "VARCHAR"), ("item_id", "BIGINT"), ("predicted", "VARCHAR")]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "A"], "'a' and 'A' would be one column of predictions"),
        (["a", "a"], "'a' and 'a' would be one column of predictions"),
        (["Track_ID"], "'track_id' and 'Track_ID' would be one column of predictions"),
        ([""], "'' cannot be a column of predictions: a name must not be empty"),
        (["\ud800"], "cannot be a column of predictions: 'utf-8' codec can't encode"),
        (["a\nb"], "cannot be a column of predictions: a name must not hold control characters"),
    ],
)
def test_a_name_that_cannot_be_a_column_is_refused(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(BadInput) as caught:
        write_predictions(
            tmp_path / "p.parquet", "run-1", pd.DataFrame([[0] * len(names)], columns=pd.Index(names, dtype=object))
        )
    assert message in str(caught.value) and not (tmp_path / "p.parquet").exists()
    check_columns(["item_id", "predictions", "order", "ä ü", "val.acc"])


def test_the_lines_of_the_page_read_files_with_other_columns_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line for each of pandas, DuckDB and polars; what these make of the folder itself is wrong, as the page says."""
    monkeypatch.chdir(tmp_path)
    folder = Path("results/predictions")
    folder.mkdir(parents=True)
    write_predictions(folder / "run-1.parquet", "run-1", pd.DataFrame({"item_id": [1, 2], "predicted": [0.5, 1.0]}))
    write_predictions(
        folder / "run-2.parquet", "run-2", pd.DataFrame({"sure": [0.9], "predicted": [7], "item_id": [1]})
    )
    page = (SOURCE / "docs/runs.md").read_text(encoding="utf-8")
    lines = dict(re.findall(r"^(?:>>> )?by_(\w+) = (.*)$", page, re.MULTILINE))
    known = {"pd": pd, "pl": pl, "duckdb": duckdb, "files": sorted(folder.glob("*.parquet"))}
    frames = {name: eval(line, known) for name, line in lines.items()}
    frames |= {"duckdb": frames["duckdb"].df(), "polars": pl.DataFrame(frames["polars"]).to_pandas()}
    assert list(frames) == ["pandas", "duckdb", "polars"]
    for name, frame in frames.items():
        rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
        assert sorted(rows, key=lambda row: (row["track_id"], row["item_id"])) == [
            {"track_id": "run-1", "item_id": 1, "predicted": 0.5, "sure": None},
            {"track_id": "run-1", "item_id": 2, "predicted": 1.0, "sure": None},
            {"track_id": "run-2", "item_id": 1, "predicted": 7, "sure": 0.9},
        ], name
    assert "sure" not in pd.read_parquet(folder)
    with pytest.raises(pl.exceptions.PolarsError):
        pl.read_parquet(folder)
