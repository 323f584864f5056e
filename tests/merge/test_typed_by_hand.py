"""Databases are merged by the command that users type, which looks at them before `merge_databases` does."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from baked_projects import SOURCE, Project, clean_environment

from lineage.tables.kept_rows import holds_all_rows

TABLE = "CREATE TABLE t(id TEXT PRIMARY KEY, v);"
NOT_UTF_8 = "CAST(x'ff41' AS TEXT)"


def database(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


def query(path: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes if "CAST" in statement else str
        return connection.execute(statement).fetchall()


def merge(folder: Path, kind: str, base: str | None, *sources: str, options: str = "", code: int = 0) -> str:
    """Type a merge into `out.db` or `out.parquet`; return what was printed."""
    output = "out.db" if kind == "db" else "out.parquet"
    (folder / output).unlink(missing_ok=True)
    words = ["--strategy", "merge", f"--exp-{kind}", *sources, f"--output-{kind}", output, *options.split()]
    if base:
        words += [f"--base-{kind}", base]
    script = str(SOURCE / "scripts/merge_artifacts.py")
    done = Project(folder, clean_environment(folder)).run("python", script, *words, code=code)
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def type_remedy(printed: str, folder: Path) -> str:
    """Type the last remedy as it is printed; return what that prints."""
    command = printed.rpartition("→ ")[2].strip()
    return Project(folder, clean_environment(folder)).run("bash", "-ec", command).stdout


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_a_database_in_utf_16_comes_into_one_in_utf_8(encoding: str, tmp_path: Path) -> None:
    database(tmp_path / "u8.db", f"{TABLE} INSERT INTO t VALUES('a', 'x')")
    database(tmp_path / "u16.db", f"PRAGMA encoding='{encoding}'; {TABLE} INSERT INTO t VALUES('ä', '🐟'), ('a', 'x')")
    assert "merge t: +1 ~0 =1 !0" in merge(tmp_path, "db", "u8.db", "u16.db")
    assert query(tmp_path / "out.db", "SELECT id, v FROM t ORDER BY id") == [("a", "x"), ("ä", "🐟")]


@pytest.mark.slow
def test_a_base_in_utf_16_is_blamed_itself_and_the_remedy_works(tmp_path: Path) -> None:
    database(tmp_path / "u16.db", f"PRAGMA encoding='UTF-16le'; {TABLE} INSERT INTO t VALUES('ä', 'x')")
    database(tmp_path / "u8.db", f"{TABLE} INSERT INTO t VALUES('ö', 'y')")
    said = merge(tmp_path, "db", "u16.db", "u8.db", code=2)
    assert said.startswith("error: u16.db keeps text in UTF-16, and merged databases keep it in UTF-8\n")
    type_remedy(said, tmp_path)
    merge(tmp_path, "db", "u16.db", "u8.db")
    assert query(tmp_path / "out.db", "SELECT id, v FROM t") == [("ä", "x"), ("ö", "y")]


@pytest.mark.slow
@pytest.mark.parametrize("key", ["PRIMARY KEY", ""])
def test_text_that_is_not_utf_8_is_carried_as_it_is(key: str, tmp_path: Path) -> None:
    table = f"CREATE TABLE t(id TEXT {key}, v TEXT);"
    database(tmp_path / "a.db", f"{table} INSERT INTO t VALUES('a', {NOT_UTF_8})")
    database(tmp_path / "b.db", f"{table} INSERT INTO t VALUES('b', {NOT_UTF_8}), ('a', {NOT_UTF_8})")
    assert "merge t: +1 ~0 =1 !0" in merge(tmp_path, "db", "a.db", "b.db")
    values = "SELECT id, CAST(v AS BLOB) FROM t ORDER BY id"
    assert query(tmp_path / "out.db", values) == [(b"a", b"\xffA"), (b"b", b"\xffA")]
    assert holds_all_rows([tmp_path / "out.db"], [tmp_path / "b.db"])
    assert not holds_all_rows([tmp_path / "a.db"], [tmp_path / "b.db"]), "as the guard asks, of a base that was edited"


@pytest.mark.slow
def test_what_a_killed_program_left_in_a_log_is_read_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    """With a base and without one; the rows, and the trigger, are in the log alone."""
    live = tmp_path / "live.db"
    left = tmp_path / "left"
    left.mkdir()
    script = f"{TABLE} INSERT INTO t VALUES('k', 1); CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END"
    with closing(sqlite3.connect(live)) as connection:
        connection.executescript(f"PRAGMA journal_mode = WAL; {script}")
        for ending in ("", "-wal"):
            shutil.copyfile(f"{live}{ending}", left / f"k.db{ending}")
    before = {path.name: path.read_bytes() for path in left.iterdir()}
    database(tmp_path / "base.db", f"{TABLE} INSERT INTO t VALUES('b', 2)")
    merge(tmp_path, "db", "base.db", "left/k.db")
    assert query(tmp_path / "out.db", "SELECT * FROM t") == [("b", 2), ("k", 1)]
    assert "left/k.db: trigger 'r' are not taken over" in merge(tmp_path, "db", None, "left/k.db")
    assert query(tmp_path / "out.db", "SELECT * FROM t") == [("k", 1)]
    merge(tmp_path, "db", "left/k.db", "base.db")
    assert query(tmp_path / "out.db", "SELECT * FROM t") == [("k", 1), ("b", 2)]
    assert {path.name: path.read_bytes() for path in left.iterdir()} == before


@pytest.mark.slow
def test_as_many_columns_come_as_sqlite_can_number_and_more_are_refused_by_name(tmp_path: Path) -> None:
    """Without a key, whose rows are told apart by one number more."""
    for count in (1_998, 1_999):
        columns = ", ".join(f"c{number} REAL" for number in range(1, count))
        for name, row in (("a", "'a', 1.0"), ("b", "'b', 2.0")):
            script = f"CREATE TABLE t(id TEXT, {columns}); INSERT INTO t(id, c1) VALUES({row})"
            database(tmp_path / f"{name}{count}.db", script)
    assert "merge t: +1 ~0 =0 !0" in merge(tmp_path, "db", "a1998.db", "b1998.db")
    assert query(tmp_path / "out.db", "SELECT id, c1, c1997 FROM t") == [("a", 1.0, None), ("b", 2.0, None)]
    for base, source, wide in (("a1999", "b1998", "the base"), ("a1998", "b1999", "b1999.db")):
        said = merge(tmp_path, "db", f"{base}.db", f"{source}.db", code=2)
        assert said == (
            f"error: {wide}: table 't' has 1999 columns; 1998 can be merged\n"
            "  → split it in two tables with one key, or merge it as parquet\n"
        )
    with closing(sqlite3.connect(tmp_path / "b1999.db")) as connection:
        connection.execute("CREATE TABLE first AS SELECT id, c1, c2 FROM t")
        connection.execute("CREATE TABLE second AS SELECT id, c1997, c1998 FROM t")
        connection.execute("DROP TABLE t")
    assert "first: +1 ~0 =0 !0\nmerge second: +1 ~0 =0 !0" in merge(tmp_path, "db", None, "b1999.db")
    database(tmp_path / "c.db", "CREATE TABLE t(id TEXT, other INT); INSERT INTO t VALUES('c', 7)")
    assert "the base: table 't' has 1999 columns" in merge(tmp_path, "db", "a1998.db", "c.db", code=2)


@pytest.mark.slow
def test_a_conflict_in_a_wide_table_is_shown_and_the_remedy_is_a_command_that_works(tmp_path: Path) -> None:
    columns = ", ".join(f"c{number} REAL" for number in range(1_100))
    database(tmp_path / "a.db", f"CREATE TABLE t(id TEXT PRIMARY KEY, {columns}); INSERT INTO t(id) VALUES('a')")
    database(tmp_path / "b.db", f"CREATE TABLE t(id TEXT PRIMARY KEY, {columns}); INSERT INTO t(id, c0) VALUES('a', 1)")
    said = merge(tmp_path, "db", "a.db", "b.db", code=1)
    assert "(earlier | later):\n  id='a' — c0: None | 1.0\n" in said and "params" not in said
    assert " --on-conflict incoming   # or base, newest; or correct the incoming file, or rebase\n" in said
    assert "merge t: +1 ~1 =0 !1" in type_remedy(said, tmp_path)
    assert query(tmp_path / "out.db", "SELECT id, c0 FROM t") == [("a", 1.0)]


@pytest.mark.slow
def test_the_remedy_of_a_rebase_names_its_key(tmp_path: Path) -> None:
    database(tmp_path / "a.db", "CREATE TABLE t(id TEXT PRIMARY KEY, v, w); INSERT INTO t VALUES('a', 1, 1)")
    database(tmp_path / "b.db", "CREATE TABLE t(id TEXT PRIMARY KEY, v, w); INSERT INTO t VALUES('a', 2, 2)")
    options = "--strategy rebase --yes --key-columns"
    said = merge(tmp_path, "db", "a.db", "b.db", options=f"{options} v", code=1)
    assert said.endswith("  → correct the incoming file, or choose other key columns: --key-columns\n")
    assert "rebase t: +1 ~1 =0 !0" in merge(tmp_path, "db", "a.db", "b.db", options=f"{options} id")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "winner"),
    [("one file", ""), ("two files", ""), ("two databases", ""), ("one file", "base"), ("two databases", "incoming")],
)
def test_of_two_contents_that_arrive_together_the_earlier_is_shown_first(
    kind: str, winner: str, tmp_path: Path
) -> None:
    options = f"--on-conflict {winner} --dry-run" if winner else ""
    code = 0 if winner else 1
    if kind == "two databases":
        for value in (5, 6):
            database(tmp_path / f"{value}.db", f"{TABLE} INSERT INTO t VALUES('k', {value})")
        said = merge(tmp_path, "db", None, "5.db", "6.db", options=options, code=code)
    elif kind == "two files":
        for value in (5, 6):
            pq.write_table(pa.table({"id": ["k"], "v": [value]}), tmp_path / f"{value}.parquet")
        words = f"--key-columns id {options}"
        said = merge(tmp_path, "data", None, "5.parquet", "6.parquet", options=words, code=code)
    else:
        pq.write_table(pa.table({"id": ["k", "k"], "v": [5, 6]}), tmp_path / "b.parquet")
        said = merge(tmp_path, "data", None, "b.parquet", options=f"--key-columns id {options}", code=code)
    assert "\n  id='k' — v: 5 | 6\n" in said


VIRTUAL = "CREATE VIRTUAL TABLE t USING fts4(a);"


@pytest.mark.slow
@pytest.mark.parametrize("script", [VIRTUAL, ""])
def test_databases_of_which_no_table_is_merged_are_no_mistake(script: str, tmp_path: Path) -> None:
    database(tmp_path / "a.db", f"PRAGMA user_version = 1; {script}")
    database(tmp_path / "b.db", f"PRAGMA user_version = 2; {script}")
    if script == VIRTUAL:
        database(tmp_path / "b.db", "INSERT INTO t(docid, a) VALUES(1, 'word')")
    for base in ("a.db", None):
        said = merge(tmp_path, "db", base, "b.db")
        assert said.startswith("+0: no incoming database has a table that is merged\n")
        assert ("b.db: 't' is a virtual table, whose rows are not merged" in said) == (script == VIRTUAL)
        assert query(tmp_path / "out.db", "PRAGMA integrity_check") == [("ok",)]
    assert "recommended — neither" in merge(tmp_path, "db", "a.db", "b.db", options="--dry-run")


@pytest.mark.slow
def test_a_view_in_the_place_of_a_table_is_named_and_the_remedy_works(tmp_path: Path) -> None:
    database(tmp_path / "v.db", 'CREATE TABLE x(a); CREATE VIEW "my t" AS SELECT * FROM x')
    database(tmp_path / "e.db", 'CREATE TABLE "my t"(id TEXT PRIMARY KEY); INSERT INTO "my t" VALUES(\'a\')')
    said = merge(tmp_path, "db", "v.db", "e.db", code=2)
    assert said.startswith('error: v.db: view "my t" already exists, in the place of an incoming table\n')
    type_remedy(said, tmp_path)
    merge(tmp_path, "db", "v.db", "e.db")
    assert query(tmp_path / "out.db", 'SELECT * FROM "my t"') == [("a",)]


@pytest.mark.slow
def test_without_a_base_a_table_keeps_its_constraints_and_what_it_cannot_keep_is_said(tmp_path: Path) -> None:
    table = (
        "CREATE TABLE t(a INT, b INT, u TEXT UNIQUE, c INT CHECK (c > 0), d INT NOT NULL DEFAULT 7,"
        " PRIMARY KEY (a DESC, b))"
    )
    for name, encoding in (("e.db", "UTF-8"), ("u.db", "UTF-16le")):
        script = (
            f"PRAGMA encoding='{encoding}'; {table}; INSERT INTO t(a, b, u, c) VALUES(1, 1, 'x', 1), (2, 1, 'y', 1);"
        )
        database(tmp_path / name, f"{script} CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END")
        said = merge(tmp_path, "db", None, name)
        assert f"warning: {name}: trigger 'r' are not taken over; they are if the base is a copy: cp {name}" in said
        assert query(tmp_path / "out.db", "SELECT sql FROM sqlite_master WHERE name = 't'") == [(table,)]
        assert query(tmp_path / "out.db", "SELECT a, d FROM t ORDER BY a DESC") == [(2, 7), (1, 7)]
        for wrong in ("(3, 1, 'x', 1)", "(3, 1, 'z', 0)", "(1, 1, 'z', 1)"):
            with pytest.raises(sqlite3.IntegrityError):
                database(tmp_path / "out.db", f"INSERT INTO t(a, b, u, c) VALUES {wrong}")
    database(
        tmp_path / "w.db", "CREATE TABLE w(k TEXT PRIMARY KEY, v UNIQUE) WITHOUT ROWID; INSERT INTO w VALUES('a', 1)"
    )
    said = merge(tmp_path, "db", None, "w.db")
    assert "warning: w.db: table 'w': WITHOUT ROWID and its constraints but the key are not taken over\n" in said
    assert query(tmp_path / "out.db", "SELECT rowid, k, v FROM w") == [(1, "a", 1)]
    assert query(tmp_path / "out.db", "SELECT wr FROM pragma_table_list WHERE name = 'w'") == [(0,)]


@pytest.mark.slow
@pytest.mark.parametrize("broken", ["base.parquet", "b [1].parquet"])
@pytest.mark.parametrize("column", [0, 1])
def test_a_file_with_a_damaged_page_is_named(broken: str, column: int, tmp_path: Path) -> None:
    """DuckDB names none, and ends its message in a byte that nobody can print."""
    for number, name in enumerate(("base.parquet", "a.parquet", "b [1].parquet", "c.parquet")):
        rows = pa.table({"id": range(10 * number, 10 * number + 10), "v": [0.5] * 10})
        pq.write_table(rows, tmp_path / name, use_dictionary=False)
    place = pq.read_metadata(tmp_path / broken).row_group(0).column(column).data_page_offset
    whole = (tmp_path / broken).read_bytes()
    content = bytearray(whole)
    content[place] = 0x1F  # a field of a type that there is not
    (tmp_path / broken).write_bytes(content)
    sources = ("a.parquet", "b [1].parquet", "c.parquet")
    said = merge(tmp_path, "data", "base.parquet", *sources, options="--key-columns id", code=2)
    assert said == (
        f"error: {broken} is not a readable parquet file: its metadata are damaged\n  → replace or remove {broken}\n"
    )
    (tmp_path / broken).write_bytes(whole)
    assert "+30 ~0 =0 !0" in merge(tmp_path, "data", "base.parquet", *sources, options="--key-columns id")


# --- Files as small as can be, each of which once lost a value on this way -----------------------------------------------


def sqlite_file(path: Path, script: str) -> None:
    database(path, script)


def copied(path: Path, query: str) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")


CASES: dict[str, tuple[str, Any, str, list[tuple[Any, ...]]]] = {
    "duckdb_source": (
        "e.duckdb",
        "CREATE TABLE t AS SELECT 1 AS id, 0.5::DOUBLE AS m",
        "SELECT id, m FROM t",
        [(1, 0.5)],
    ),
    "generated_column": (
        "e.db",
        "CREATE TABLE t(a INT PRIMARY KEY, b INT, c INT GENERATED ALWAYS AS (a*b) STORED); INSERT INTO t(a,b) VALUES(2,3)",
        "SELECT a, b, c FROM t",
        [(2, 3, 6)],
    ),
    "integer_real_same_row": (
        "e.db",
        "CREATE TABLE t(a, b); INSERT INTO t VALUES(1,'x'),(1.0,'x')",
        "SELECT typeof(a), b FROM t ORDER BY 1",
        [("integer", "x"), ("real", "x")],
    ),
    "not_null_default": (
        "e.db",
        "CREATE TABLE t(a INT PRIMARY KEY, b INT NOT NULL DEFAULT 7); INSERT INTO t(a) VALUES(2)",
        "SELECT a, b FROM t",
        [(2, 7)],
    ),
    "utf16": (
        "e.db",
        "PRAGMA encoding='UTF-16le'; CREATE TABLE t(a TEXT PRIMARY KEY, b TEXT); INSERT INTO t VALUES('x','ÿ')",
        "SELECT a, b FROM t",
        [("x", "ÿ")],
    ),
    "interval": (
        "e.parquet",
        "SELECT unnest([INTERVAL '1 month', INTERVAL '30 days', INTERVAL '720 hours']) AS i",
        "SELECT i::VARCHAR FROM out ORDER BY 1",
        [("1 month",), ("30 days",), ("720:00:00",)],
    ),
    "signed_zero": (
        "e.parquet",
        "SELECT unnest([0.0::DOUBLE, -0.0::DOUBLE]) AS x",
        "SELECT x::VARCHAR FROM out ORDER BY 1",
        [("-0.0",), ("0.0",)] if duckdb.__version__ >= "2" else [("0.0",), ("0.0",)],  # docs/merge-rebase.md
    ),
}
"""By case: the file, what makes it, and what a query then finds. Others of these need a base, or bytes of their own."""


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_value_survives_the_command_once_and_again(case: str, tmp_path: Path) -> None:
    name, script, question, expected = CASES[case]
    kind = "data" if name.endswith("parquet") else "db"
    if name.endswith("duckdb"):
        with duckdb.connect(str(tmp_path / name)) as connection:
            connection.execute(script)
    elif kind == "db":
        sqlite_file(tmp_path / name, script)
    else:
        copied(tmp_path / name, script)
    for base in (None, "before"):
        output = "out.db" if kind == "db" else "out.parquet"
        if base:
            base = f"before{Path(output).suffix}"
            shutil.copyfile(tmp_path / output, tmp_path / base)
        merge(tmp_path, kind, base, name)
        if kind == "db":
            found = query(tmp_path / output, question)
        else:
            found = duckdb.sql(question.replace("out", f"'{tmp_path / output}'")).fetchall()
        assert found == expected, "the second time nothing is new"


@pytest.mark.slow
def test_categories_come_without_arrows_schema_too(tmp_path: Path) -> None:
    """As fastparquet writes: pandas' notes, and none of Arrow's."""
    frame = pd.DataFrame({"k": [1, 2, 3], "c": pd.Categorical(["b", "a", None], categories=["b", "a", "z"])})
    table = pa.Table.from_pandas(frame, preserve_index=False)
    plain = table.set_column(1, "c", table["c"].cast(pa.string()))
    for number, name in ((0, "a.parquet"), (10, "b.parquet")):
        rows = plain.set_column(0, "k", pa.array([1 + number, 2 + number, 3 + number]))
        with pq.ParquetWriter(tmp_path / name, rows.schema.remove_metadata(), store_schema=False) as writer:
            writer.write_table(rows.replace_schema_metadata(None))
            writer.add_key_value_metadata({"pandas": table.schema.metadata[b"pandas"].decode()})
    merge(tmp_path, "data", "a.parquet", "b.parquet", options="--key-columns k")
    sent, read = (pd.read_parquet(tmp_path / name) for name in ("a.parquet", "out.parquet"))
    assert read["k"].tolist() == [1, 2, 3, 11, 12, 13] and read["c"].dtype == sent["c"].dtype
    assert read["c"].astype(object).where(read["c"].notna(), None).tolist() == ["b", "a", None] * 2
    notes = [pq.read_schema(tmp_path / name).pandas_metadata["columns"][1] for name in ("a.parquet", "out.parquet")]
    assert notes[0] == notes[1] and notes[1]["pandas_type"] == "categorical", "so that fastparquet reads categories"
