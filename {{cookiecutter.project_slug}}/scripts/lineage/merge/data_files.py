"""Merged training data are written: as one file, or as parts of which only what changes is written.

A part stays under its name as long as none of its rows goes and the columns stay as they are. What
arrives is a part of its own, after all others: rows have the order that they have in one file.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lineage.core.errors import Refused
from lineage.merge.plan import Plan
from lineage.tables.engine import open_engine
from lineage.tables.parquet_files import (
    Columns,
    Schema,
    copy_statement,
    count_rows_of,
    numbered_rows,
    scan,
)
from lineage.tables.parts import part_name, parts_of, place_of_part
from lineage.tables.sources import Sources, arrive, as_metadata, notes_beside_record
from lineage.tables.sql import ROWS_PER_FILE, Engine, quote, quote_all
from lineage.tracked.cache import copy_out
from lineage.tracked.hashes import bytes_md5

if TYPE_CHECKING:
    from lineage.merge.data import DataRelations

PART_ROWS = 1_000_000
"""So many rows a part has at most when it is made."""


def write_rows(
    relations: "DataRelations",
    plan: Plan,
    output: Path,
    arriving: Sources | None = None,
    layout: str | None = "file",
) -> None:
    """Write the base rows that stay, as they lie, and then those that arrive, by identity.

    Args:
        relations: with `leaving` and `arriving`, from `merge_or_rebase`.
        plan: the counts.
        output: a path that does not exist.
        arriving: the sources, for the record of what was merged.
        layout: `file` or `parts`.

    Raises:
        Refused: the output cannot be written, or other rows are read back than were written.
    """
    columns = quote_all(relations.written)
    comes = f"SELECT {columns} FROM arriving ORDER BY {relations.order('arriving')}"
    record = as_metadata(arrive(relations.merged, arriving or {}))
    if layout == "parts":
        output.mkdir()
        folder = PartFolder(relations.engine, output, relations.name, relations.metadata)
        _keep_base(relations, folder)
        new = _add_parts(relations, folder, comes, plan.added)
        folder.write_record(relations.written, record)
        written = scan(new or parts_of(output)[-1])
        rows = sum(count_rows_of(relations.engine, parts_of(output)).values())
    else:
        before = plan.rows - plan.added
        metadata = {**relations.metadata, **record}
        rows = _write_file(relations, plan, comes, output, metadata)
        written = f"{scan(output, numbered=True)} WHERE file_row_number >= {before}"
    keys = [name for name in relations.identity if name in relations.written]
    checksum = f"SELECT count(*), sum(hash({quote_all(keys)}))"
    found = relations.engine.execute(f"{checksum} FROM {written}").fetchall()
    expected = relations.engine.execute(f"{checksum} FROM arriving").fetchall()
    if rows != plan.rows or found != expected:
        raise plan.not_written()


def _write_file(
    relations: "DataRelations", plan: Plan, comes: str, output: Path, metadata: Mapping[str, str]
) -> int:
    """Write one file; return how many rows."""
    columns = quote_all(relations.written)
    base = numbered_rows(relations.base, relations.written) or "FROM base_rows"
    stays = f"SELECT {columns} FROM ({base})"
    if plan.replaced:
        stays += """
            WHERE "lineage row" NOT IN (SELECT base_row FROM leaving)
            ORDER BY "lineage row"
        """
    rows = f"SELECT * FROM ({stays}) UNION ALL BY NAME SELECT * FROM ({comes})"
    return copy_rows(relations.engine, rows, output, relations.name, metadata)


def copy_rows(
    engine: Engine, rows: str, output: Path, name: str, metadata: Mapping[str, str]
) -> int:
    """Write the rows of a query to a parquet file; return how many.

    Raises:
        Refused: it cannot be written; says why, in DuckDB's words.
    """
    import duckdb

    try:
        [(written,)] = engine.execute(copy_statement(rows, output, metadata)).fetchall()
        return int(written)
    except duckdb.IOException as error:
        nested = re.search(r'"exception_message":"(.*?)(?<!\\)"', str(error))
        reason = nested.group(1) if nested else str(error).splitlines()[0]
        problem = f"{name} cannot be written, and is as it was: {reason}"
        raise Refused(problem, "df -h .   # is the disk full?") from error


@dataclass
class PartFolder:
    """A folder of parts that is being made.

    Attributes:
        engine: to write with.
        path: the folder.
        name: what messages call the data.
        metadata: of every part.
        last: number of the last part so far.
    """

    engine: Engine
    path: Path
    name: str
    metadata: Mapping[str, str]
    last: int = 0

    def write(self, rows: str, number: int) -> list[Path]:
        """Write the rows of a query as a part; return it, or nothing where there are no rows."""
        self.last = max(self.last, number)
        temporary = self.path / ".part.tmp"
        if not copy_rows(self.engine, rows, temporary, self.name, self.metadata):
            temporary.unlink()
            return []
        part = self.path / part_name(number, bytes_md5(temporary))
        return [temporary.rename(part)]

    def write_record(self, columns: Columns, record: Mapping[str, str]) -> None:
        """Write the part without rows, which has the record of what was merged."""
        values = ", ".join(f"NULL::{kind} AS {quote(name)}" for name, kind in columns.items())
        temporary = self.path / ".part.tmp"
        metadata = {**self.metadata, **record}
        copy_rows(self.engine, f"SELECT {values} LIMIT 0", temporary, self.name, metadata)
        temporary.rename(self.path / part_name(None, bytes_md5(temporary)))

    def take_over(self, part: Path) -> None:
        """Link a part of the folder whose draft this is; copy one of another folder."""
        target = self.path / part.name
        old = part.parent
        if old.parent != self.path.parent or not self.path.name.startswith(f".{old.name}."):
            copy_out(part, target)
        elif part.is_symlink():
            target.symlink_to(part.readlink())
        else:
            try:
                target.hardlink_to(part)
            except OSError:  # a file system without hard links
                copy_out(part, target)


def _keep_base(relations: "DataRelations", folder: PartFolder) -> None:
    """Take over the parts that stay as they are; write those anew that do not, and files as parts.

    A part keeps its number. Where the columns, their types or metadata change, all are written
    anew: not every reader of a folder would fit the parts to each other.
    """
    changed = relations.engine.execute(f"SELECT DISTINCT base_row // {ROWS_PER_FILE} FROM leaving")
    touched = {file for (file,) in changed.fetchall()}
    if relations.parts is None:
        for schema in relations.base:
            for start in range(0, relations.count(scan(schema.path)), PART_ROWS):
                folder.write(_staying(relations, schema, start), folder.last + 1)
        return
    is_as_before = relations.parts == relations.metadata
    for schema in relations.base[:-1]:
        folder.last = int(place_of_part(schema.path))
        stays = schema.number not in touched and schema.columns == relations.written
        if stays and is_as_before:
            folder.take_over(schema.path)
        else:
            folder.write(_staying(relations, schema), folder.last)


def _staying(relations: "DataRelations", schema: Schema, start: int | None = None) -> str:
    """Write the query of a base file's rows that stay: all, or those of a part from `start` on."""
    query = f"""
        SELECT {quote_all(relations.written)} FROM ({numbered_rows([schema], relations.written)})
        WHERE "lineage row" NOT IN (SELECT base_row FROM leaving)
    """
    if start is not None:
        first = schema.number * ROWS_PER_FILE + start
        query += f'AND "lineage row" BETWEEN {first} AND {first + PART_ROWS - 1}'
    return f'{query} ORDER BY "lineage row"'


def _add_parts(relations: "DataRelations", folder: PartFolder, comes: str, rows: int) -> list[Path]:
    """Write the arriving rows as new parts; return them."""
    if rows > PART_ROWS:
        relations.run(f"CREATE TEMP TABLE ordered AS {comes}")
    parts = []
    for start in range(0, rows, PART_ROWS):
        some = f"SELECT * FROM ordered LIMIT {PART_ROWS} OFFSET {start}"
        parts += folder.write(some if rows > PART_ROWS else comes, folder.last + 1)
    return parts


def compact(data: Path, output: Path, name: str) -> tuple[int, int]:
    """Write `output`: the parts of a folder, small neighbours folded together.

    A part that is made of several has the number of the first. Rows, order and record stay.

    Args:
        data: a folder of parts.
        output: a path that does not exist.
        name: what messages call the data.

    Returns:
        how many parts with rows there were, and how many there are.

    Raises:
        Refused: the output cannot be written.
    """
    with open_engine() as engine:
        *parts, record = parts_of(data)
        output.mkdir()
        folder = PartFolder(engine, output, name, notes_beside_record(engine, record))
        folder.take_over(record)
        groups: list[list[Path]] = []
        size = PART_ROWS
        for part, rows in count_rows_of(engine, parts).items():
            size += rows
            if size > PART_ROWS:
                groups.append([])
                size = rows
            groups[-1].append(part)
        for first, *others in groups:
            if others:
                number = int(place_of_part(first))
                folder.write(f"SELECT * FROM {scan([first, *others])}", number)
            else:
                folder.take_over(first)
        return len(parts), len(groups)
