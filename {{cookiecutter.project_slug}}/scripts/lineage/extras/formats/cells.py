"""CSV and JSON files are read as tables of cells, which hold text until a type is known.

An empty cell of a CSV file is NULL, and `""` is an empty text. A key that an object of a JSON file
lacks is NULL, as `null` is.
"""

import csv
import gzip
import os
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from lineage.core.errors import BadInput
from lineage.tables.parquet_files import escaped
from lineage.tables.sql import Engine, fold, quote, text

REASON = re.compile(r"Expected Number.*|Value with unterminated.*|Maximum line.*|[^:]*\Z")
"""Of DuckDB's many words about a file that it cannot read, those that say why."""

NO_NAME = re.compile(r"[\s\d.,:+-]*")
"""What stands in the first line where a header is missing: numbers, times, nothing."""


@dataclass
class Cells:
    """The cells of one file.

    Attributes:
        path: the file.
        parquet: the file that is written anew.
        columns: by a column's name, the SQL of a cell's text, and of its type in JSON.
        table: the rows, as they stand behind FROM.
        delimiter: of a CSV file.
        is_array: the file is one JSON array, and not lines.
    """

    path: Path
    parquet: Path
    columns: dict[str, tuple[str, str]] = field(default_factory=dict)
    table: str = "(SELECT 1)"
    delimiter: str = ""
    is_array: bool = False

    def refuse(self, problem: str, record: int | None = None, blank: bool = False) -> BadInput:
        """Make the error about a file, or about one of its records.

        Args:
            problem: what is wrong.
            record: its number, from 1, that of a CSV file's header from 0.
            blank: empty lines were counted.
        """
        where = ""
        if record is not None:
            lines = dict(enumerate(self._starts(blank), 0 if self.delimiter else 1))
            where = f", line {lines.get(record)}"
        if record is not None and self.is_array:
            where = f", record {record}"
        name = os.path.relpath(self.path)
        place = "." if "/" in name else shlex.quote(f"{name}.old")
        remedy = f"mv {shlex.quote(name)} {place}   # correct it, and bring it back"
        return BadInput(f"{self.path}{where}: {problem}", remedy)

    def _starts(self, blank: bool) -> Iterator[int]:
        """Yield the line where each record begins, that of a header first."""
        with open_text(self.path) as file:
            records = read_records(file, self.delimiter) if self.delimiter else file
            before = 0
            for record in records:
                is_row = "".join(record).strip() or len(record) > 2
                if blank or is_row or (self.delimiter and len(self.columns) == 1):
                    yield before + 1
                before = getattr(records, "line_num", before + 1)


def open_text(path: Path) -> TextIO:
    """Open a file of text, packed or not; what is no UTF-8 in it becomes �."""
    unpack = gzip.open if path.suffix.lower() == ".gz" else open
    return unpack(path, "rt", encoding="utf-8-sig", errors="replace", newline="")


def read_records(file: TextIO, delimiter: str) -> Any:
    """Split a CSV file as Python's `csv` does, with its `line_num`; a NUL, too, becomes �."""
    csv.field_size_limit(sys.maxsize)
    return csv.reader((line.replace("\0", "�") for line in file), delimiter=delimiter)


def read_cells(engine: Engine, cells: Cells) -> None:
    """Read a CSV or JSON file into a table of the engine.

    Raises:
        BadInput: it cannot be read, or has no header, or two columns of one name.
    """
    import duckdb

    path = cells.path
    cells.table = quote(f"cells of {path}")
    try:
        is_json = re.search(r"\.(nd)?json", path.name, re.IGNORECASE)
        names = (_read_json if is_json else _read_csv)(engine, cells)
    except duckdb.OutOfMemoryException:
        raise
    except (duckdb.Error, OSError, EOFError) as error:
        raise _unreadable(cells, str(error)) from None
    folded = list(map(fold, names))
    for name in names:
        if folded.count(fold(name)) > 1:
            raise cells.refuse(f"column {name!r} is there twice")


def _read_csv(engine: Engine, cells: Cells) -> list[str]:
    """Read a CSV file; return the names in its header."""
    with open_text(cells.path) as file:
        line = file.readline()
        is_tabs = ".tsv" in cells.path.name.lower()
        cells.delimiter = "\t" if is_tabs else max(",;\t|", key=line.count)
        file.seek(0)
        names = next(read_records(file, cells.delimiter), [""])
    if "�" in "".join(names):
        raise _unreadable(cells, "unicode")
    for name in names:
        if NO_NAME.fullmatch(name):
            raise cells.refuse(f"it has no header: the first line names a column {name!r}")
    cells.columns = {name: (quote(name), "") for name in names}
    if len(set(map(fold, names))) < len(names):
        return names
    kinds = ", ".join(f"{text(name)}: 'VARCHAR'" for name in names)
    engine.execute(f"""
        CREATE TEMP TABLE {cells.table} AS
        SELECT * FROM read_csv(
            {escaped(cells.path)}, auto_detect = false, header = true, columns = {{{kinds}}},
            delim = {text(cells.delimiter)}, quote = '"', escape = '"', strict_mode = true,
            nullstr = '', allow_quoted_nulls = false, hive_partitioning = false
        )
    """)
    return names


def _read_json(engine: Engine, cells: Cells) -> list[str]:
    """Read JSON Lines, or an array of objects; return the keys."""
    with open_text(cells.path) as file:
        first = next(filter(str.strip, file), "")
    cells.is_array = first.lstrip().startswith("[")
    form = "array" if cells.is_array else "newline_delimited"
    engine.execute(f"""
        CREATE TEMP TABLE {cells.table} AS
        SELECT json FROM read_json_objects(
            {escaped(cells.path)}, format = '{form}', hive_partitioning = false
        )
    """)
    found = engine.execute(f"""
        SELECT keys, min(row) FROM (
            SELECT row_number() OVER () AS row,
                   CASE json_type(json) WHEN 'OBJECT' THEN json_keys(json) END AS keys
            FROM {cells.table}
        )
        GROUP BY keys
        ORDER BY 2
    """)
    for keys, row in found.fetchall():
        if keys is None or len(set(keys)) < len(keys):
            raise cells.refuse("it is no JSON object whose keys differ", row)
        for key in keys:
            pointer = text("/" + key.replace("~", "~0").replace("/", "~1"))
            content = f"json_extract_string(json, {pointer})"
            cells.columns[key] = (content, f"json_type(json, {pointer})")
    return list(cells.columns)


def _unreadable(cells: Cells, reason: str) -> BadInput:
    """Make the error of a file that DuckDB cannot read; of a CSV file, say in which line."""
    path = cells.path
    if "utf" in reason.lower() or "unicode" in reason:
        is_packed = path.suffix.lower() == ".gz"
        name = shlex.quote(os.path.relpath(path.with_suffix("") if is_packed else path))
        with open_text(path) as file:  # in UTF-16, as Excel writes it, a letter has a NUL
            encoding = "UTF-16" if "\0" in file.readline() else "LATIN1"
        command = f"iconv -f {encoding} -t UTF-8 {name} >.utf8 && mv .utf8 {name}"
        if is_packed:
            command = f"gzip -d {shlex.quote(os.path.relpath(path))} && {command} && gzip {name}"
        remedy = f"{command}   # or from whatever it is in"
        return BadInput(f"{path}: its text is not encoded in UTF-8", remedy)
    found = REASON.search(reason.strip())
    line = re.search(r"Line: (\d+)", reason)
    record = int(line[1]) - 1 if line else None
    return cells.refuse(f"it cannot be read: {found[0].strip() if found else ''}", record, True)
