"""Databases as they are found in the wild: each of these has cost somebody an evening."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from corpus_files import database, query

from lineage.core.errors import BadInput, LineageError, Refused
from lineage.extras.merge_artifacts.databases import merge_databases
from lineage.extras.merge_artifacts.given_files import expand
from lineage.merge.inbox import DATABASES
from lineage.merge.rules import Rules
from lineage.tables.kept_rows import holds_all_rows

MERGE = Rules("merge")


def merged(folder: Path, base: Path | None, *sources: Path, rules: Rules = MERGE) -> Path:
    merge_databases(base, sources, folder / "out.db", rules)
    return folder / "out.db"


def test_a_fraction_into_an_integer_column_stays_a_fraction(tmp_path: Path) -> None:
    base = database(tmp_path / "a.db", "CREATE TABLE t (id TEXT PRIMARY KEY, score INTEGER)", rows=[("a", 1)])
    new = database(tmp_path / "b.db", "CREATE TABLE t (id TEXT PRIMARY KEY, score REAL)", rows=[("b", 0.87)])
    out = merged(tmp_path, base, new)
    assert query(out, "SELECT id, score, typeof(score) FROM t") == [("a", 1.0, "real"), ("b", 0.87, "real")]
    assert "score REAL" in query(out, "SELECT sql FROM sqlite_master WHERE name = 't'")[0][0].replace('"', "")


def test_a_column_declared_from_a_null_takes_numbers(tmp_path: Path) -> None:
    base = database(tmp_path / "a.db", "CREATE TABLE t (id TEXT PRIMARY KEY, score TEXT)", rows=[("a", None)])
    new = database(tmp_path / "b.db", "CREATE TABLE t (id TEXT PRIMARY KEY, score REAL)", rows=[("b", 0.87)])
    assert query(merged(tmp_path, base, new), "SELECT score, typeof(score) FROM t") == [(None, "null"), (0.87, "real")]


def test_a_large_integer_is_not_rounded_by_a_float_beside_it(tmp_path: Path) -> None:
    large = 2**63 - 1
    base = database(tmp_path / "a.db", "CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER)", rows=[("a", large)])
    new = database(tmp_path / "b.db", "CREATE TABLE t (id TEXT PRIMARY KEY, n REAL)", rows=[("b", 0.5)])
    assert query(merged(tmp_path, base, new), "SELECT n FROM t ORDER BY id") == [(large,), (0.5,)]


def test_text_against_numbers_names_file_table_column_and_both_types(tmp_path: Path) -> None:
    base = database(tmp_path / "a.db", "CREATE TABLE t (id TEXT PRIMARY KEY, n REAL)", rows=[("a", 1.5)])
    new = database(tmp_path / "b.db", "CREATE TABLE t (id TEXT PRIMARY KEY, n TEXT)", rows=[("b", "high")])
    with pytest.raises(BadInput) as caught:
        merged(tmp_path, base, new)
    assert str(caught.value).startswith(f"{new}: table 't', column 'n' holds text, others numbers")


@pytest.mark.parametrize(
    ("kind", "value", "other", "odd"), [("REAL", 1.5, "TEXT", "high"), ("TEXT", "high", "REAL", 1.5)]
)
def test_the_file_that_is_unlike_the_base_is_named_whichever_comes_first(
    tmp_path: Path, kind: str, value: Any, other: str, odd: Any
) -> None:
    made = "CREATE TABLE t (id TEXT PRIMARY KEY, n {})"
    base = database(tmp_path / "base.db", made.format(kind), rows=[("a", value)])
    alike = database(tmp_path / "b.db", made.format(kind), rows=[("b", value)])
    unlike = database(tmp_path / "c.db", made.format(other), rows=[("c", odd)])
    for sources in ([alike, unlike], [unlike, alike]):
        with pytest.raises(BadInput) as caught:
            merged(tmp_path, base, *sources)
        assert str(caught.value).startswith(f"{unlike}: table 't', column 'n' holds ")
    with pytest.raises(BadInput) as caught:
        merged(tmp_path, None, alike, unlike)
    assert str(caught.value).startswith(f"{unlike}: table 't', column 'n' holds "), (
        "the first of them says what is usual"
    )


def test_every_storage_class_arrives_as_it_left(tmp_path: Path) -> None:
    values = [None, "", "0", b"", b"\x00\xff", 0, -(2**63), 2**63 - 1, 0.1, 1e308, math.inf, "é\n'\"", "null"]
    rows = list(enumerate(values))
    new = database(tmp_path / "b.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, v)", rows=rows)
    base = database(tmp_path / "a.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, v)", rows=[(99, "old")])
    out = merged(tmp_path, base, new)
    assert query(out, "SELECT id, v FROM t WHERE id < 99 ORDER BY id") == rows
    classes = "SELECT typeof(v) FROM t WHERE id < 99 ORDER BY id"
    assert query(out, classes) == query(new, classes)


def test_columns_in_another_order_new_and_missing_ones(tmp_path: Path) -> None:
    base = database(
        tmp_path / "a.db", "CREATE TABLE t (id TEXT PRIMARY KEY, a REAL, gone TEXT)", rows=[("x", 1.0, "g")]
    )
    new = database(
        tmp_path / "b.db", "CREATE TABLE t (fresh REAL, a REAL, id TEXT PRIMARY KEY)", rows=[(3.0, 2.0, "y")]
    )
    out = merged(tmp_path, base, new)
    assert query(out, "SELECT id, a, gone, fresh FROM t") == [("x", 1.0, "g", None), ("y", 2.0, None, 3.0)]


@pytest.mark.parametrize("name", ["order", "a b", 'q"t', "it's", "é", "select", "1st", "[x]", "`y`", "%"])
def test_names_that_need_quoting(tmp_path: Path, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    for file, row in (("a.db", ("1", 1.0)), ("b.db", ("2", 2.0))):
        create = f"CREATE TABLE {quoted} (id TEXT PRIMARY KEY, {quoted} REAL)"
        with closing(sqlite3.connect(tmp_path / file)) as connection, connection:
            connection.execute(create)
            connection.execute(f"INSERT INTO {quoted} VALUES (?, ?)", row)
    out = merged(tmp_path, tmp_path / "a.db", tmp_path / "b.db")
    assert query(out, f"SELECT * FROM {quoted}") == [("1", 1.0), ("2", 2.0)]


def test_case_variants_of_a_column_are_one_column(tmp_path: Path) -> None:
    base = database(tmp_path / "a.db", "CREATE TABLE t (id TEXT PRIMARY KEY, Acc REAL)", rows=[("x", 1.0)])
    new = database(tmp_path / "b.db", "CREATE TABLE t (ID TEXT PRIMARY KEY, acc REAL)", rows=[("y", 2.0)])
    assert query(merged(tmp_path, base, new), "SELECT * FROM t") == [("x", 1.0), ("y", 2.0)]


def test_null_in_the_identity_equals_null(tmp_path: Path) -> None:
    create = "CREATE TABLE t (a TEXT, b TEXT, v REAL, PRIMARY KEY (a, b))"
    base = database(tmp_path / "a.db", create, rows=[(None, "x", 1.0)])
    new = database(tmp_path / "b.db", create, rows=[(None, "x", 1.0), (None, "y", 2.0)])
    assert query(merged(tmp_path, base, new), "SELECT * FROM t") == [(None, "x", 1.0), (None, "y", 2.0)]


def test_indexes_and_declared_types_of_the_base_stay(tmp_path: Path) -> None:
    base = database(
        tmp_path / "a.db",
        "CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER, note VARCHAR(20))",
        "CREATE INDEX by_note ON t (note)",
        rows=[("a", 1, "x")],
    )
    new = database(tmp_path / "b.db", "CREATE TABLE t (id TEXT PRIMARY KEY, n REAL, note TEXT)", rows=[("b", 0.5, "y")])
    out = merged(tmp_path, base, new)
    assert query(out, "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL") == [("by_note",)]
    assert [row[2] for row in query(out, "PRAGMA table_info(t)")][:2] == ["TEXT", "REAL"]
    assert query(out, "PRAGMA integrity_check") == [("ok",)]


def test_a_source_that_is_being_written_is_read_with_its_log(tmp_path: Path) -> None:
    source = tmp_path / "live.db"
    with closing(sqlite3.connect(source)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE t (id TEXT PRIMARY KEY)")
        writer.execute("INSERT INTO t VALUES ('committed')")
        writer.commit()
        writer.execute("INSERT INTO t VALUES ('not yet')")
        assert (tmp_path / "live.db-wal").stat().st_size > 0
        assert query(merged(tmp_path, None, source), "SELECT id FROM t") == [("committed",)]


def test_a_base_that_is_being_written_is_read_with_its_log(tmp_path: Path) -> None:
    base = tmp_path / "base.db"
    new = database(tmp_path / "b.db", "CREATE TABLE t (id TEXT PRIMARY KEY)", rows=[("new",)])
    with closing(sqlite3.connect(base)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE t (id TEXT PRIMARY KEY)")
        writer.execute("INSERT INTO t VALUES ('logged')")
        writer.commit()
        assert query(merged(tmp_path, base, new), "SELECT id FROM t") == [("logged",), ("new",)]


def test_asset_tables_and_tables_of_one_side_come_along(tmp_path: Path) -> None:
    base = database(tmp_path / "a.db", "CREATE TABLE mine (x TEXT)", "CREATE TABLE assets (key TEXT PRIMARY KEY, value BLOB)",
                    rows=[("h1", b"1")], table="assets")  # fmt: skip
    new = database(tmp_path / "b.db", "CREATE TABLE theirs (y TEXT)", "CREATE TABLE assets (key TEXT PRIMARY KEY, value BLOB)",
                   rows=[("h1", b"1"), ("h2", b"2")], table="assets")  # fmt: skip
    out = merged(tmp_path, base, new)
    assert query(out, "SELECT * FROM assets") == [("h1", b"1"), ("h2", b"2")]
    names = {row[0] for row in query(out, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert names == {"mine", "assets", "theirs"}


def test_reading_sources_changes_no_byte_of_them(tmp_path: Path) -> None:
    new = database(tmp_path / "b.db", "CREATE TABLE t (id TEXT PRIMARY KEY)", rows=[("b",)])
    before = new.read_bytes()
    merged(tmp_path, None, new)
    assert new.read_bytes() == before and sorted(path.name for path in tmp_path.iterdir()) == ["b.db", "out.db"]


def text_file(path: Path) -> None:
    path.write_text("id,score\n1,2\n", encoding="utf-8")


def corrupt(path: Path) -> None:
    rows = [(str(number), "x" * 100) for number in range(2000)]
    database(path, "CREATE TABLE t (id TEXT PRIMARY KEY, v TEXT)", rows=rows)
    content = bytearray(path.read_bytes())
    content[8192:16384] = b"\xa5" * 8192
    path.write_bytes(content)


def truncated(path: Path) -> None:
    corrupt(path)
    path.write_bytes(path.read_bytes()[:5000])


BROKEN = {
    "text file": (text_file, "is not a SQLite database (its first bytes differ)"),
    "zero bytes": (lambda path: path.touch(), "is not a SQLite database (it is empty)"),
    "folder": (lambda path: path.mkdir(), "is a folder, not a SQLite database"),
    "missing": (lambda path: None, "does not exist"),
    "corrupt": (corrupt, "database disk image is malformed"),
    "truncated": (truncated, "database disk image is malformed"),
}


@pytest.mark.parametrize("role", ["source", "base"])
@pytest.mark.parametrize(("spoil", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_databases(tmp_path: Path, spoil: Any, message: str, role: str) -> None:
    good = database(tmp_path / "good.db", "CREATE TABLE t (id TEXT PRIMARY KEY, v TEXT)", rows=[("g", "v")])
    broken = tmp_path / "broken.db"
    spoil(broken)
    base, source = (broken, good) if role == "base" else (good, broken)
    before = good.read_bytes()
    with pytest.raises(LineageError) as caught:
        merged(tmp_path, base, source)
    assert str(broken) in str(caught.value) and message in str(caught.value)
    assert good.read_bytes() == before


def test_a_conflict_shows_up_to_five_samples_with_both_values(tmp_path: Path) -> None:
    create = "CREATE TABLE t (id INTEGER PRIMARY KEY, v REAL)"
    base = database(tmp_path / "a.db", create, rows=[(number, 0.5) for number in range(8)])
    new = database(tmp_path / "b.db", create, rows=[(number, 0.7) for number in range(8)])
    with pytest.raises(Refused) as caught:
        merged(tmp_path, base, new)
    lines = str(caught.value).splitlines()
    assert lines[0] == "t: 8 incoming rows have the identity of another row and different contents (earlier | later):"
    assert lines[1:6] == [f"  id={number} — v: 0.5 | 0.7" for number in range(5)] and lines[6].startswith("  → ")


def test_the_newest_wins_by_its_timestamp(tmp_path: Path) -> None:
    create = "CREATE TABLE t (id TEXT PRIMARY KEY, timestamp TEXT, v REAL)"
    base = database(tmp_path / "a.db", create, rows=[("a", "2026-01-02", 1.0), ("b", "2026-01-02", 1.0)])
    new = database(tmp_path / "b.db", create, rows=[("a", "2026-01-03", 2.0), ("b", "2026-01-01", 2.0)])
    out = merged(tmp_path, base, new, rules=Rules("merge", on_conflict="newest"))
    assert query(out, "SELECT id, v FROM t ORDER BY id") == [("a", 2.0), ("b", 1.0)]


def test_recorded_rows_are_looked_for_cell_by_cell(tmp_path: Path) -> None:
    create = "CREATE TABLE t (id TEXT PRIMARY KEY, v REAL)"
    recorded = database(tmp_path / "a.db", create, rows=[("a", 1.0)])
    more = database(tmp_path / "b.db", create, rows=[("a", 1.0), ("b", None)])
    changed = database(tmp_path / "c.db", create, rows=[("a", 1.5), ("b", None)])
    assert holds_all_rows([more], [recorded]) and not holds_all_rows([recorded], [more])
    assert not holds_all_rows([changed], [recorded])


def test_equal_rows_are_looked_for_as_often_as_they_were_recorded(tmp_path: Path) -> None:
    create = "CREATE TABLE t (id TEXT, v REAL)"
    twice, thrice = ([("a", None)] * times for times in (2, 3))
    recorded = database(tmp_path / "a.db", create, rows=[*twice, ("b", 1.0)])
    more = database(tmp_path / "b.db", create, rows=[("b", 1.0), *thrice])
    assert holds_all_rows([more], [recorded]) and not holds_all_rows([recorded], [more])


COPIED = "CREATE TABLE t (id TEXT PRIMARY KEY, version TEXT, v REAL)"


@pytest.mark.parametrize("strategy", ["merge", "rebase"])
def test_a_copy_of_main_brings_in_only_what_changed_since(tmp_path: Path, strategy: str) -> None:
    ancestor = database(tmp_path / "then.db", COPIED, rows=[("a", "e1", 1.0), ("b", "e1", 1.0)])
    main = database(tmp_path / "now.db", COPIED, rows=[("a", "e1", 9.0), ("c", "e1", 3.0)])  # a is newer, b was dropped
    copy = database(tmp_path / "copy.db", COPIED, rows=[("a", "e1", 1.0), ("b", "e1", 1.0), ("d", "e2", 4.0)])
    rules = Rules(strategy, ("version",), ancestors={copy: ancestor})
    out = merged(tmp_path, main, copy, rules=rules)
    assert query(out, "SELECT * FROM t ORDER BY id") == [("a", "e1", 9.0), ("c", "e1", 3.0), ("d", "e2", 4.0)]


def test_a_row_that_both_sides_changed_is_a_conflict(tmp_path: Path) -> None:
    ancestor = database(tmp_path / "then.db", COPIED, rows=[("a", "e1", 1.0)])
    main = database(tmp_path / "now.db", COPIED, rows=[("a", "e1", 9.0)])
    copy = database(tmp_path / "copy.db", COPIED, "ALTER TABLE t ADD COLUMN gpu TEXT", rows=[("a", "e1", 1.0, "A100")])
    with pytest.raises(Refused, match=r"id='a' — v: 9\.0 \| 1\.0, gpu: None \| 'A100'"):
        merged(tmp_path, main, copy, rules=Rules("merge", ancestors={copy: ancestor}))


def test_files_folders_and_globs(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.db", "a.db", "deep/c.db", ".hidden.db", "notes.txt"):
        (tmp_path / name).touch()
    names = ["a.db", "b.db", "deep/c.db"]
    assert expand([str(tmp_path)], DATABASES) == [tmp_path / name for name in names]
    assert expand([str(tmp_path / "*.db")], DATABASES) == [tmp_path / "a.db", tmp_path / "b.db"]
    assert expand([str(tmp_path / "b.db"), str(tmp_path)], DATABASES)[0] == tmp_path / "b.db"
    with pytest.raises(BadInput, match=r"matches no \.db or \.sqlite"):
        expand([str(tmp_path / "x*.db")], DATABASES)
