"""Write merged training data: one file, or parts of which only the changed ones.

A part stays under its name as long as none of its rows goes and the columns stay as they are. What
arrives is a part of its own, after all others: rows have the order that they have in one file.
"""

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lineage.core.errors import Refused
from lineage.merge.plan import Plan
from lineage.tables.parquet_files import Schema, copy_statement, count_rows_of, numbered_rows, scan
from lineage.tables.parts import RECORD, part_name, parts_of, place_of_part
from lineage.tables.sources import Sources, arrive, as_metadata, read_notes
from lineage.tables.sql import ROWS_PER_FILE, Engine, quote_all
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
    engine = relations.engine
    columns = quote_all(relations.written)
    comes = f"SELECT {columns} FROM arriving ORDER BY {relations.order('arriving')}"
    record = as_metadata(arrive(relations.merged, arriving or {}))
    if layout == "parts":
        output.mkdir()
        folder = PartFolder(engine, output, relations.name, relations.metadata)
        _keep_base(relations, folder)
        new = folder.write(comes)
        folder.write(f"{comes} LIMIT 0", RECORD, record)
        rows = sum(count_rows_of(engine, parts_of(output)).values())
        written = scan(new or parts_of(output)[-1:])
    else:
        before = plan.rows - plan.added
        all_rows = f"FROM ({_staying(relations, relations.base)}) UNION ALL BY NAME FROM ({comes})"
        metadata = {**relations.metadata, **record}
        rows = copy_rows(engine, all_rows, output, relations.name, metadata)
        written = f"{scan(output, numbered=True)} WHERE file_row_number >= {before}"
    keys = [name for name in relations.identity if name in relations.written]
    checksum = f"SELECT count(*), sum(hash({quote_all(keys)}))"
    found = engine.execute(f"{checksum} FROM {written}").fetchall()
    if rows != plan.rows or found != engine.execute(f"{checksum} FROM arriving").fetchall():
        raise plan.not_written()


def _staying(relations: "DataRelations", files: Sequence[Schema]) -> str:
    """Write the query of the rows of some files of the base that stay or are patched, in place."""
    rows = numbered_rows(files, relations.written)
    columns = quote_all(relations.written)
    if not relations.count("leaving"):
        return f"SELECT {columns} FROM ({rows})"
    numbers = ", ".join(str(schema.number) for schema in files)
    return f"""
        SELECT {columns} FROM (
            FROM ({rows}) WHERE "lineage row" NOT IN (SELECT base_row FROM leaving)
            UNION ALL BY NAME
            FROM patched WHERE "lineage row" // {ROWS_PER_FILE} IN ({numbers})
        )
        ORDER BY "lineage row"
    """


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
        raise Refused(
            f"{name} cannot be written, and is as it was: {reason}",
            "ls -ld . && df -h .   # is it writable, is there space?",
        ) from error


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

    def write(
        self, rows: str, place: str | None = None, record: Mapping[str, str] | None = None
    ) -> list[Path]:
        """Write the rows of a query as a part; return it, or nothing where there are no rows.

        Args:
            rows: the query.
            place: of the part; None: after all others, as several parts where there are many rows.
            record: of what was merged; with it the part is written without rows, too.
        """
        new = self.path / ".part.tmp"
        count = copy_rows(self.engine, rows, new, self.name, {**self.metadata, **(record or {})})
        if not place and count > PART_ROWS:
            return self._split(new.rename(self.path / ".parts.tmp"), count)
        if not place and count:
            self.last += 1
        if count or record is not None:
            name = part_name(place or f"{self.last:06}", bytes_md5(new))
            return [new.rename(self.path / name)]
        new.unlink()
        return []

    def _split(self, file: Path, count: int) -> list[Path]:
        """Write the rows of a file as parts, and remove it."""
        parts = []
        for start in range(0, count, PART_ROWS):
            parts += self.write(f"""
                SELECT * EXCLUDE (file_row_number) FROM {scan(file, numbered=True)}
                WHERE file_row_number BETWEEN {start} AND {start + PART_ROWS - 1}
            """)
        file.unlink()
        return parts

    def take_over(self, part: Path) -> None:
        """Link a part of the folder whose draft this is; copy one of another folder."""
        target = self.path / part.name
        old = part.parent
        with suppress(OSError, NotImplementedError):  # a file system without such links
            if self.path.parent == old.parent and self.path.name.startswith(f".{old.name}."):
                os.link(part, target, follow_symlinks=False)
                return
        copy_out(part, target)


def _keep_base(relations: "DataRelations", folder: PartFolder) -> None:
    """Take over the parts that stay as they are; write those anew that do not, and files as parts.

    A part keeps its place. Where the columns, their types or metadata change, all are written anew:
    not every reader of a folder would fit the parts to each other.
    """
    if not relations.is_parts:
        folder.write(_staying(relations, relations.base))
        return
    changed = relations.engine.execute(f"SELECT DISTINCT base_row // {ROWS_PER_FILE} FROM leaving")
    touched = {file for (file,) in changed.fetchall()}
    notes = {**relations.metadata, **as_metadata(relations.merged)}
    is_as_before = notes == read_notes(relations.engine, relations.base[-1].path)
    for schema in relations.base[:-1]:
        place = place_of_part(schema.path)
        folder.last = int(place)
        stays = schema.number not in touched and schema.columns == relations.written
        if stays and is_as_before:
            folder.take_over(schema.path)
        else:
            folder.write(_staying(relations, [schema]), place)
