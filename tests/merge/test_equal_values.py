"""What counts as equal in parquet, what becomes text, and what stays of the notes of other programs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from baked_projects import SOURCE, Project

from lineage.core.errors import BadInput, Refused
from lineage.core.params import read_params
from lineage.extras.git_merge.three_way_files import merge_three_data_files
from lineage.extras.merge_artifacts.databases import merge_databases
from lineage.merge.data import merge_data
from lineage.merge.plan import Plan
from lineage.merge.rules import Rules, rules_for_data, rules_for_results
from lineage.tables.parts import parts_of


def write(path: Path, notes: dict[str, str] | None = None, **columns: Any) -> Path:
    pq.write_table(pa.table(columns).replace_schema_metadata(notes), path)
    return path


def by_duckdb(path: Path, rows: str) -> Path:
    duckdb.sql(f"COPY ({rows}) TO '{path}' (FORMAT parquet)")
    return path


def merge(out: Path, base: Path | None, *sources: Path, **rules: Any) -> Plan:
    rules = {"strategy": "merge", **rules}
    return merge_data([base] if base else [], sources, out, Rules(**rules), "data")


def column(path: Path, name: str) -> list[Any]:
    return [value for part in parts_of(path) for value in pq.read_table(part)[name].to_pylist()]


APART = duckdb.__version__ >= "2"
"""Older ones, as Python 3.10 gets, write -0.0 as 0.0 where both occur, and so both count as one value."""

INTERVALS = {"1 month": (1, 0, 0), "30 days": (0, 30, 0), "720 hours": (0, 0, 2_592_000_000)}


@pytest.mark.parametrize("layout", ["file", "parts"])
def test_intervals_of_other_units_are_other_values(tmp_path: Path, layout: str) -> None:
    month, *others = (by_duckdb(tmp_path / name, f"SELECT 1 AS id, INTERVAL '{name}' AS i") for name in INTERVALS)
    plan = merge(out := tmp_path / "out", month, *others, layout=layout)
    assert (plan.added, plan.present) == (2, 0)
    stored = [
        struct.pack("<3i", months, days, milliseconds - (1 << 32) if milliseconds >> 31 else milliseconds)
        for months, days, milliseconds in INTERVALS.values()
    ]
    assert set(column(out, "i")) == set(stored)
    assert merge(tmp_path / "again", out, month, *others, layout=layout).is_empty
    with pytest.raises(Refused, match=r"id=1 — lineage exact: 'i 1 month' \| 'i 30 days'"):
        merge(tmp_path / "no", month, others[0], key_columns=("id",))
    assert merge(tmp_path / "rebased", month, others[0], strategy="rebase", key_columns=("id",)).replaced == 1
    assert column(tmp_path / "rebased", "i") == stored[1:2]


@pytest.mark.parametrize(
    "kind", [pa.float32(), pa.float64(), pa.list_(pa.float64()), pa.struct({"x": pa.float32()})], ids=str
)
def test_zero_with_a_sign_is_another_value(tmp_path: Path, kind: pa.DataType) -> None:
    def values(*numbers: float) -> pa.Array:
        if pa.types.is_list(kind):
            return pa.array([[number, 1.5] for number in numbers], kind)
        return pa.array([{"x": number} for number in numbers] if pa.types.is_struct(kind) else numbers, kind)

    both = write(tmp_path / "both", v=values(0.0, -0.0))
    assert merge(tmp_path / "out", None, both).rows == 2
    plan = merge(out := tmp_path / "more", write(tmp_path / "one", v=values(0.0)), both, both)
    assert (plan.added, plan.present) == (1, 3)
    assert sorted(map(str, column(out, "v"))) == sorted(map(str, values(0.0, -0.0 if APART else 0.0).to_pylist()))
    assert merge(tmp_path / "again", out, both).is_empty
    old, new = (write(tmp_path / f"{sign}", id=[1], v=values(sign)) for sign in (0.0, -0.0))
    plan = merge(tmp_path / "dry", old, new, key_columns=("id",), dry_run=True)
    assert (plan.conflicts, plan.present) == ((1, 0) if APART else (0, 1))


def test_nan_is_nan_whatever_its_bits(tmp_path: Path) -> None:
    bits = [0x7FF8000000000000, 0x7FF8000000000001, 0xFFF8000000000000]
    files = [write(tmp_path / f"{one:x}", v=pa.array([one], pa.uint64()).view(pa.float64())) for one in bits]
    assert merge(tmp_path / "out", *files).present == 2


def test_git_merge_keeps_rows_apart_and_refuses_cells_that_it_cannot_compare(tmp_path: Path) -> None:
    old, ours, theirs = (
        write(tmp_path / name, v=values)
        for name, values in {"old": [1.0], "ours": [1.0, 0.0], "theirs": [1.0, -0.0]}.items()
    )
    assert merge_three_data_files([ours, theirs, old], tmp_path / "out", (), "data") == []
    assert list(map(str, column(tmp_path / "out", "v"))) == ["1.0", "0.0", *(["-0.0"] if APART else [])]
    sides = [by_duckdb(tmp_path / name, f"SELECT 1 AS id, INTERVAL '{name}' AS i") for name in INTERVALS]
    with pytest.raises(BadInput, match="column 'i' is INTERVAL, of which cells cannot be compared"):
        merge_three_data_files(sides, tmp_path / "no", ("id",), "data")


@pytest.mark.slow
def test_cast_text_is_the_same_in_every_time_zone(tmp_path: Path) -> None:
    write(tmp_path / "text", id=[1], v=["n/a"])
    write(tmp_path / "time", id=[2], v=pa.array([1_700_000_000_000_000], pa.timestamp("us", "UTC")))
    words = [
        "--strategy",
        "merge",
        "--cast",
        "text",
        "--key-columns",
        "id",
        "--base-data",
        "text",
        "--exp-data",
        "time",
    ]
    made = set()
    for zone in ("UTC", "Asia/Tokyo"):
        script = [sys.executable, "-B", SOURCE / "scripts/merge_artifacts.py", *words, "--output-data", "out"]
        subprocess.run(script, cwd=tmp_path, check=True, capture_output=True, env={**os.environ, "TZ": zone})
        assert column(tmp_path / "out", "v") == ["n/a", "2023-11-14 22:13:20+00"]
        made.add(hashlib.md5((tmp_path / "out").read_bytes()).hexdigest())
        (tmp_path / "out").unlink()
    assert len(made) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("'Grüße'", "encode('Straße')"),
        ("1.10::DECIMAL(10,2)", "2.345::DECIMAL(12,3)"),
        ("'x'", "[1, 2]"),
        ("1", "true"),
    ],
)
def test_no_remedy_is_named_that_changes_nothing(tmp_path: Path, one: str, other: str) -> None:
    files = [by_duckdb(tmp_path / name, f"SELECT 1 AS id, {value} AS v") for name, value in (("a", one), ("b", other))]
    said = set()
    for cast_text in (False, True):
        with pytest.raises(BadInput, match="column 'v' is") as raised:
            merge(tmp_path / "no", *files, key_columns=("id",), cast_text=cast_text)
        said.add(str(raised.value).partition("→ ")[2])
    assert said == {"give the column one type in all files"}
    by_duckdb(files[1], f"SELECT 2 AS id, {one} AS v")
    merge(tmp_path / "out", *files, key_columns=("id",))
    assert column(tmp_path / "out", "id") == [1, 2]


def test_in_the_pipeline_the_remedy_is_a_key_of_params(baked: Project, tmp_path: Path) -> None:
    params = Path(shutil.copy(baked.path / "params.yaml", tmp_path))
    base, new = write(tmp_path / "a", id=[1], v=[0.5]), write(tmp_path / "b", id=[2], v=["n/a"])
    section = read_params(params).merge
    with pytest.raises(BadInput, match="--cast text"):
        merge(tmp_path / "no", base, new, key_columns=("id",))
    with pytest.raises(BadInput) as raised:
        merge_data([base], [new], tmp_path / "no", rules_for_data(section), "data")
    commands = {str(raised.value).partition(", or: ")[2]}
    databases = []
    for name, kind, value in (("a.db", "REAL", 0.5), ("b.db", "TEXT", "n/a")):
        databases.append(tmp_path / name)
        with closing(sqlite3.connect(databases[-1])) as connection, connection:
            connection.execute(f"CREATE TABLE metrics (track_id TEXT PRIMARY KEY, v {kind})")
            connection.execute("INSERT INTO metrics VALUES (?, ?)", (name, value))
    with pytest.raises(BadInput) as raised:
        merge_databases(databases[0], databases[1:], tmp_path / "no.db", rules_for_results(section))
    commands.add(str(raised.value).partition(", or: ")[2])
    [command] = commands
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    section = read_params(params).merge
    merge_data([base], [new], tmp_path / "out", rules_for_data(section), "data")
    assert column(tmp_path / "out", "v") == ["0.5", "n/a"]
    [plan] = merge_databases(databases[0], databases[1:], tmp_path / "out.db", rules_for_results(section))
    assert plan.added == 1
    stages = (baked.path / "dvc.yaml").read_text()
    assert stages.count("- merge.cast\n") == 2, "both merges run again when the key changes"


GEO = {
    "version": "1.1.0",
    "primary_column": "g",
    "columns": {"g": {"encoding": "WKB", "geometry_types": ["Point"], "crs": {"id": 1}, "bbox": [0, 0, 1, 1]}},
}


@pytest.mark.parametrize("layout", ["file", "parts"])
def test_notes_on_which_all_files_agree_stay_and_others_are_named(tmp_path: Path, layout: str) -> None:
    point = b"\x01\x01\x00\x00\x00" + b"\x00" * 16
    other = {**GEO, "columns": {"g": {**GEO["columns"]["g"], "geometry_types": ["Polygon"], "bbox": [5.5, 5, 6, 6]}}}
    labels = {"huggingface": json.dumps({"info": {"features": {"label": {"names": ["cat", "dog"]}}}})}
    base = write(tmp_path / "a", {**labels, "geo": json.dumps(GEO), "unit": "m", "ours": "x"}, id=[1], g=[point])
    new = write(tmp_path / "b", {**labels, "geo": json.dumps(other), "unit": "km"}, id=[2], g=[point])
    plan = merge(out := tmp_path / "out", base, new, key_columns=("id",), layout=layout)
    assert plan.line().endswith(", metadata left out, since files differ: ours, unit")
    for part in parts_of(out):
        notes = pq.read_schema(part).metadata
        assert notes.keys() - {b"lineage_sources"} == {b"geo", b"huggingface"}
        assert notes[b"huggingface"].decode() == labels["huggingface"]
        geo = json.loads(notes[b"geo"])
        assert geo["columns"] == {"g": {"encoding": "WKB", "geometry_types": [], "crs": {"id": 1}}}
        assert {key.decode() for key in pq.read_metadata(part).metadata} >= {"geo", "huggingface"}, "for all readers"
    assert column(out, "g") == [point, point]
    again = merge(tmp_path / "again", out, out, key_columns=("id",), layout=layout)
    assert again.is_empty and not again.lost_notes
    assert {part.name for part in parts_of(tmp_path / "again")} == {
        part.name for part in parts_of(out)
    } or layout == "file"


def test_what_pandas_noted_counts_without_arrows_schema(tmp_path: Path) -> None:
    """As fastparquet writes it."""
    frame = pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}, index=pd.Index(["r1", "r2"], name="row"))
    table = pa.Table.from_pandas(frame)
    with pq.ParquetWriter(tmp_path / "a", table.schema, store_schema=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"pandas": table.schema.metadata[b"pandas"].decode()})
    merge(tmp_path / "out", None, tmp_path / "a")
    merged = pd.read_parquet(tmp_path / "out")
    assert merged.index.tolist() == ["r1", "r2"] and merged.index.name == "row"
    assert str(merged["a"].dtype) == "Int64" and merged["a"].isna().tolist() == [False, True]


def test_flags_with_null_and_small_numbers_after_floating_point_read_as_the_base(tmp_path: Path) -> None:
    base = tmp_path / "a"
    pd.DataFrame({"id": [1], "flag": [True], "n": [0.5]}).to_parquet(base)
    pd.DataFrame({"id": [2], "n": pd.array([7], dtype="Int16")}).to_parquet(tmp_path / "b")
    merge(tmp_path / "out", base, tmp_path / "b", key_columns=("id",))
    merged = pd.read_parquet(tmp_path / "out")
    assert merged["flag"].tolist() == [True, None] and str(merged["n"].dtype) == "float64"
    assert merged["n"].tolist() == [0.5, 7.0]
