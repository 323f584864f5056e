"""A folder of parts: which files it may hold, in which order they are read, and what is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

import duckdb
import pytest

from lineage.core.errors import BadInput
from lineage.tables.engine import open_engine
from lineage.tables.parquet_files import numbered_rows, read_schemas
from lineage.tables.parts import is_parts, part_name, parts_of


def write_part(folder: Path, number: int | None, query: str, md5: str = "0" * 32) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / part_name("record" if number is None else f"{number:06}", md5)
    duckdb.sql(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    return path


def test_parts_come_in_the_order_of_their_numbers_and_a_file_is_its_own_part(tmp_path: Path) -> None:
    folder = tmp_path / "train.parquet"
    numbers = [12, None, 3, 100_000, 99_999]
    written = {number: write_part(folder, number, "SELECT 1 AS id") for number in numbers}
    (folder / ".DS_Store").touch()
    (folder / ".part.7.tmp").touch()
    in_order = [written[number] for number in (3, 12, 99_999, 100_000, None)]
    assert parts_of(folder) == in_order == sorted(written.values())
    assert is_parts(folder)
    assert not is_parts(written[3])
    assert parts_of(written[3]) == [written[3]]


@pytest.mark.parametrize("name", ["part-x.tmp", "mine.parquet", ".hidden", "part-000001-111111111111.parquet", "2026/"])
def test_what_is_no_part_is_named(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "train.parquet"
    write_part(folder, None, "SELECT 1 AS id LIMIT 0")
    write_part(folder, 1, "SELECT 1 AS id")
    stray = folder / name
    stray.mkdir() if name.endswith("/") else stray.touch()
    with pytest.raises(BadInput, match="is no part of the data in that folder") as refused:
        parts_of(folder)
    assert refused.value.remedy.startswith(f"mv {stray} .")


def test_a_folder_without_a_record_is_no_folder_of_parts(tmp_path: Path) -> None:
    tmp_path.joinpath("empty").mkdir()
    assert not is_parts(tmp_path / "empty")
    with pytest.raises(BadInput, match="none of parts: it has no part-record") as refused:
        parts_of(tmp_path / "empty")
    assert refused.value.remedy == f"mv {tmp_path}/empty {tmp_path}/empty.old"
    subprocess.run(refused.value.remedy, shell=True, check=True)
    assert parts_of(tmp_path / "empty") == [tmp_path / "empty"], "as before there is anything"


def test_files_are_numbered_together_though_columns_differ_in_case_or_hide_the_number(tmp_path: Path) -> None:
    """A column `file_index` is data, and DuckDB's own of that name must not be read for it."""
    queries = [
        "SELECT 10 AS id, 'a' AS t",
        "SELECT 'b' AS T, 20 AS ID",
        "SELECT 7 AS file_index, 30 AS id, 'c' AS t",
        "SELECT 7 AS file_index, 40 AS id, 'd' AS t",
        "SELECT 50 AS id, 'e' AS t",
    ]
    files = [write_part(tmp_path, number, query) for number, query in enumerate(queries)]
    with open_engine() as engine:
        rows = numbered_rows(read_schemas(engine, files), {"id": "BIGINT", "t": "VARCHAR", "file_index": "INTEGER"})
        found = engine.execute(f'SELECT "lineage row" >> 40, id, t, file_index FROM ({rows}) ORDER BY 1').fetchall()
    assert found == [
        (0, 10, "a", None),
        (1, 20, "b", None),
        (2, 30, "c", 7),
        (3, 40, "d", 7),
        (4, 50, "e", None),
    ]
