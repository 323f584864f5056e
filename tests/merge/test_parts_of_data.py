"""Training data as parts: the rows and their order are those of one file, and only what changes is written."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from baked_projects import SOURCE, Project, clean_environment

from lineage.core.errors import BadInput
from lineage.extras.merge_artifacts.compact import compact
from lineage.merge import data_files
from lineage.merge.data import merge_data
from lineage.merge.plan import Plan
from lineage.merge.rules import Rules
from lineage.tables.parts import parts_of
from lineage.tables.sources import Source, read_sources

READERS: dict[str, Callable[[Path], pa.Table]] = {
    "pandas": lambda path: pa.Table.from_pandas(pd.read_parquet(path)).replace_schema_metadata(),
    "pyarrow": lambda path: pyarrow.dataset.dataset(path).to_table().replace_schema_metadata(),
    "polars": lambda path: pl.read_parquet(path).to_arrow(),
    "duckdb": lambda path: duckdb.sql(
        f"FROM '{path}/*.parquet'" if path.is_dir() else f"FROM '{path}'"
    ).to_arrow_table(),
    "dask": lambda path: pa.Table.from_pandas(read_by_dask(path)).replace_schema_metadata(),
}
"""What users read a folder of parquet files with."""


def read_by_dask(path: Path) -> pd.DataFrame:
    """pandas itself cannot join partitions in one of which a category has no values."""
    import dask
    import dask.dataframe

    with dask.config.set({"dataframe.convert-string": False, "scheduler": "synchronous"}):
        frame = dask.dataframe.read_parquet(path)
        categories = [name for name, kind in frame.dtypes.items() if kind == "category"]
        return frame.astype(dict.fromkeys(categories, object)).compute().reset_index(drop=True)


def read(reader: str, path: Path) -> pa.Table:
    """DuckDB declares a column of one file NOT NULL where no row has a NULL; other parts leave that open."""
    table = READERS[reader](path)
    return table.cast(pa.schema([field.with_nullable(True) for field in table.schema]))


def parquet(path: Path, **columns: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


class Twins:
    """The same data as a file and as parts; each merge goes into both."""

    def __init__(self, folder: Path, **rules: Any) -> None:
        self.folder = folder
        self.rules: dict[str, Any] = {"strategy": "merge", "key_columns": ("id",), **rules}
        self.number = 0

    def path(self, layout: str) -> Path:
        """Where the data lie after the last merge."""
        return self.folder / f"{self.number}" / layout / "train.parquet"

    def merge(self, *sources: Path, **rules: Any) -> Plan:
        plans = []
        for layout in ("file", "parts"):
            old = self.path(layout)
            new = self.folder / f"{self.number + 1}" / layout
            new.mkdir(parents=True)
            base = [old] if old.exists() else []
            names = {str(source): Source(str(source), source.name, 0, "") for source in sources}
            wanted = Rules(**{**self.rules, **rules}, layout=layout)
            plans.append(merge_data(base, sources, new / "train.parquet", wanted, "data", lambda _, names=names: names))
        self.number += 1
        assert plans[0] == plans[1]
        return plans[0]

    @property
    def parts(self) -> list[str]:
        """The names of the parts with rows."""
        return [part.name for part in parts_of(self.path("parts"))[:-1]]

    def agree(self, readers: Sequence[str] = tuple(READERS)) -> pa.Table:
        """Check that every reader finds the same rows, columns, types and order in both; return them."""
        assert read_sources(self.path("file")) == read_sources(self.path("parts"))
        for name in readers:
            expected = read(name, self.path("file"))
            found = read(name, self.path("parts"))
            assert found.schema == expected.schema, name
            assert found.to_pylist() == expected.to_pylist(), name
        return pq.read_table(self.path("file"))


@pytest.fixture
def twins(tmp_path: Path) -> Twins:
    return Twins(tmp_path)


@pytest.mark.slow
def test_every_reader_finds_the_rows_of_the_file_in_the_parts(twins: Twins, monkeypatch: pytest.MonkeyPatch) -> None:
    """Merges, a rebase, a new column, a wider type, categories and times, parts of few rows."""
    monkeypatch.setattr(data_files, "PART_ROWS", 3)
    label = pa.array(["a", "b", "a", None, "b"]).dictionary_encode()
    when = pa.array([1, 2, None, 4, 5], pa.timestamp("us", "Europe/Berlin"))
    first = parquet(
        twins.folder / "1.parquet", id=[5, 3, 1, 2, 4], x=pa.array([1, 2, 3, 4, 5], "int32"), label=label, t=when
    )
    assert twins.merge(first).added == 5
    assert twins.agree().column("id").to_pylist() == [1, 2, 3, 4, 5]
    numbers = [part[:11] for part in twins.parts]
    assert numbers == ["part-000001", "part-000002"], "of three rows and of two"
    before = twins.parts

    twins.merge(parquet(twins.folder / "2.parquet", id=[9, 6], label=pa.array(["b", "c"]).dictionary_encode()))
    assert twins.agree().column("label").to_pylist() == ["a", None, "b", "b", "a", "c", "b"]
    assert twins.parts[:2] == before, "only the new rows are written"
    before = twins.parts

    third = parquet(twins.folder / "3.parquet", id=[4, 7], x=pa.array([40, 70], "int32"))
    assert twins.merge(third, strategy="rebase").replaced == 1
    assert twins.agree().column("id").to_pylist() == [1, 2, 3, 5, 6, 9, 4, 7]
    assert [part in before for part in twins.parts] == [True, False, True, False]
    assert twins.parts[1].startswith("part-000002"), "a part keeps its number"

    pd.DataFrame({"id": [8], "x": [0.5], "new": ["text"]}).to_parquet(twins.folder / "4.parquet", index=False)
    twins.merge(twins.folder / "4.parquet")
    table = twins.agree()
    assert table.schema.field("x").type == pa.float64()
    assert table.column("new").to_pylist() == [None] * 8 + ["text"]
    before = twins.parts

    everything = list(range(1, 8))
    twins.merge(parquet(twins.folder / "5.parquet", id=everything, x=everything), strategy="rebase")
    assert twins.agree().num_rows == 9
    assert [part[:11] for part in twins.parts] == [
        "part-000003",
        "part-000005",
        "part-000006",
        "part-000007",
        "part-000008",
    ], "parts whose rows all go are gone, and seven new rows are three parts"


def test_names_and_bytes_follow_from_the_inputs_in_whatever_order_they_come(tmp_path: Path) -> None:
    batches = [parquet(tmp_path / f"{number}.parquet", id=[number, -number], x=[0.5, None]) for number in (1, 2, 3)]
    folders = []
    for place, sources in enumerate([batches, batches[::-1]]):
        twins = Twins(tmp_path / f"{place}")
        twins.merge(*sources)
        twins.merge(parquet(tmp_path / "4.parquet", id=[1, 7], x=[1.5, 2.5]), strategy="rebase")
        folders.append({part.name: part.read_bytes() for part in parts_of(twins.path("parts"))[:-1]})
    assert folders[0] == folders[1]
    assert len(folders[0]) == 2


def test_parts_that_stay_are_linked_in_place_and_copied_elsewhere(twins: Twins) -> None:
    """In the draft of the same folder the part is the same file; a merge by hand into another one shares nothing."""
    twins.merge(parquet(twins.folder / "1.parquet", id=[1, 2], x=[1, 2]))
    old = twins.path("parts")
    shutil.copytree(old, twins.folder / "store")
    for part in parts_of(old):
        part.unlink()
        part.symlink_to(twins.folder / "store" / part.name)
    second = parquet(twins.folder / "2.parquet", id=[3], x=[3])
    rules = Rules("merge", ("id",), layout="parts")
    for name, is_link in ((f".{old.name}.7.tmp", True), ("other.parquet", False)):
        merge_data([old], [second], old.with_name(name), rules, "data")
        first, last, _ = parts_of(old.with_name(name))
        assert (first.is_symlink(), last.is_symlink()) == (is_link, False)
        shutil.rmtree(old.with_name(name))
    twins.merge(second)
    linked = twins.path("parts")
    draft = linked.with_name(f".{linked.name}.7.tmp")
    merge_data([linked], [parquet(twins.folder / "3.parquet", id=[4], x=[4])], draft, rules, "data")
    assert [part.stat().st_nlink for part in parts_of(draft)] == [2, 2, 1, 1]


def test_a_folder_of_parts_is_one_source(twins: Twins) -> None:
    """Equal rows in two of its parts are two rows, as in one file; a folder of parts is a base among several, too."""
    same = parquet(twins.folder / "1.parquet", a=["x"])
    twins.rules["key_columns"] = ()
    twins.merge(same)
    twins.merge(parquet(twins.folder / "2.parquet", a=["x", "x", "y"]))
    assert twins.agree(["pyarrow"]).column("a").to_pylist() == ["x", "x", "y"]
    other = Rules("merge", layout="parts")
    out = twins.folder / "out.parquet"
    assert merge_data([same], [twins.path("parts")], out, other, "data").added == 2
    assert pq.read_table(out).column("a").to_pylist() == ["x", "x", "y"]
    plan = merge_data([out, same], [twins.path("file"), twins.path("parts")], twins.folder / "both", other, "data")
    assert (plan.rows, plan.added) == (4, 0)


def test_columns_of_null_and_no_rows_at_all(twins: Twins) -> None:
    twins.merge(parquet(twins.folder / "0.parquet", id=pa.array([], "int64"), n=pa.nulls(0)))
    assert twins.agree(["pyarrow", "polars", "duckdb"]).num_rows == 0
    assert twins.parts == []
    twins.merge(parquet(twins.folder / "1.parquet", id=[1, 2], n=pa.nulls(2)))
    twins.agree(["pyarrow", "polars", "duckdb"])
    before = twins.parts
    twins.merge(parquet(twins.folder / "2.parquet", id=[3], n=pa.nulls(1)))
    twins.agree(["pyarrow", "polars", "duckdb"])
    assert twins.parts[0] == before[0]
    text = parquet(twins.folder / "3.parquet", id=[4], n=["text"])
    if duckdb.__version__ < "2":  # docs/merge-rebase.md
        with pytest.raises(BadInput, match="column 'n' is VARCHAR, but INTEGER in"):
            twins.merge(text)
        shutil.rmtree(twins.folder / f"{twins.number + 1}")
        twins.merge(text, cast_text=True)
    else:
        twins.merge(text)
    assert twins.agree().column("n").to_pylist() == [None, None, None, "text"]


HISTORIES = int(os.environ.get("MERGE_EXAMPLES", "6"))


@pytest.mark.slow
@pytest.mark.parametrize("keys", [("id",), ("id", "k"), ()], ids=["a key", "two", "none"])
def test_histories_of_merges_give_the_same_rows_in_the_same_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: tuple[str, ...]
) -> None:
    """Random batches with NULL keys, equal rows, columns that come and go, types that widen; merge and rebase."""
    monkeypatch.setattr(data_files, "PART_ROWS", 4)
    chance = random.Random(16)
    for history in range(HISTORIES):
        twins = Twins(tmp_path / f"{history}", key_columns=keys)
        for number in range(4):
            sources = [random_batch(chance, twins.folder / f"{number}-{file}.parquet", keys) for file in range(2)]
            strategy = chance.choice(["merge", "rebase"]) if keys else "merge"
            rules = {"strategy": strategy, "on_conflict": chance.choice(["base", "incoming"])}
            if strategy == "rebase":
                del rules["on_conflict"]
            twins.merge(*sources, **rules)
            twins.agree(["pyarrow"])
        compact(twins.path("parts"), twins.folder / "folded.parquet", "data")
        shutil.rmtree(twins.path("parts"))
        (twins.folder / "folded.parquet").rename(twins.path("parts"))
        twins.agree(["pyarrow", "polars", "duckdb"])


def random_batch(chance: random.Random, path: Path, keys: Sequence[str]) -> Path:
    rows = chance.randrange(7)
    columns: dict[str, Any] = {
        "id": pa.array([chance.choice([None, *range(9)]) for _ in range(rows)], "int64"),
        "k": pa.array([chance.choice([None, "a"]) for _ in range(rows)], "string"),
        "x": pa.array([chance.randrange(3) for _ in range(rows)], chance.choice(["int8", "int64", "float64"])),
        "new": pa.array([chance.choice("uv") for _ in range(rows)], "string"),
    }
    kept = [name for name in columns if name in ("id", *keys) or chance.random() < 0.8]
    return parquet(path, **{name: columns[name] for name in kept})


def test_small_neighbours_are_folded_together_and_large_parts_stay(
    twins: Twins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_files, "PART_ROWS", 4)
    for number, rows in enumerate([1, 2, 4, 1, 1, 3], 1):
        ids = [100 * number + row for row in range(rows)]
        twins.merge(parquet(twins.folder / f"{number}.parquet", id=ids, x=ids))
    before = twins.parts
    folded = twins.folder / "folded.parquet"
    assert compact(twins.path("parts"), folded, "data") == (6, 4)
    *parts, record = parts_of(folded)
    assert record.name == parts_of(twins.path("parts"))[-1].name
    assert [part.name[:11] for part in parts] == ["part-000001", "part-000003", "part-000004", "part-000006"]
    assert [part.name in before for part in parts] == [False, True, False, True]
    for name in READERS:
        assert read(name, folded).to_pylist() == read(name, twins.path("file")).to_pylist()
    assert compact(folded, twins.folder / "again.parquet", "data") == (4, 4)


def test_a_base_with_something_else_in_it_is_refused(twins: Twins) -> None:
    twins.merge(parquet(twins.folder / "1.parquet", id=[1]))
    stray = parquet(twins.path("parts") / "mine.parquet", id=[2])
    with pytest.raises(BadInput, match=f"{stray} is no part of the data"):
        merge_data([twins.path("parts")], [], twins.folder / "out", Rules("merge", ("id",)), "data")


def test_no_sources_convert_the_layout(twins: Twins) -> None:
    """As the stage does when its params have changed, and nothing is in the inbox."""
    twins.merge(parquet(twins.folder / "1.parquet", id=[2, 1], x=["a", None]))
    rules = Rules("merge", ("id",), layout="parts")
    for number, layout in enumerate(["file", "parts"]):
        out = twins.folder / f"converted-{number}.parquet"
        assert merge_data([twins.path(layout)], [], out, rules, "data").is_empty
        assert pq.read_table(out).to_pylist() == [{"id": 1, "x": None}, {"id": 2, "x": "a"}]
        assert read_sources(out) == read_sources(twins.path("file"))


@pytest.mark.slow
def test_two_merges_at_once_into_a_folder_of_parts_both_arrive(tmp_path: Path) -> None:
    project = Project(tmp_path, clean_environment(tmp_path))
    parquet(tmp_path / "first.parquet", id=[0])
    for number in (1, 2):
        parquet(tmp_path / f"{number}.parquet", id=list(range(1000 * number, 1000 * number + 500)))
    script = str(SOURCE / "scripts/merge_artifacts.py")
    words = ["python", script, "--strategy", "merge", "--key-columns", "id", "--output-data", "all", "--exp-data"]
    project.run(*words, "first.parquet", "--data-layout", "parts")
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda name: project.run(*words, name, "--base-data", "all"), ["1.parquet", "2.parquet"]))
    assert all("+500 ~0 =0 !0" in one.stdout for one in done)
    assert sorted(pd.read_parquet(tmp_path / "all")["id"]) == [0, *range(1000, 1500), *range(2000, 2500)]
    assert len(parts_of(tmp_path / "all")) == 4, "three parts, and the record"
