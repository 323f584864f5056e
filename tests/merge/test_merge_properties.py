"""Merge and rebase against the oracle, for databases and parquet, on whatever hypothesis comes up with."""

from __future__ import annotations

import math
import os
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import oracle
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineage.core.errors import Refused
from lineage.extras.merge_artifacts.databases import merge_databases
from lineage.merge.data import merge_data
from lineage.merge.rules import Rules
from lineage.tables.as_sqlite import create_statement
from lineage.tables.sql import quote_all
from lineage.tables.sqlite_files import Column, Table

pytestmark = pytest.mark.slow  # 12 tests of 100 examples; MERGE_EXAMPLES=2000 for a night
NAMES = ["id", "k", "order", "a b", 'q"t', "é", "Val"]
KINDS = {"id": "INTEGER", "k": "TEXT", "order": "REAL", "a b": "TEXT", 'q"t': "INTEGER", "é": "BLOB", "Val": "REAL"}
ARROW = {"INTEGER": pa.int64(), "TEXT": pa.string(), "REAL": pa.float64(), "BLOB": pa.binary()}
MANY = settings(
    max_examples=int(os.environ.get("MERGE_EXAMPLES", "100")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def value(name: str) -> st.SearchStrategy[Any]:
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "INTEGER": st.integers(-(2**63), 2**63 - 1) | st.integers(0, 2),
        # SQLite's file format has no negative zero (sqlite.org/fileformat.html); NaN is stored as NULL
        "REAL": st.floats(allow_nan=False, allow_infinity=True).map(lambda number: number + 0.0),
        "TEXT": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3) | st.just(""),
        "BLOB": st.binary(max_size=3),
    }
    return st.none() | kinds[KINDS[name]]


def small(name: str) -> st.SearchStrategy[Any]:
    """Values that collide often, for identities and keys; NULL is one of them."""
    return st.sampled_from([None, 0, 1, 2]) if name == "id" else st.sampled_from([None, "", "x"])


@st.composite
def sheets(draw: st.DrawFn, rarely: bool = False) -> tuple[oracle.Sheet | None, list[oracle.Sheet], list[str]]:
    """A base (or none), one to three sources, and the identity (empty: the whole row). `rarely`: ids seldom collide."""
    identity = draw(st.sampled_from([["id"], ["id", "k"], *([] if rarely else [[]])]))

    def sheet() -> oracle.Sheet:
        extra = draw(st.lists(st.sampled_from(NAMES[2:]), unique=True, max_size=3))
        columns = draw(st.permutations(["id", "k", *extra]))
        kinds = {name: small(name) if name in ("id", "k") else value(name) for name in columns}
        kinds.update({"id": st.integers(-200, 200), "k": st.text("xyz", max_size=2)} if rarely else {})
        row = st.fixed_dictionaries(kinds)
        unique = (lambda row: oracle.key(row, identity)) if identity and (rarely or draw(st.booleans())) else None
        return oracle.Sheet(columns, draw(st.lists(row, max_size=5, unique_by=unique)))

    base = sheet() if draw(st.booleans()) else None
    if base and identity:
        base.rows = list({oracle.key(row, identity): row for row in base.rows}.values())
    return base, [sheet() for _ in range(draw(st.integers(1, 3)))], identity


def write_database(path: Path, sheet: oracle.Sheet, identity: Sequence[str]) -> None:
    """A table `t`; NULL may stand in a primary key of SQLite, and there equals nothing, so sources may repeat it."""
    unique = len({oracle.key(row, identity) for row in sheet.rows}) == len(sheet.rows) and identity
    places = {name: place for place, name in enumerate(identity, 1)} if unique else {}
    # an INTEGER alone would be the rowid, and never NULL
    kinds = {**KINDS, "id": "INT"}
    columns = tuple(Column(name, kinds[name], places.get(name, 0)) for name in sheet.columns)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(create_statement(Table("t", columns)))
        marks = ", ".join("?" * len(columns))
        rows = [tuple(row[name] for name in sheet.columns) for row in sheet.rows]
        connection.executemany(f"INSERT INTO t ({quote_all(sheet.columns)}) VALUES ({marks})", rows)
    connection.close()


def read_database(path: Path) -> list[oracle.Row]:
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    rows = [dict(row) for row in connection.execute("SELECT * FROM t ORDER BY rowid")]
    connection.close()
    return rows


def write_parquet(path: Path, sheet: oracle.Sheet) -> None:
    arrays = [pa.array([row[name] for row in sheet.rows], ARROW[KINDS[name]]) for name in sheet.columns]
    pq.write_table(pa.Table.from_arrays(arrays, names=sheet.columns), path)


def frozen(row: oracle.Row, columns: Sequence[str]) -> tuple[Any, ...]:
    """A row as something to count, in which 1 and 1.0, and 0.0 and -0.0, differ."""
    values = [row.get(name) for name in columns]
    return tuple((type(v).__name__, v, math.copysign(1, v) if isinstance(v, float) else 0) for v in values)


def check(found: list[oracle.Row], expected: list[oracle.Row], kept: int) -> None:
    """Same rows, cell by cell; the first `kept` in the same order."""
    columns = sorted({name for row in [*found, *expected] for name in row})
    assert Counter(frozen(row, columns) for row in found) == Counter(frozen(row, columns) for row in expected)
    assert [frozen(row, columns) for row in found[:kept]] == [frozen(row, columns) for row in expected[:kept]]


def sides(base: oracle.Sheet | None) -> list[oracle.Row]:
    return base.rows if base else []


@pytest.mark.parametrize("on_conflict", ["fail", "base", "incoming"])
@MANY
@given(made=sheets())
def test_databases_merge_as_the_oracle_says(made: Any, on_conflict: str) -> None:
    run_database(made, "merge", [], on_conflict)


@pytest.mark.parametrize("keys", [["id"], ["k"], ["id", "k"]], ids=str)
@MANY
@given(made=sheets())
def test_databases_rebase_as_the_oracle_says(made: Any, keys: list[str]) -> None:
    run_database(made, "rebase", keys, "fail")


@MANY
@given(made=sheets(rarely=True), data=st.data())
def test_rows_that_are_mostly_new_are_appended_in_an_order_of_their_own(made: Any, data: st.DataObject) -> None:
    """All sides have the primary key, so that nothing is compared as long as no key collides.

    A row that two sources send arrives with the first of them, so its place depends on their order.
    """
    base, sources, identity = made
    keys = [oracle.key(row, identity) for sheet in sources for row in sheet.rows]
    collide = len(keys) != len(set(keys))
    run_database(made, "merge", [], "fail", keyed=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for place, sheet in enumerate([*sources, *([base] if base else [])]):
            write_database(folder / f"{place}.db", sheet, identity)
        old = folder / f"{len(sources)}.db" if base else None
        written = []
        for order in (range(len(sources)), data.draw(st.permutations(range(len(sources))))):
            out = folder / f"out{len(written)}.db"
            try:
                merge_databases(old, [folder / f"{place}.db" for place in order], out, Rules("merge"))
                written.append(by_key(read_database(out), identity) if collide else out.read_bytes())
            except Refused:
                written.append("refused")
        assert written[0] == written[1]


def by_key(rows: list[oracle.Row], identity: Sequence[str]) -> list[tuple[Any, ...]]:
    """All cells, in the order of the keys, which are unique and never NULL here."""
    columns = sorted({name for row in rows for name in row})
    return [frozen(row, columns) for row in sorted(rows, key=lambda row: oracle.key(row, identity))]


def run_database(made: Any, strategy: str, keys: list[str], on_conflict: str, keyed: bool = False) -> None:
    base, sources, identity = made
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for place, sheet in enumerate(sources):
            write_database(folder / f"{place}.db", sheet, identity if keyed else [])
        if base:
            write_database(folder / "base.db", base, identity)
        primary = bool((base or keyed) and identity)
        paths = [folder / f"{place}.db" for place in range(len(sources))]
        rules = Rules(strategy, tuple(keys), on_conflict=on_conflict)
        known = identity if primary else []
        old = folder / "base.db" if base else None
        try:
            expected = oracle.combine(base, sources, strategy, known, keys, on_conflict)
        except oracle.Conflict:
            with pytest.raises(Refused, match="identity of another row and different contents"):
                merge_databases(old, paths, folder / "out.db", rules)
            return
        merge_databases(old, paths, folder / "out.db", rules)
        kept = len(sides(base)) if strategy == "merge" and on_conflict != "incoming" else 0
        check(read_database(folder / "out.db"), expected, kept)
        again = merge_databases(folder / "out.db", paths, folder / "again.db", rules)
        assert all(plan.is_empty for plan in again), again
        merge_databases(old, paths, folder / "same.db", rules)
        assert (folder / "same.db").read_bytes() == (folder / "out.db").read_bytes()


@pytest.mark.parametrize("on_conflict", ["fail", "base", "incoming"])
@MANY
@given(made=sheets())
def test_parquet_merges_as_the_oracle_says(made: Any, on_conflict: str) -> None:
    run_parquet(made, "merge", on_conflict)


@MANY
@given(made=sheets())
def test_parquet_rebases_as_the_oracle_says(made: Any) -> None:
    run_parquet((made[0], made[1], made[2] or ["id"]), "rebase", "fail")


def run_parquet(made: Any, strategy: str, on_conflict: str) -> None:
    base, sources, identity = made
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for place, sheet in enumerate([*sources, *([base] if base else [])]):
            write_parquet(folder / f"{place}.parquet", sheet)
        paths = [folder / f"{place}.parquet" for place in range(len(sources))]
        old = folder / f"{len(sources)}.parquet" if base else None
        rules = Rules(strategy, tuple(identity), on_conflict=on_conflict)
        try:
            expected = oracle.combine(base, sources, strategy, identity, identity, on_conflict)
        except oracle.Conflict:
            with pytest.raises(Refused, match="identity of another row and different contents"):
                merge_data([old] if old else [], paths, folder / "out", rules, "data")
            return
        merge_data([old] if old else [], paths, folder / "out", rules, "data")
        kept = len(sides(base)) if strategy == "merge" and on_conflict != "incoming" else 0
        check(pq.read_table(folder / "out").to_pylist(), expected, kept)
        assert merge_data([folder / "out"], paths, folder / "again", rules, "data").is_empty
        merge_data([old] if old else [], paths, folder / "same", rules, "data")
        assert (folder / "same").read_bytes() == (folder / "out").read_bytes()


@MANY
@given(made=sheets(), data=st.data())
def test_the_order_of_the_sources_does_not_matter_where_keys_do_not_collide(made: Any, data: st.DataObject) -> None:
    base, sources, identity = made
    order = data.draw(st.permutations(range(len(sources))))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for place, sheet in enumerate(sources):
            write_database(folder / f"{place}.db", sheet, [])
        if base:
            write_database(folder / "base.db", base, identity)
        old, rules = folder / "base.db" if base else None, Rules("merge")
        try:
            merge_databases(old, [folder / f"{place}.db" for place in range(len(sources))], folder / "a.db", rules)
        except Refused:
            with pytest.raises(Refused):
                merge_databases(old, [folder / f"{place}.db" for place in order], folder / "b.db", rules)
            return
        merge_databases(old, [folder / f"{place}.db" for place in order], folder / "b.db", rules)
        kept = len(sides(base))
        check(read_database(folder / "a.db"), read_database(folder / "b.db"), kept)
