"""SQLite files: opened without side effects, described, checked."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lineage.errors import BadInput
from lineage.sql import quote

SQLITE_MAGIC = b"SQLite format 3\x00"


@dataclass(frozen=True)
class Column:
    """One column as declared: its name, its declared type (may be empty), and its place in the primary key (0: none)."""

    name: str
    type: str
    key_position: int


@dataclass(frozen=True)
class Table:
    """One table: its name and its columns in order."""

    name: str
    columns: tuple[Column, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def primary_key(self) -> tuple[str, ...]:
        keyed = [column for column in self.columns if column.key_position]
        return tuple(column.name for column in sorted(keyed, key=lambda column: column.key_position))


def read_only_uri(path: Path) -> str:
    """The SQLite URI that opens `path` without creating or changing it."""
    return path.resolve().as_uri() + "?mode=ro"


def check_is_sqlite(path: Path) -> None:
    """Raise `BadInput` unless `path` is a file in SQLite format (a text file named .db, zero bytes and a folder are not)."""
    if path.is_dir():
        raise BadInput(f"{path} is a folder, not a SQLite database")
    try:
        with path.open("rb") as file:
            head = file.read(len(SQLITE_MAGIC))
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist") from None
    if head != SQLITE_MAGIC:
        raise BadInput(f"{path} is not a SQLite database ({'it is empty' if not head else 'its first bytes differ'})")


@contextmanager
def open_read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database that must exist; nothing is created or written.

    Raises:
        BadInput: not a SQLite file, or damaged.
    """
    check_is_sqlite(path)
    connection = sqlite3.connect(read_only_uri(path), uri=True)
    try:
        yield connection
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
            raise BadInput(f"{path}: {error}", "close the program that writes to it, then try again") from error
        raise BadInput(f"{path}: {error}", f"sqlite3 {path} 'PRAGMA integrity_check'") from error
    finally:
        connection.close()


def check_not_interrupted(error: sqlite3.Error) -> None:
    """Raise KeyboardInterrupt when Ctrl-C ended the statement: SQLite reports it as an error of its own."""
    if str(error) == "interrupted":
        raise KeyboardInterrupt from error


def describe_tables(connection: sqlite3.Connection, schema: str = "main") -> dict[str, Table]:
    """Read the tables of an attached database, without SQLite's own.

    Args:
        connection: open connection.
        schema: `main` or the name under which a file is attached.
    """
    names = connection.execute(
        f"SELECT name FROM {quote(schema)}.sqlite_master"
        " WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name"
    ).fetchall()
    tables = {}
    for (name,) in names:
        rows = connection.execute(f"PRAGMA {quote(schema)}.table_info({quote(name)})").fetchall()
        tables[name] = Table(name, tuple(Column(row[1], row[2], row[5]) for row in rows))
    return tables


def create_statement(table: Table, schema: str = "main") -> str:
    """Write the CREATE TABLE of `table`: columns, declared types, primary key."""
    parts = [f"{quote(column.name)} {column.type}".rstrip() for column in table.columns]
    if table.primary_key:
        parts.append(f"PRIMARY KEY ({', '.join(quote(name) for name in table.primary_key)})")
    return f"CREATE TABLE {quote(schema)}.{quote(table.name)} ({', '.join(parts)})"


def affinity(declared: str) -> str:
    """The class of values a declared type stands for: `number`, `text` or `any` (rules: sqlite.org/datatype3.html, 3.1)."""
    upper = declared.upper()
    if "INT" in upper:
        return "number"
    if any(word in upper for word in ("CHAR", "CLOB", "TEXT")):
        return "text"
    if not upper or "BLOB" in upper:
        return "any"
    return "number"
