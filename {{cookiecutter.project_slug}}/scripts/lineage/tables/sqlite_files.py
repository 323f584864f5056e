"""SQLite files are described, copied and checked; `sqlite_reading` opens them."""

import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from lineage.core.errors import Refused
from lineage.tables.sql import fold
from lineage.tables.sqlite_reading import has_left_log, open_read_only, read_only_uri, with_log

RECORD = "lineage_sources"
"""The table that records what was merged into a database; see `sources`."""

ROW_NUMBERS = {"rowid", "oid", "_rowid_"}
"""The names of the number of a row, as far as columns leave them free."""

AFFINITIES = {"number": "INT", "text": "CHAR|CLOB|TEXT", "any": "BLOB|^$", "real": "REAL|FLOA|DOUB"}
"""Classes of values, and words of which one is in the declared type; the first that fits counts."""


class Column(NamedTuple):
    """A column as it is declared.

    Attributes:
        name: its name.
        type: its declared type; may be empty.
        key_position: its place in the primary key, from 1; 0: it is not part of it.
        is_computed: SQLite computes it from others (GENERATED ALWAYS AS), and takes no values.
    """

    name: str
    type: str
    key_position: int
    is_computed: bool = False


@dataclass(frozen=True)
class Table:
    """A table as it is declared.

    Attributes:
        name: its name.
        columns: in order.
        statement: that made it, if it is known.
        is_strict: it takes values of its columns' types only.
        is_numbered: its rows have numbers: it is not WITHOUT ROWID.
    """

    name: str
    columns: tuple[Column, ...]
    statement: str = ""
    is_strict: bool = False
    is_numbered: bool = True

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """The columns by their names in small letters, in order."""
        return {fold(column.name): column for column in self.columns}

    @cached_property
    def primary_key(self) -> tuple[str, ...]:
        """The names of the columns of the primary key, in its order; empty: there is none."""
        keyed = [(one.key_position, one.name) for one in self.columns if one.key_position]
        return tuple(name for _, name in sorted(keyed))

    @cached_property
    def row_alias(self) -> str:
        """What the number of a row is called in SQL; empty: it has none, or columns hide it."""
        free = ROW_NUMBERS.difference(self.by_name)
        return min(free, default="") if self.is_numbered else ""


def is_utf_8(connection: sqlite3.Connection) -> bool:
    """Tell how a database encodes text; the other encoding is UTF-16."""
    return bool(connection.execute("PRAGMA encoding").fetchone() == ("UTF-8",))


def copy_database(path: Path, target: Path) -> None:
    """Copy a database as it is at one moment, with what its write-ahead log holds.

    Args:
        path: the database; another process may write to it.
        target: a file that does not exist.
    """
    if has_left_log(path):
        with_log(path, target)
        return
    uri = read_only_uri(path)
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        count_rows(reader, "sqlite_master")  # takes the lock that keeps writers out
        if reader.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            with closing(sqlite3.connect(target)) as copy:
                reader.backup(copy)
        else:
            shutil.copyfile(path, target)


def check_integrity(database: Path) -> None:
    """Let SQLite check a whole file, its indexes too.

    Raises:
        Refused: it finds damage.
    """
    with closing(sqlite3.connect(read_only_uri(database), uri=True)) as connection:
        [(problem,)] = connection.execute("PRAGMA integrity_check(1)")
    if problem != "ok":
        raise Refused(f"the merged database fails SQLite's integrity check: {problem}")


def count_rows(connection: sqlite3.Connection, rows: str) -> int:
    """Count the rows of what may stand behind FROM."""
    return int(connection.execute(f"SELECT count(*) FROM {rows}").fetchone()[0])


def describe_tables(connection: sqlite3.Connection) -> dict[str, Table]:
    """Read the tables of a database, without SQLite's own and the record of what was merged.

    Virtual tables are not among them, nor the shadow tables that hold their index.
    """
    # ANY is the type of a column of a STRICT table that has none
    statement = f"""
        SELECT tables.name, made.sql, tables.strict, NOT tables.wr, columns.name,
               CASE columns.type WHEN 'ANY' THEN '' ELSE columns.type END,
               columns.pk, columns.hidden > 0
        FROM pragma_table_list AS tables
        JOIN main.sqlite_master AS made
          ON made.name = tables.name AND made.type = 'table'
        JOIN pragma_table_xinfo(tables.name, 'main') AS columns
        WHERE tables.schema = 'main' AND tables.type = 'table'
          AND tables.name NOT LIKE 'sqlite!_%' ESCAPE '!' AND tables.name <> '{RECORD}'
        ORDER BY tables.name, columns.cid
    """
    tables = {}
    rows = connection.execute(statement)
    for (name, *made), found in groupby(rows, key=lambda row: row[:4]):
        tables[name] = Table(name, tuple(Column(*row[4:]) for row in found), *made)
    return tables


def tables_of(database: Path) -> dict[str, Table]:
    """Read the tables of a database by their names in small letters."""
    with open_read_only(database) as connection:
        return {fold(name): table for name, table in describe_tables(connection).items()}


def affinity(declared: str) -> str:
    """Name the class of values that a declared type stands for.

    Returns:
        `text`, `any`, `real` (every number is floating point) or `number`; the rules are those
        of sqlite.org/datatype3.html, 3.1.
    """
    matching = (kind for kind, words in AFFINITIES.items() if re.search(words, declared.upper()))
    return next(matching, "number")
