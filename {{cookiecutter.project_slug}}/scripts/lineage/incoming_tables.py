"""Rows of incoming SQLite databases, lined up by column name in temporary tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lineage.databases import Column, Table, check_not_interrupted, describe_tables, open_read_only, read_only_uri
from lineage.errors import BadInput
from lineage.merge_plan import ROW, SOURCE
from lineage.sql import quote, quote_all, same


@dataclass
class Incoming:
    """One table as the sources have it.

    Attributes:
        name: the table's name.
        columns: by lower-case name (SQLite compares names so), in order of first appearance.
        types: every declared type that a column has in some source.
    """

    name: str
    columns: dict[str, Column] = field(default_factory=dict)
    types: dict[str, set[str]] = field(default_factory=dict)

    @property
    def temporary(self) -> str:
        """Quoted name of the temporary table that holds the rows."""
        return f"temp.{quote('incoming ' + self.name)}"

    @property
    def table(self) -> Table:
        return Table(self.name, tuple(self.columns.values()))


def tables_of(sources: Sequence[Path]) -> dict[str, list[Path]]:
    """Map every table to the sources that have it."""
    found: dict[str, list[Path]] = {}
    for path in sources:
        with open_read_only(path) as connection:
            for name in describe_tables(connection):
                found.setdefault(name, []).append(path)
    return found


def collect(connection: sqlite3.Connection, sources: Sequence[Path], names: Sequence[str]) -> dict[str, Incoming]:
    """Copy the rows of the named tables into temporary tables whose columns have no type, so that values stay as they are.

    Args:
        connection: in autocommit mode, outside a transaction (a database cannot be detached within one).
        sources: database files.
        names: tables.
    Raises:
        BadInput: a source cannot be read.
    """
    collected = {name: Incoming(name) for name in names}
    for incoming in collected.values():
        connection.execute(f"CREATE TEMP TABLE {quote('incoming ' + incoming.name)} ({quote(SOURCE)}, {quote(ROW)})")
    for number, path in enumerate(sources):
        connection.execute("ATTACH ? AS source", (read_only_uri(path),))
        try:
            tables = describe_tables(connection, "source")
            for name in names:
                if name in tables:
                    _copy_rows(connection, number, tables[name], collected[name])
        except sqlite3.DatabaseError as error:
            check_not_interrupted(error)
            raise BadInput(f"{path}: {error}", f"sqlite3 {path} 'PRAGMA integrity_check'") from error
        finally:
            connection.execute("DETACH source")
    return collected


def _copy_rows(connection: sqlite3.Connection, number: int, table: Table, incoming: Incoming) -> None:
    for column in table.columns:
        key = column.name.lower()
        if key not in incoming.columns:
            incoming.columns[key] = column
            connection.execute(f"ALTER TABLE {incoming.temporary} ADD COLUMN {quote(column.name)}")
        incoming.types.setdefault(key, set()).add(column.type)
    columns = quote_all(table.column_names)
    connection.execute(
        f"INSERT INTO {incoming.temporary} ({quote(SOURCE)}, {quote(ROW)}, {columns})"
        f" SELECT {number}, row_number() OVER (), {columns} FROM source.{quote(table.name)}"
    )


def drop_unchanged(connection: sqlite3.Connection, number: int, ancestor: Path, collected: dict[str, Incoming]) -> None:
    """Forget the rows of one source that its ancestor holds too: they are old copies, unchanged since the branch point.

    Args:
        connection: in autocommit mode, outside a transaction.
        number: of the source.
        ancestor: the database that it began as a copy of.
        collected: what `collect` returned.
    """
    with open_read_only(ancestor) as reader:
        tables = describe_tables(reader)
    connection.execute("ATTACH ? AS ancestor", (read_only_uri(ancestor),))
    for incoming in collected.values():
        if incoming.name not in tables:
            continue
        known = {name.lower() for name in tables[incoming.name].column_names}
        shared = [column.name for key, column in incoming.columns.items() if key in known]
        new = [f"b.{quote(column.name)} IS NULL" for key, column in incoming.columns.items() if key not in known]
        equal = " AND ".join([f"b.{quote(SOURCE)} = {number}", same("a", "b", shared), *new])
        connection.execute(
            f"DELETE FROM {incoming.temporary} WHERE rowid IN"
            f" (SELECT b.rowid FROM ancestor.{quote(incoming.name)} a JOIN {incoming.temporary} b ON {equal})"
        )
    connection.execute("DETACH ancestor")
