"""Databases and parquet files as they are found in the wild: each of these has cost somebody an evening."""

from __future__ import annotations

import decimal
import json
import math
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import SOURCE

from lineage.core.errors import BadInput, LineageError, Refused
from lineage.extras.merge_artifacts.databases import merge_databases
from lineage.extras.merge_artifacts.given_files import expand
from lineage.merge.data import merge_data
from lineage.merge.inbox import DATABASES
from lineage.merge.rules import Rules
from lineage.tables.kept_rows import holds_all_rows
from lineage.tables.parquet_types import widest

MERGE = Rules("merge")


def database(path: Path, *statements: str, rows: Sequence[tuple[Any, ...]] = (), table: str = "t") -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
        if rows:
            connection.executemany(f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(rows[0]))})', rows)
    return path


def query(path: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


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


# Parquet


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def rows_of(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


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


def test_options_take_several_values_at_once(tmp_path: Path) -> None:
    from lineage.extras.merge_artifacts.command import spread

    words = ["--strategy", "merge", "--exp-db", "a", "b", "--exp-db=c", "--key-columns", "x", "y", "--dry-run"]
    assert list(spread(words)) == (
        [
            "--strategy",
            "merge",
            "--exp-db",
            "a",
            "--exp-db",
            "b",
            "--exp-db=c",
            "--key-columns",
            "x",
            "--key-columns",
            "y",
            "--dry-run",
        ]
    )


def command(folder: Path, *words: str, code: int = 0, answer: str = "") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-B", str(SOURCE / "scripts/merge_artifacts.py"), *words],
        cwd=folder, capture_output=True, text=True, input=answer, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_a_dry_run_shows_the_plan_and_changes_nothing(tmp_path: Path) -> None:
    create = "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)"
    database(tmp_path / "base.db", create, rows=[(1, 1), (2, 2)])
    database(
        tmp_path / "new.db",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v REAL, w TEXT)",
        rows=[(2, 0.5, "x"), (3, 3.0, "y")],
    )
    before = (tmp_path / "base.db").read_bytes()
    words = ["--base-db", "base.db", "--exp-db", "new.db", "--output-db", "base.db", "--dry-run"]
    fits = "rebase: 1 incoming rows have known keys and changed values, which merge would not take"
    assert command(tmp_path, "--strategy", "merge", *words).stdout.splitlines() == [
        "merge t: +1 ~0 =0 !1, new columns: w, wider types: v INTEGER → REAL",
        "  id=2 — v: 2.0 | 0.5, w: None | 'x'",
        f"recommended — {fits}",
    ]
    as_json = ["--strategy", "rebase", "--key-columns", "id", "--format", "json"]
    told = json.loads(command(tmp_path, *as_json, *words).stdout)
    assert told["recommended"] == fits, "the same, whichever strategy it is asked with"
    [plan] = told["plans"]
    assert (plan["added"], plan["replaced"], plan["present"], plan["new_columns"]) == (2, 1, 0, ["w"])
    assert (tmp_path / "base.db").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".db") == ["base.db", "new.db"]


@pytest.mark.slow
def test_a_rebase_by_hand_asks_with_counts(tmp_path: Path) -> None:
    for name, value in (("base", 1), ("new", 2)):
        parquet(tmp_path / f"{name}.parquet", id=[1, 2], v=[value, 9])
    words = ["--strategy", "rebase", "--key-columns", "id", "--base-data", "base.parquet", "--exp-data", "new.parquet"]
    words += ["--output-data", "out.parquet"]
    done = command(tmp_path, *words, code=1, answer="n\n")
    assert "out.parquet: +1 ~1 =1 !0\nReplace 1 rows of out.parquet? [y/N]" in done.stdout
    assert "error: not confirmed; nothing was changed" in done.stderr and not (tmp_path / "out.parquet").exists()
    command(tmp_path, *words, answer="y\n")
    assert sorted(row["v"] for row in rows_of(tmp_path / "out.parquet")) == [2, 9]
    command(tmp_path, *words, "--yes")  # the same bytes again
    parquet(tmp_path / "new.parquet", id=[1, 2], v=[3, 9])
    assert command(tmp_path, *words, "--yes", code=1).stderr == (
        "error: out.parquet would be replaced, and its bytes are recorded nowhere\n"
        "  → mv out.parquet out.parquet.old   # or: dvc add out.parquet; by hand --backup-tag NAME pins it\n"
    )


MISTAKES = {
    "nothing": ([], "error: nothing to merge: give --exp-db or --exp-data"),
    "no output": (
        ["--strategy", "merge", "--exp-db", "x.db"],
        "error: --strategy and --output-db (or --output-data) are needed",
    ),
    "no such base": (
        ["--strategy", "merge", "--base-db", "y.db", "--exp-db", "x.db", "--output-db", "o.db"],
        "error: y.db does not exist; leave the option out to start without a base",
    ),
    "no such source": (
        ["--strategy", "merge", "--exp-db", "z*.db", "--output-db", "o.db"],
        "error: z*.db matches no .db or .sqlite or .sqlite3 or .duckdb file",
    ),
    "rebase by nothing": (
        ["--strategy", "rebase", "--exp-db", "x.db", "--output-db", "o.db"],
        "error: rebase needs key columns: what decides which rows are replaced?",
    ),
    "no such table": (
        ["--strategy", "merge", "--exp-db", "x.db", "--output-db", "o.db", "--table", "runs"],
        "error: table 'runs' is in none of the 1 incoming databases; they have: t",
    ),
}


@pytest.mark.parametrize(("words", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_on_the_command_line(tmp_path: Path, words: list[str], message: str) -> None:
    database(tmp_path / "x.db", "CREATE TABLE t (id TEXT PRIMARY KEY)", rows=[("a",)])
    assert command(tmp_path, *words, code=2).stderr.splitlines()[0] == message
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["x.db"]
