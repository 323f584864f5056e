"""No cell of a table is lost or changed on the way: what a hostile reader of the merge found, each with its numbers."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from lossless_merges import database, merge, merge_files, parquet, query

from lineage.core.errors import BadInput, Refused
from lineage.extras.merge_artifacts.databases import merge_databases
from lineage.merge.rules import Rules

# --- Tables ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["merge", "rebase"])
@pytest.mark.parametrize("name", ["rowid", "oid", "_rowid_", "lineage_rank", "l", "r", "place", "base_row", "source"])
def test_columns_named_as_the_engine_names_things(tmp_path: Path, name: str, strategy: str) -> None:
    create = f"CREATE TABLE t (id TEXT, {name} INTEGER)"
    base = database(tmp_path / "a.db", create, t=[("a", 7), ("b", 7)])
    new = database(tmp_path / "b.db", create, t=[("b", 7), ("b", 7), ("c", 7)])
    plan = merge(base, new, strategy=strategy, key_columns=("id",))
    assert query(tmp_path / "out.db", "SELECT * FROM t ORDER BY id") == [("a", 7), ("b", 7), ("b", 7), ("c", 7)]
    assert (plan.added, plan.present, plan.replaced) == (2, 1, 0), "two equal rows of one file are two rows"


def test_names_of_ours_and_tables_without_row_numbers_are_refused(tmp_path: Path) -> None:
    ours = database(tmp_path / "a.db", 'CREATE TABLE t (id TEXT, "Lineage Row")', t=[("a", 1)])
    with pytest.raises(BadInput, match="table 't' has a column 'lineage row', a name of ours"):
        merge(None, ours)
    base = database(tmp_path / "b.db", "CREATE TABLE t (id TEXT PRIMARY KEY, v) WITHOUT ROWID", t=[("a", 1)])
    new = database(tmp_path / "c.db", "CREATE TABLE t (id TEXT PRIMARY KEY, v)", t=[("b", 1)])
    with pytest.raises(BadInput, match="rows of table 't' of the base have no number: it is WITHOUT ROWID"):
        merge(base, new)


def test_names_that_differ_in_the_case_of_ascii_letters_are_one_and_others_are_not(tmp_path: Path) -> None:
    base = database(tmp_path / "a.db", "CREATE TABLE T (ID TEXT PRIMARY KEY, é, É)", T=[("a", 1, 2)])
    new = database(tmp_path / "b.db", "CREATE TABLE t (id TEXT PRIMARY KEY, É, é)", t=[("b", 2, 1)])
    assert merge(base, new, tables=("t",)).name == "T"
    assert query(tmp_path / "out.db", "SELECT id, é, É FROM t") == [("a", 1, 2), ("b", 1, 2)]


UNTYPED = {
    "a number beside text that looks like one": ("code TEXT", ("007", "1e5"), "code", (0.5,)),
    "a whole number beside text": ("code TEXT", ("007",), "code", (5,)),
    "text that looks like a number beside nothing": ("code INTEGER", (None,), "code", ("007",)),
    "a large whole number beside a float that is whole": ("code REAL", (5.0,), "code INTEGER", (2**60 + 1,)),
    "any value of a STRICT table": ("code TEXT", ("x",), "code ANY", ("007", 7, 0.5, b"7")),
}


@pytest.mark.parametrize(("before", "old", "after", "new"), UNTYPED.values(), ids=UNTYPED)
def test_no_type_turns_a_value_into_another(
    tmp_path: Path, before: str, old: tuple[Any, ...], after: str, new: tuple[Any, ...]
) -> None:
    strict = " STRICT" if "ANY" in after else ""
    lines = list(enumerate(old)), list(enumerate(new, 100))
    base = database(tmp_path / "a.db", f"CREATE TABLE t (id INTEGER PRIMARY KEY, {before})", t=lines[0])
    source = database(tmp_path / "b.db", f"CREATE TABLE t (id INTEGER PRIMARY KEY, {after}){strict}", t=lines[1])
    merge(base, source)
    classes = "SELECT id, code, typeof(code) FROM t"
    assert query(tmp_path / "out.db", classes) == query(base, classes) + query(source, classes)
    merge(None, source)
    assert query(tmp_path / "out.db", classes) == query(source, classes)


FULL = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(9) NOT NULL UNIQUE DEFAULT 'x' COLLATE NOCASE"
    " CHECK (length(name) < 9), n INTEGER DEFAULT 3, [odd name] INT, twice AS (n * 2))",
    "CREATE INDEX by_n ON t (n)",
    "CREATE VIEW v AS SELECT name FROM t",
    "CREATE TABLE child (t_id REFERENCES t (id))",
    "CREATE TRIGGER noted AFTER INSERT ON t BEGIN INSERT INTO child VALUES (new.id); END",
    "INSERT INTO t (name, n) VALUES ('a', 1)",
)


def test_a_wider_column_keeps_constraints_triggers_views_and_references(tmp_path: Path) -> None:
    base = database(tmp_path / "a.db", *FULL)
    create = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n REAL, [odd name] REAL)"
    new = database(tmp_path / "b.db", create, t=[(7, "b", 0.5, 0.25)])
    assert merge(base, new).widened == ["n INTEGER → REAL", "odd name INT → REAL"]
    out = tmp_path / "out.db"
    assert query(out, 'SELECT id, name, n, "odd name", twice FROM t') == [
        (1, "a", 1.0, None, 2.0),
        (7, "b", 0.5, 0.25, 1),
    ]
    assert query(out, "SELECT typeof(n) FROM t") == [("real",), ("real",)]
    assert query(out, "SELECT name FROM v") == [("a",), ("b",)]
    assert query(out, "SELECT * FROM child") == [(1,)], "a trigger does not run for a merged row"
    assert query(out, "SELECT n FROM t INDEXED BY by_n WHERE n = 1") == [(1.0,)]
    schema = "SELECT name, sql FROM sqlite_master WHERE name NOT IN ('t', 'sqlite_sequence') ORDER BY name"
    assert query(out, schema) == query(base, schema)
    [(text,)] = query(out, "SELECT sql FROM sqlite_master WHERE name = 't'")
    assert text == FULL[0].replace("n INTEGER", "n REAL").replace("[odd name] INT", "[odd name] REAL")
    with closing(sqlite3.connect(out)) as connection, pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        connection.execute("INSERT INTO t (name) VALUES ('B')")


TEXTS = {
    "a comment before": ("id TEXT PRIMARY KEY, -- the number\n n INTEGER", "n"),
    "a comment between": ("id TEXT PRIMARY KEY, n /* of it */ INTEGER", "n"),
    "a longer name beside": ("id TEXT PRIMARY KEY, n2 TEXT, n INTEGER(10)", "n"),
    "a quote in the name": ('id TEXT PRIMARY KEY, "q""t" INTEGER', 'q"t'),
    "more words": ("id TEXT PRIMARY KEY,\n\tn UNSIGNED  BIG INT NOT NULL", "n"),
    "text that looks like it": ("id TEXT PRIMARY KEY CHECK (id <> ', n INTEGER'), n INTEGER", "n"),
    "a type in small letters": ("id TEXT PRIMARY KEY, n integer", "n"),
    "a CHECK of an earlier column": ("id TEXT PRIMARY KEY CHECK (length(id) <> n + 5), n INTEGER", "n"),
    "part of the key": ("id TEXT, n INTEGER, PRIMARY KEY (id, n)", "n"),
}


@pytest.mark.parametrize(("columns", "name"), TEXTS.values(), ids=TEXTS)
def test_a_column_is_found_in_the_text_of_its_table(tmp_path: Path, columns: str, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    base = database(tmp_path / "a.db", f"CREATE TABLE t ({columns})", f"INSERT INTO t (id, {quoted}) VALUES ('a', 1)")
    key = f"id, {quoted}" if "(id" in columns else "id"
    new = f"CREATE TABLE t (id TEXT, {quoted} REAL, PRIMARY KEY ({key}))"
    merge(base, database(tmp_path / "b.db", new, f"INSERT INTO t (id, {quoted}) VALUES ('b', 0.5)"))
    found = query(tmp_path / "out.db", f"SELECT id, {quoted}, typeof({quoted}) FROM t")
    assert found == [("a", 1.0, "real"), ("b", 0.5, "real")]


def test_a_table_whose_text_cannot_be_changed_is_refused(tmp_path: Path) -> None:
    base = database(tmp_path / "a.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, n)", t=[(1, 1)])
    new = database(tmp_path / "b.db", "CREATE TABLE t (id REAL PRIMARY KEY, n REAL)", t=[(0.5, 0.5)])
    with pytest.raises(BadInput, match=r"table 't' declares '\w+' as INTEGER, and needs REAL"):
        merge(base, new)


def test_collations_of_the_base_do_not_make_two_texts_one(tmp_path: Path) -> None:
    base = database(tmp_path / "a.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT COLLATE NOCASE)", t=[(1, "abc")])
    new = database(tmp_path / "b.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)", t=[(1, "ABC")])
    assert merge(base, new, on_conflict="incoming").replaced == 1
    assert query(tmp_path / "out.db", "SELECT v FROM t") == [("ABC",)]
    base = database(tmp_path / "a.db", "CREATE TABLE t (name TEXT COLLATE NOCASE, v)", t=[("abc", 1)])
    new = database(tmp_path / "b.db", "CREATE TABLE t (name TEXT, v)", t=[("ABC", 1)])
    assert merge(base, new).added == 1
    plan = merge(base, new, strategy="rebase", key_columns=("name",))
    assert (plan.added, plan.replaced) == (1, 0)
    keyed = database(tmp_path / "a.db", "CREATE TABLE t (name TEXT COLLATE NOCASE PRIMARY KEY, v)", t=[("abc", 1)])
    with pytest.raises(BadInput, match=r"an incoming row breaks a rule of the base: UNIQUE constraint failed: t\.name"):
        merge(keyed, new)


def test_collations_and_odd_text_in_the_keys_of_a_source(tmp_path: Path) -> None:
    """The base's collation makes two keys one; a key that is no text is compared as its bytes."""
    base = database(tmp_path / "base.db", "CREATE TABLE t (id TEXT PRIMARY KEY, v)", t=[("a", 1)])
    one = database(tmp_path / "one.db", "CREATE TABLE t (id TEXT COLLATE NOCASE PRIMARY KEY, v)", t=[("A", 2)])
    assert merge(base, one).added == 1
    assert query(tmp_path / "out.db", "SELECT id, v FROM t ORDER BY v") == [("a", 1), ("A", 2)]
    odd = database(tmp_path / "odd.db", "CREATE TABLE t (id TEXT PRIMARY KEY, v)")
    with closing(sqlite3.connect(odd)) as connection, connection:
        connection.execute("INSERT INTO t VALUES (CAST(x'ff41' AS TEXT), 3)")
    assert merge(base, odd).added == 1
    assert query(tmp_path / "out.db", "SELECT hex(id), v FROM t ORDER BY v") == [("61", 1), ("FF41", 3)]


@pytest.mark.parametrize("strategy", ["merge", "rebase"])
def test_another_source_does_not_decide_whether_a_cell_survives(tmp_path: Path, strategy: str) -> None:
    base = database(tmp_path / "a.db", "CREATE TABLE t (id TEXT PRIMARY KEY, x, c)", t=[("a", 1, 7)])
    without = database(tmp_path / "b.db", "CREATE TABLE t (id TEXT PRIMARY KEY, x)", t=[("a", 1)])
    other = database(tmp_path / "c.db", "CREATE TABLE t (id TEXT PRIMARY KEY, x, c)", t=[("z", 1, 8)])
    plan = merge(base, without, other, strategy=strategy, key_columns=("id",))
    assert (plan.added, plan.replaced, plan.present, plan.conflicts) == (1, 0, 1, 0)
    assert query(tmp_path / "out.db", "SELECT * FROM t") == [("a", 1, 7), ("z", 1, 8)]
    files = parquet(tmp_path / "a.parquet", id=["a"], x=[1], c=[7]), parquet(tmp_path / "b.parquet", id=["a"], x=[1])
    rows = merge_files(*files, parquet(tmp_path / "c.parquet", id=["z"], x=[1], c=[8]), strategy=strategy)
    assert rows == [{"id": "a", "x": 1, "c": 7}, {"id": "z", "x": 1, "c": 8}]


def test_a_rebase_does_not_take_a_missing_key_column_for_null(tmp_path: Path) -> None:
    create = "CREATE TABLE t (id TEXT PRIMARY KEY, e TEXT)"
    base = database(tmp_path / "a.db", create, t=[("a", None), ("b", None), ("c", "E1")])
    full = database(tmp_path / "b.db", create, t=[("d", "E1")])
    lacking = database(tmp_path / "c.db", "CREATE TABLE t (id TEXT PRIMARY KEY)", t=[("e",)])
    with pytest.raises(BadInput, match=r"c\.db: table 't' has no column 'e'; it has: id"):
        merge(base, full, lacking, strategy="rebase", key_columns=("e",))
    with pytest.raises(BadInput, match="the base: table 't' has no column 'e'"):
        merge(lacking, full, strategy="rebase", key_columns=("e",))
    with pytest.raises(BadInput, match="--id-column 'idd' is no column of t"):
        merge(base, full, id_column="idd")


def test_a_table_without_the_rebase_key_is_merged_by_its_own(tmp_path: Path) -> None:
    tables = ("CREATE TABLE t (id TEXT PRIMARY KEY, version TEXT)", "CREATE TABLE assets (key TEXT PRIMARY KEY, value)")
    base = database(tmp_path / "a.db", *tables, t=[("a", "e1")], assets=[("h1", 1)])
    new = database(tmp_path / "b.db", *tables, t=[("b", "e1")], assets=[("h2", 2)])
    merge_databases(base, [new], tmp_path / "out.db", Rules("rebase", ("version",)))
    assert query(tmp_path / "out.db", "SELECT * FROM t") == [("b", "e1")]
    assert query(tmp_path / "out.db", "SELECT * FROM assets") == [("h1", 1), ("h2", 2)]


def test_defaults_are_not_invented_and_triggers_do_not_run(tmp_path: Path) -> None:
    columns = "st TEXT DEFAULT 'verified', at TEXT DEFAULT CURRENT_TIMESTAMP"
    base = database(tmp_path / "a.db", f"CREATE TABLE t (id TEXT PRIMARY KEY, x, {columns})", t=[("a", 1, "s", "n")])
    with closing(sqlite3.connect(base)) as connection, connection:
        connection.execute("CREATE TRIGGER plus AFTER INSERT ON t BEGIN UPDATE t SET x = x + 1; END")
    new = database(tmp_path / "b.db", "CREATE TABLE t (id TEXT PRIMARY KEY, x)", t=[("b", 10)])
    for known in ([], [("a", 1)]):  # all rows new; some to be compared
        source = database(tmp_path / "c.db", "CREATE TABLE t (id TEXT PRIMARY KEY, x)", t=[*known, ("b", 10)])
        merge(base, source)
        assert query(tmp_path / "out.db", "SELECT * FROM t") == [("a", 1, "s", "n"), ("b", 10, None, None)]
    assert query(tmp_path / "out.db", "SELECT name FROM sqlite_master WHERE type = 'trigger'") == [("plus",)]
    merge(tmp_path / "a.db", new)


def test_a_copy_replaces_only_what_did_not_change_since(tmp_path: Path) -> None:
    """Rebased by a key of many rows: main's newer rows stay, what the copy dropped goes, and both changed is a conflict."""
    create = "CREATE TABLE t (id TEXT PRIMARY KEY, g TEXT, x INTEGER)"
    ancestor = database(tmp_path / "then.db", create, t=[("a", "E1", 1), ("b", "E1", 2), ("c", "E1", 3)])
    base = database(tmp_path / "now.db", create, t=[("a", "E1", 9), ("b", "E1", 2), ("c", "E1", 3), ("z", "E1", 5)])
    copy = database(tmp_path / "copy.db", create, t=[("a", "E1", 1), ("b", "E1", 50)])  # c was dropped there
    rules: dict[str, Any] = {"strategy": "rebase", "key_columns": ("g",), "ancestors": {copy: ancestor}}
    plan = merge(base, copy, **rules)
    assert query(tmp_path / "out.db", "SELECT id, x FROM t ORDER BY id") == [("a", 9), ("b", 50), ("z", 5)]
    assert (plan.added, plan.replaced) == (1, 2)
    database(copy, create, t=[("a", "E1", 8), ("b", "E1", 2), ("c", "E1", 3)])
    with pytest.raises(Refused, match=r"id='a' — x: 9 \| 8"):
        merge(base, copy, **rules)


def test_every_conflict_is_counted_and_none_is_already_there(tmp_path: Path) -> None:
    create = "CREATE TABLE t (id TEXT PRIMARY KEY, v)"
    base = database(tmp_path / "a.db", create, t=[("a", 0)])
    sources = [database(tmp_path / f"{n}.db", create, t=[("a", n), ("b", n)]) for n in (1, 2, 3)]
    plan = merge(base, *sources, dry_run=True)
    assert plan.line() == "t: +1 ~0 =0 !5"
    assert merge(base, *sources, on_conflict="incoming").line() == "t: +2 ~1 =0 !5"
    twins = [database(tmp_path / f"{n}.db", create, t=[("b", 1)]) for n in (4, 5)]
    assert merge(base, *twins).line() == "t: +1 ~0 =1 !0"


def test_newest_needs_a_timestamp_that_can_decide(tmp_path: Path) -> None:
    create = "CREATE TABLE t (id TEXT, Timestamp TEXT, v, PRIMARY KEY ({}))"
    base = database(tmp_path / "a.db", create.format("id"), t=[("a", None, 1)])
    new = database(tmp_path / "b.db", create.format("id"), t=[("a", "2026", 2)])
    assert merge(base, new, on_conflict="newest").replaced == 1
    base = database(tmp_path / "a.db", create.format("id, timestamp"), t=[("a", "2026", 1)])
    new = database(tmp_path / "b.db", create.format("id, timestamp"), t=[("a", "2026", 2)])
    with pytest.raises(BadInput, match="newest cannot decide: timestamp is in the identity"):
        merge(base, new, on_conflict="newest")


@pytest.mark.parametrize("base", [True, False])
def test_the_order_of_the_sources_changes_no_byte(tmp_path: Path, base: bool) -> None:
    key = "id INTEGER PRIMARY KEY"
    old = database(tmp_path / "old.db", f"CREATE TABLE t ({key})", t=[(1,)]) if base else None
    a = database(tmp_path / "a.db", f"CREATE TABLE t ({key}, y)", t=[(2, 2), (9, 9)])
    b = database(tmp_path / "b.db", f"CREATE TABLE t ({key}, x)", t=[(3, 3)])
    both = []
    for order in ((a, b), (b, a)):
        merge(old, *order)
        both.append((tmp_path / "out.db").read_bytes())
    assert both[0] == both[1]
    first = parquet(tmp_path / "old.parquet", id=[1])
    a, b = parquet(tmp_path / "a.parquet", id=[2], y=[2]), parquet(tmp_path / "b.parquet", id=[3], x=[3])
    written = []
    for order in ((a, b), (b, a)):
        merge_files(first, *order)
        written.append((tmp_path / "out.parquet").read_bytes())
    assert written[0] == written[1]


def test_more_than_a_thousand_columns(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(1100)]
    create = f"CREATE TABLE t (id TEXT PRIMARY KEY, {', '.join(names)})"
    base = database(tmp_path / "a.db", create, t=[("a", *range(1100))])
    new = database(tmp_path / "b.db", create, t=[("a", *range(1100)), ("b", *range(1100))])
    assert merge(base, new).line() == "t: +1 ~0 =1 !0"


def test_long_decimals_and_times_of_a_duckdb_file_are_the_same_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import duckdb

    with duckdb.connect(str(tmp_path / "a.db")) as connection:
        connection.execute(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, long DECIMAL(20, 2), short DECIMAL(5, 2), moment TIMESTAMPTZ)"
        )
        connection.execute("INSERT INTO t VALUES (1, 123456789012345678.91, 1.5, '2024-01-01 00:00:00+00')")
    for zone in ("UTC", "Asia/Tokyo"):
        monkeypatch.setenv("TZ", zone)
        merge(None, tmp_path / "a.db")
        assert query(tmp_path / "out.db", "SELECT * FROM t") == [
            (1, "123456789012345678.91", 1.5, "2024-01-01 00:00:00+00")
        ]
