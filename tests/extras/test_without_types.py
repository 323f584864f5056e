"""Without the extras for them, files of other forms and types are refused by name, and plain ones are merged the same."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from baked_projects import SOURCE

SCRIPTS = SOURCE / "scripts"
PLAIN = {
    "id": [1, 2],
    "x": [0.5, None],
    "s": ["a", None],
    "flag": [True, False],
    "n": pd.array([1, 2], dtype="int32"),
    "at": pd.to_datetime(["2026-01-01 00:00:00.0", "2026-01-02 03:04:05.6"]),
    "utc": pd.to_datetime(["2026-01-01", "2026-01-02"], utc=True),
}


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of a project that has neither extra."""
    scripts = tmp_path_factory.mktemp("without") / "scripts"
    shutil.copytree(
        SCRIPTS,
        scripts,
        ignore=shutil.ignore_patterns("__pycache__", "formats", "arrow_types", "sqlite_features", "cast_text"),
    )
    return scripts


def merged(
    scripts: Path,
    kind: str,
    *sources: Path,
    code: int = 0,
    base: Path | None = None,
    options: Sequence[str] = (),
) -> str:
    """Merge files by hand, into nothing or a base; what the command printed. The output is there if that went well."""
    output = sources[0].parent / "out"
    output.unlink(missing_ok=True)
    words = ["--strategy", "merge", f"--exp-{kind}", *map(str, sources), f"--output-{kind}", str(output)]
    words += ["--key-columns", "id"] if kind == "data" else []
    words += [f"--base-{kind}", str(base)] if base else []
    words += options
    command = [sys.executable, "-B", scripts / "merge_artifacts.py", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=output.parent)
    assert done.returncode == code, done.stdout + done.stderr
    assert output.exists() == (code == 0)
    return done.stdout + done.stderr


def refused(scripts: Path, kind: str, file: Path, extra: str) -> None:
    module = f"No module named 'lineage.extras.{extra}'"
    expected = f"error: {file} asks for an extra that is not here: {module}\n  → make setup EXTRAS={extra}\n"
    assert merged(scripts, kind, file, code=2) == expected


@pytest.mark.slow
def test_plain_columns_are_read_the_same_with_the_extra_and_without(tmp_path: Path, without: Path) -> None:
    frame = pd.DataFrame(PLAIN)
    frame.to_parquet(tmp_path / "pandas.parquet")
    polars.from_pandas(frame.assign(id=[3, 4])).write_parquet(tmp_path / "polars.parquet")
    pq.write_table(pa.Table.from_pandas(frame.assign(id=[5, 6]), preserve_index=False), tmp_path / "arrow.parquet")
    duckdb.sql(f"COPY (SELECT 7 AS id, 1.5::DOUBLE AS x) TO '{tmp_path}/duckdb.parquet'")
    files = [tmp_path / f"{name}.parquet" for name in ("pandas", "polars", "arrow", "duckdb")]
    frames = []
    for scripts in (SCRIPTS, without):
        merged(scripts, "data", *files)
        frames.append(pd.read_parquet(tmp_path / "out"))
    pd.testing.assert_frame_equal(*frames)
    assert frames[0]["id"].tolist() == list(range(1, 8)) and str(frames[0]["utc"].dtype).endswith("UTC]")


BEYOND: dict[str, dict[str, Any]] = {
    "category": {"v": pd.Categorical(["a"])},
    "duration": {"v": pd.to_timedelta([1], unit="s")},
    "zone": {"v": pd.to_datetime(["2026-01-01"], utc=True).tz_convert("Europe/Berlin")},
    "whole numbers with NULL": {"v": pd.array([None], dtype="Int64")},
    "flags with NULL": {"v": pd.array([None], dtype="boolean")},
    "labels that are no text": {0: [1]},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", BEYOND)
@pytest.mark.filterwarnings("ignore:The DataFrame has column names of mixed type")
def test_columns_that_are_not_plain_are_refused(tmp_path: Path, without: Path, kind: str) -> None:
    file = tmp_path / "e.parquet"
    pd.DataFrame({"id": [1], **BEYOND[kind]}).to_parquet(file)
    refused(without, "data", file, "arrow_types")


@pytest.mark.slow
def test_an_index_and_notes_of_other_programs_are_refused(tmp_path: Path, without: Path) -> None:
    file = tmp_path / "e.parquet"
    for index in (pd.Index(["a"]), pd.Index(["a"], name="row")):
        pd.DataFrame({"id": [1]}, index=index).to_parquet(file)
        refused(without, "data", file, "arrow_types")
    for notes in ({"geo": "{}"}, {"pandas": "no JSON"}):
        pq.write_table(pa.table({"id": [1]}).replace_schema_metadata(notes), file)
        refused(without, "data", file, "arrow_types")
    frame = pd.DataFrame({"id": [1]})
    frame.attrs = {"unit": "m"}
    frame.to_parquet(file)
    refused(without, "data", file, "arrow_types")


def test_what_duckdb_would_misread_is_refused(tmp_path: Path, without: Path) -> None:
    file = tmp_path / "e.parquet"
    times = pa.table({"id": [1], "t": pa.array([1_700_000_000_000_000_001], pa.timestamp("ns"))})
    pq.write_table(times, file, use_deprecated_int96_timestamps=True)
    refused(without, "data", file, "arrow_types")


@pytest.mark.slow
@pytest.mark.parametrize(
    "script",
    [
        "PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (id TEXT PRIMARY KEY, v); INSERT INTO t VALUES ('a', 1)",
        "CREATE TABLE t (id TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO t VALUES ('a', 1)",
        "CREATE TABLE t (rowid INT, oid INT, _rowid_ INT); INSERT INTO t VALUES (1, 2, 3)",
    ],
    ids=["UTF-16", "WITHOUT ROWID", "hidden numbers"],
)
def test_databases_that_are_not_plain_are_refused(tmp_path: Path, without: Path, script: str) -> None:
    with closing(sqlite3.connect(tmp_path / "e.db")) as connection:
        connection.executescript(script)
    refused(without, "db", tmp_path / "e.db", "formats")


@pytest.mark.slow
def test_a_duckdb_file_and_a_log_that_a_killed_program_left_are_refused(tmp_path: Path, without: Path) -> None:
    with duckdb.connect(str(tmp_path / "e.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT 'a' AS id, 1 AS v")
    refused(without, "db", tmp_path / "e.duckdb", "formats")
    live = tmp_path / "live.db"
    with closing(sqlite3.connect(live)) as connection:
        connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (id TEXT PRIMARY KEY, v)")
        connection.executescript("INSERT INTO t VALUES ('a', 1)")
        for ending in ("", "-wal"):
            shutil.copyfile(f"{live}{ending}", tmp_path / f"left.db{ending}")
    refused(without, "db", tmp_path / "left.db", "formats")
    merged(without, "db", live)


@pytest.mark.slow
@pytest.mark.parametrize(
    "script",
    [
        "CREATE VIEW w AS SELECT v FROM t",
        "CREATE INDEX i ON t(v)",
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; END",
        "CREATE VIRTUAL TABLE f USING fts5(a)",
        "CREATE TABLE k (id INTEGER PRIMARY KEY, t REFERENCES t(id))",
    ],
)
def test_a_database_with_more_than_tables_is_refused(tmp_path: Path, without: Path, script: str) -> None:
    """As a source, and as the base, whose trigger would run."""
    file = tmp_path / "e.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(f"CREATE TABLE t (id TEXT PRIMARY KEY, v); INSERT INTO t VALUES ('a', 1); {script}")
    refused(without, "db", file, "sqlite_features")
    shutil.copyfile(file, tmp_path / "base.db")
    with closing(sqlite3.connect(tmp_path / "new.db")) as connection:
        connection.executescript("CREATE TABLE t (id TEXT PRIMARY KEY, v); INSERT INTO t VALUES ('b', 2)")
    told = merged(without, "db", tmp_path / "new.db", code=2, base=tmp_path / "base.db")
    assert told.startswith(f"error: {tmp_path}/base.db asks for an extra that is not here: ")


@pytest.mark.slow
def test_numbers_become_no_text(tmp_path: Path, without: Path) -> None:
    for name, kind in (("a", "TEXT"), ("b", "INTEGER")):
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as connection:
            connection.executescript(
                f"CREATE TABLE t (id TEXT PRIMARY KEY, v {kind}); INSERT INTO t VALUES ('{name}', 7)"
            )
            connection.execute("UPDATE t SET v = 'seven' WHERE id = 'a'")
            connection.commit()
    files = [tmp_path / f"{name}.db" for name in "ab"]
    told = merged(without, "db", *files, code=2, options=("--cast", "text"))
    module = "No module named 'lineage.extras.cast_text'"
    remedy = "  → make setup EXTRAS=cast_text"
    assert told == f"error: cast: text asks for an extra that is not here: {module}\n{remedy}\n"
    assert "or: merge_artifacts.py … --cast text" in merged(without, "db", *files, code=2)


def test_a_file_that_is_no_database_is_told_so_without_the_extra_too(tmp_path: Path, without: Path) -> None:
    (tmp_path / "e.db").write_text("id,v")
    assert "is not a SQLite database" in merged(without, "db", tmp_path / "e.db", code=2)
