"""Three versions of rows become one as `git merge` merges lines: every random history against an oracle in plain Python."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lineage.core.paths import TRAIN_DATA
from lineage.extras.compare.data import recorded_data
from lineage.extras.git_merge.outputs import Hashes, merge_training_data
from lineage.extras.git_merge.three_way import Conflict
from lineage.extras.git_merge.three_way_files import merge_three_data_files, merge_three_databases
from lineage.tables.parts import RECORD, part_name, parts_of
from lineage.tracked.cache import store
from lineage.tracked.hashes import file_md5
from lineage.tracked.remote import listing

EXAMPLES = int(os.environ.get("MERGE_EXAMPLES", "500"))
"""Random histories for each kind of file: 1,000 in all, and as many as for one when an experiment is collected."""


def examples(number: int) -> settings:
    return settings(
        max_examples=number,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=[Phase.generate],
    )


Row = dict[str, Any]
Rows = dict[int, Row]
"""By key: the values of a row; a column that is not named is NULL."""

TYPES = {"n": "BIGINT", "t": "VARCHAR", "left_only": "BIGINT", "right_only": "BIGINT", "shared": "BIGINT"}
NUMBERS = st.one_of(st.none(), st.integers(0, 3))
VALUES = {"n": NUMBERS, "t": st.one_of(st.none(), st.sampled_from(["", "1", "x", "é"]))}
CELLS = st.sampled_from(list(VALUES)).flatmap(lambda name: st.tuples(st.just(name), VALUES[name]))
KEYS = st.integers(0, 7)


@st.composite
def changed(draw: st.DrawFn, before: Rows, new_column: str) -> Rows:
    """What a branch makes of rows: it adds, changes, drops, replaces whole ones (rebase), and adds a column."""
    rows = {key: dict(row) for key, row in before.items()}
    for _ in range(draw(st.integers(0, 6))):
        key = draw(KEYS)
        what = draw(st.sampled_from(["merge", "rebase", "change", "drop", "column"]))
        if what == "drop":
            rows.pop(key, None)
        elif what == "change" and key in rows:
            name, value = draw(CELLS)
            rows[key][name] = value
        elif what == "column" and key in rows:
            rows[key][draw(st.sampled_from([new_column, "shared"]))] = draw(NUMBERS)
        elif what == "rebase" or (what == "merge" and key not in rows):
            rows[key] = {name: draw(values) for name, values in VALUES.items()}
    return rows


@st.composite
def histories(draw: st.DrawFn) -> tuple[Rows, Rows, Rows]:
    base = draw(changed({}, "n"))
    return base, draw(changed(base, "left_only")), draw(changed(base, "right_only"))


def as_git_merges(base: Rows, ours: Rows, theirs: Rows, may_drop: bool) -> tuple[Rows, set[tuple[int, str]]]:
    """The oracle: rows of both, and (key, column) of every cell that both sides changed differently.

    What theirs dropped and ours left alone is gone, if theirs may drop anything: an experiment may not.
    """
    merged: Rows = {}
    conflicts = set()
    for key in {*ours, *theirs}:
        old, mine, other = (side.get(key) for side in (base, ours, theirs))
        if mine is None or other is None:
            only = other if mine is None else mine
            is_kept = mine is not None and not may_drop
            if is_kept or old is None or any(old.get(name) != only.get(name) for name in TYPES):
                merged[key] = only
            continue
        merged[key] = {}
        for name in TYPES:
            then, here, there = (old or {}).get(name), mine.get(name), other.get(name)
            if here != there and then not in (here, there):
                conflicts.add((key, name))
            merged[key][name] = there if here == then else here
    return merged, conflicts


def columns_of(*sides: Rows) -> list[str]:
    """Of a file: a merge and a rebase keep the columns that were there before."""
    used = {name for rows in sides for row in rows.values() for name in row}
    return [name for name in TYPES if name in used or name in VALUES]


def parquet(path: Path, rows: Rows, keyed: bool, names: list[str]) -> Path:
    columns = {"id": pa.array(rows, pa.int64())} if keyed else {}
    for name in names:
        kind = pa.string() if name == "t" else pa.int64()
        columns[name] = pa.array([row.get(name) for row in rows.values()], kind)
    pq.write_table(pa.table(columns), path, store_schema=False)  # as DuckDB, which writes parts
    return path


def database(path: Path, rows: Rows, keyed: bool, names: list[str]) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        declared = ", ".join(f"{name} {'TEXT' if name == 't' else 'INTEGER'}" for name in names)
        connection.execute(f"CREATE TABLE t ({'id INTEGER PRIMARY KEY, ' if keyed else ''}{declared})")
        marks = ", ".join("?" * (len(names) + keyed))
        for key, row in rows.items():
            values = [row.get(name) for name in names]
            connection.execute(f"INSERT INTO t VALUES ({marks})", [key, *values] if keyed else values)
    return path


def read(path: Path) -> list[Row]:
    if path.suffix == ".db":
        with closing(sqlite3.connect(path)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute("SELECT * FROM t")]
    return pq.read_table(path).to_pylist()


def merged_files(
    folder: Path, kind: str, keyed: bool, sides: list[Rows], may_drop: bool = True
) -> tuple[Path, list[Conflict]]:
    make = parquet if kind == "parquet" else database
    files = [
        make(folder / f"{number}.{kind}", rows, keyed, columns_of(rows, sides[0])) for number, rows in enumerate(sides)
    ]
    output = folder / f"merged.{kind}"
    if kind == "parquet":
        ancestor, *others = files
        return output, merge_three_data_files([*others, ancestor], output, ("id",) if keyed else (), "data")
    return output, merge_three_databases(*files, output, may_drop)


def full(row: Row) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in ("id", *TYPES))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "may_drop"), [("parquet", True), ("db", True), ("db", False)])
@examples(EXAMPLES)
@given(history=histories(), swapped=st.booleans())
def test_rows_of_two_branches_are_merged_as_the_oracle_says_whichever_side_is_ours(
    kind: str, may_drop: bool, history: tuple[Rows, Rows, Rows], swapped: bool
) -> None:
    base, left, right = history
    sides = [base, right, left] if swapped else [base, left, right]
    expected, cells = as_git_merges(*sides, may_drop)
    with TemporaryDirectory() as folder:
        output, conflicts = merged_files(Path(folder), kind, True, sides, may_drop)
        assert {(int(one.key.removeprefix("id=")), one.column) for one in conflicts} == cells
        for one in conflicts:
            key = int(one.key.removeprefix("id="))
            old, mine, other = (side.get(key, {}).get(one.column) for side in sides)
            assert (one.base, one.ours, one.theirs) == (old, mine, other)
        if not conflicts:
            rows = Counter(full({"id": key, **row}) for key, row in expected.items())
            assert Counter(map(full, read(output))) == rows


def parts(path: Path, rows: Rows, keyed: bool, names: list[str]) -> Path:
    """Three neighbouring keys to a part: equal rows are equal bytes, as in parts that a merge has left alone."""
    path.mkdir()
    for place in {RECORD, *(f"{1 + key // 3:06}" for key in rows)}:
        own = {key: row for key, row in rows.items() if f"{1 + key // 3:06}" == place}
        file = parquet(path / "new", own, keyed, names)
        file.rename(path / part_name(place, file_md5(file)))
    return path


@pytest.mark.slow
@examples(EXAMPLES // 10)
@given(history=histories(), keyed=st.booleans(), layouts=st.tuples(*[st.booleans()] * 3))
def test_parts_give_the_rows_of_the_file_in_its_order_whatever_layout_each_version_has(
    history: tuple[Rows, Rows, Rows], keyed: bool, layouts: tuple[bool, bool, bool]
) -> None:
    """As Git's merge driver merges them; parts that no side has touched stay, and so do ours that do not change."""
    key_columns = ("id",) if keyed else ()
    sides = [dict(sorted(rows.items())) for rows in history]
    with TemporaryDirectory() as name:
        root = Path(name)
        hashes = []
        for number, (rows, in_parts) in enumerate(zip(sides, layouts)):
            names = columns_of(rows, sides[0])
            file = parquet(root / f"{number}.file", rows, keyed, names)
            path = parts(root / f"{number}.parts", rows, keyed, names) if in_parts else file
            hashes.append(store(root, path))
        conflicts: list[Conflict] = []
        merged = merge_training_data(root, Hashes(*hashes), conflicts, key_columns)
        files = [root / f"{number}.file" for number in (1, 2, 0)]
        assert merge_three_data_files(files, root / "merged", key_columns, TRAIN_DATA) == conflicts
        if conflicts:
            assert merged == hashes[1]
            return
        assert merged.endswith(".dir") == layouts[1], "as ours is"
        with recorded_data(root, merged) as data:
            found = pq.read_table(data)
            assert found.to_pylist() == read(root / "merged") and found.column_names == columns_in(root / "merged")
            assert len(parts_of(data)) <= 4 + 1 + layouts[1]
        if layouts[1] and keyed:
            kept = listing(root, hashes[1]).items() & listing(root, merged).items()
            assert {name for name, _ in kept} >= untouched(root / "1.parts", root / "merged")


def columns_in(file: Path) -> list[str]:
    return list(pq.read_schema(file).names)


def untouched(ours: Path, merged: Path) -> set[str]:
    """The names of our parts whose rows are all in the result as they are, where that has no other columns."""
    parts_with_rows = parts_of(ours)[:-1] if columns_in(parts_of(ours)[-1]) == columns_in(merged) else []
    rows = read(merged)
    return {part.name for part in parts_with_rows if all(row in rows for row in read(part))}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["parquet", "db"])
@examples(EXAMPLES // 5)
@given(sides=st.lists(st.lists(st.integers(0, 2), max_size=6), min_size=3, max_size=3))
def test_rows_without_a_key_are_counted_as_three_versions_of_a_heap(kind: str, sides: list[list[int]]) -> None:
    """The nth of equal rows is one row: it is there if one side has it, and is not what only the other kept."""
    counts = [Counter(side) for side in sides]
    expected: Counter[int] = Counter()
    for value in {value for side in sides for value in side}:
        old, mine, other = (count[value] for count in counts)
        for place in range(1, max(mine, other) + 1):
            here, there = place <= mine, place <= other
            expected[value] += (here and there) or place > old
    with TemporaryDirectory() as folder:
        rows = [dict(enumerate({"n": value} for value in side)) for side in sides]
        output, conflicts = merged_files(Path(folder), kind, False, rows)
        assert conflicts == []
        assert Counter(row["n"] for row in read(output)) == +expected


@pytest.mark.parametrize("kind", ["parquet", "db"])
def test_a_file_that_lacks_a_column_says_nothing_about_it(kind: str, tmp_path: Path) -> None:
    """Somebody wrote the file anew without the column: nobody set a cell to NULL."""
    base = {1: {"n": 1, "shared": 5}, 2: {"n": 2, "shared": 6}}
    theirs = {1: {"n": 7}, 2: {"n": 2}}
    make = parquet if kind == "parquet" else database
    files = [
        make(tmp_path / f"{number}.{kind}", rows, True, columns_of(rows))
        for number, rows in enumerate([base, base, theirs])
    ]
    output = tmp_path / f"merged.{kind}"
    if kind == "parquet":
        assert merge_three_data_files([*files[1:], files[0]], output, ("id",), "data") == []
    else:
        assert merge_three_databases(*files, output) == []
    found = {row["id"]: (row["n"], row["shared"]) for row in read(output)}
    assert found == {1: (7, 5), 2: (2, 6)}
