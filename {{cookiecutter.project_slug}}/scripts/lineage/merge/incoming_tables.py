"""Rows of incoming SQLite databases, lined up by column name in temporary tables."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lineage.core.errors import BadInput
from lineage.tables.sql import NUMBER, RESERVED, SOURCE, all_of, fold, quote, quote_all, same
from lineage.tables.sqlite_files import (
    Column,
    Table,
    attached,
    describe_tables,
    open_read_only,
    row_number,
)


@dataclass
class Incoming:
    """One table as the sources have it.

    Attributes:
        name: the table's name.
        found: the table in each source that has it.
        columns: by folded name, in order of first appearance.
        types: every declared type that a column has in some source.
        lacking: by a column's name, the numbers of the sources that have the table without it.
        copies: numbers of the sources that began as copies of the base.
    """

    name: str
    found: Mapping[Path, Table]
    columns: dict[str, Column] = field(default_factory=dict)
    types: dict[str, set[str]] = field(default_factory=dict)
    lacking: dict[str, list[int]] = field(default_factory=dict)
    copies: list[int] = field(default_factory=list)

    @property
    def replaceable(self) -> str:
        """Quoted name of the temporary table of base rows that rebase may replace for a copy."""
        return f"temp.{quote('replaceable ' + self.name)}"

    @property
    def temporary(self) -> str:
        """Quoted name of the temporary table that holds the rows."""
        return f"temp.{quote('incoming ' + self.name)}"

    @property
    def table(self) -> Table:
        return Table(self.name, tuple(self.columns.values()))

    def missing_from(self, base: Table | None) -> list[str]:
        """The columns of the base that no source has."""
        return (
            [name for name in base.column_names if fold(name) not in self.columns] if base else []
        )


def line_up(name: str, found: Mapping[Path, Table], sources: Sequence[Path]) -> Incoming:
    """Line up the columns of one table of all sources. Their order does not depend on that of the sources.

    Args:
        name: the table's name.
        found: the sources that have it.
        sources: all of them.
    """
    incoming = Incoming(name, found)
    for table in sorted(found.values(), key=lambda table: table.column_names):
        for column in table.columns:
            incoming.columns.setdefault(fold(column.name), column)
            incoming.types.setdefault(fold(column.name), set()).add(column.type)
    names = {
        number: set(map(fold, found[path].column_names))
        for number, path in enumerate(sources)
        if path in found
    }
    for key, column in incoming.columns.items():
        incoming.lacking[column.name] = [
            number for number, there in names.items() if key not in there
        ]
    return incoming


def tables_of(sources: Sequence[Path], base: Path | None) -> dict[str, dict[Path, Table]]:
    """Map the name of every table, and every source that has it, to the table there.

    Names that differ in case only are one name to SQLite; the base's spelling counts, else the first source's.
    """
    spelled: dict[str, str] = {}
    found: dict[str, dict[Path, Table]] = {}
    if base is not None:
        with open_read_only(base) as connection:
            spelled = {fold(name): name for name in describe_tables(connection)}
    for path in sources:
        with open_read_only(path) as connection:
            for name, table in describe_tables(connection).items():
                found.setdefault(spelled.setdefault(fold(name), name), {})[path] = table
                if taken := RESERVED & set(map(fold, table.column_names)):
                    raise BadInput(
                        f"{path}: table {name!r} has a column {min(taken)!r}, a name of ours",
                        "rename it",
                    )
    return found


def collect(
    connection: sqlite3.Connection,
    tables: Mapping[str, Mapping[Path, Table]],
    sources: Sequence[Path],
) -> dict[str, Incoming]:
    """Copy the rows of tables into temporary tables whose columns have no type, so that values stay as they are.

    Args:
        connection: in autocommit mode, outside a transaction (a database cannot be detached within one).
        tables: as in `tables_of`.
        sources: database files.
    Raises:
        BadInput: a source cannot be read.
    """
    collected = {name: line_up(name, found, sources) for name, found in tables.items()}
    for incoming in collected.values():
        columns = [
            f"{NUMBER} INTEGER PRIMARY KEY",
            quote(SOURCE),
            *(quote(c.name) for c in incoming.columns.values()),
        ]
        connection.execute(f"CREATE TABLE {incoming.temporary} ({', '.join(columns)})")
        connection.execute(f"CREATE TABLE {incoming.replaceable} (source, base_row)")
    for number, path in enumerate(sources):
        with attached(connection, path):
            for name, found in tables.items():
                if path in found:
                    names = quote_all(found[path].column_names)
                    values = f"SELECT {number}, {names} FROM source.{quote(name)}"
                    connection.execute(
                        f"INSERT INTO {collected[name].temporary} ({quote(SOURCE)}, {names}) {values}"
                    )
    return collected


def drop_unchanged(
    connection: sqlite3.Connection, number: int, ancestor: Path, collected: dict[str, Incoming]
) -> None:
    """Forget the rows of one source that its ancestor holds too: they are old copies, unchanged since the branch point.

    What the source dropped or changed since then, and main did not, is noted: a rebase may replace that, and no other row.

    Args:
        connection: in autocommit mode, outside a transaction.
        number: of the source.
        ancestor: the database that it began as a copy of.
        collected: what `collect` returned.
    """
    with open_read_only(ancestor) as reader:
        tables = describe_tables(reader)
    present = describe_tables(connection)
    with attached(connection, ancestor, "ancestor"):
        for name in collected.keys() & tables.keys():
            incoming, then = collected[name], f"ancestor.{quote(name)}"
            incoming.copies.append(number)
            copied = (
                f"b.{quote(SOURCE)} = {number} AND {_as_then('b', incoming.table, tables[name])}"
            )
            if name in present:
                connection.execute(
                    f"INSERT INTO {incoming.replaceable} SELECT {number}, m.{row_number(connection, name)} FROM {then} a"
                    f" JOIN main.{quote(name)} m ON {_as_then('m', present[name], tables[name])}"
                    f" LEFT JOIN {incoming.temporary} b ON {copied} WHERE b.{NUMBER} IS NULL"
                )
            gone = f"SELECT b.{NUMBER} FROM {then} a JOIN {incoming.temporary} b ON {copied}"
            connection.execute(f"DELETE FROM {incoming.temporary} WHERE {NUMBER} IN ({gone})")


def _as_then(alias: str, table: Table, then: Table) -> str:
    """A row of `table` is row `a` of the ancestor; columns that came later are NULL."""
    known = set(map(fold, then.column_names))
    new = [
        f"{alias}.{quote(name)} IS NULL" for name in table.column_names if fold(name) not in known
    ]
    return all_of(
        [same("a", alias, [name for name in table.column_names if fold(name) in known]), *new]
    )
