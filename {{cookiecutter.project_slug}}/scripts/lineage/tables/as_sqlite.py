"""A database of another form than a plain SQLite file is copied to one, by the extra `formats`."""

import sqlite3
from pathlib import Path
from typing import Any, NamedTuple

from lineage.core.errors import BadInput, explain_missing
from lineage.tables.sql import quote, quote_all
from lineage.tables.sqlite_files import Table, describe_tables, is_utf_8
from lineage.tables.sqlite_reading import has_left_log, open_read_only, starts_with

MOST_COLUMNS = 1_998
"""So many are read beside two numbers of each row; SQLite gives 2,000 (sqlite.org/limits.html)."""

BEYOND_TABLES = """
    SELECT 1 FROM sqlite_master
    WHERE type IN ('trigger', 'view') OR (type = 'index' AND sql IS NOT NULL)
    UNION ALL
    SELECT 1 FROM pragma_table_list WHERE (type = 'virtual' OR wr) AND schema = 'main'
    UNION ALL
    SELECT 1 FROM sqlite_master AS made JOIN pragma_foreign_key_list(made.name)
    LIMIT 1
"""


class SqliteFile(NamedTuple):
    """A SQLite file whose rows have numbers, its tables by name, and whether it has more."""

    path: Path
    tables: dict[str, Table]
    has_more: bool


SCHEMA = "SELECT CAST(name AS BLOB), CAST(sql AS BLOB) FROM sqlite_master"
"""What `describe_tables` and `has_more` tell follows from this. A name may be no text."""

DESCRIBED: dict[tuple[Any, ...], SqliteFile] = {}
"""By schema, the first file that had it: of a thousand runs with one schema, one is described."""


def as_sqlite(source: Path, copy: Path) -> SqliteFile:
    """Give the SQLite file with the tables of a source: the source itself, or `copy`.

    Args:
        source: a database.
        copy: a file to make where it is needed: for a DuckDB file, text in UTF-16, tables WITHOUT
            ROWID, and what a killed program left in a write-ahead log.

    Raises:
        BadInput: the source is no database, is open elsewhere, or holds a number SQLite cannot;
            or the extra that copies it is not here.
    """
    if not starts_with(source, b"DUCK", 8) and not has_left_log(source):
        with open_read_only(source) as connection:
            schema = (is_utf_8(connection), *connection.execute(SCHEMA))
            if schema not in DESCRIBED:
                described = SqliteFile(source, describe_tables(connection), has_more(connection))
                DESCRIBED[schema] = described
        file = DESCRIBED[schema]._replace(path=source)
        for table in file.tables.values():
            check_width(source, table)
        is_numbered = all(table.row_alias for table in file.tables.values())
        if is_numbered and schema[0]:
            return file
    with explain_missing("formats", str(source)):
        from lineage.extras.formats.as_sqlite import copied
    return copied(source, copy)


def has_more(connection: sqlite3.Connection) -> bool:
    """Tell whether a database has more than tables of rows that refer to no others."""
    return connection.execute(BEYOND_TABLES).fetchone() is not None


def create_statement(table: Table) -> str:
    """Write the CREATE TABLE of `table`: columns, declared types, primary key."""
    parts = [f"{quote(column.name)} {column.type}".rstrip() for column in table.columns]
    if table.primary_key:
        parts.append(f"PRIMARY KEY ({quote_all(table.primary_key)})")
    return f"CREATE TABLE main.{quote(table.name)} ({', '.join(parts)})"


def check_width(place: Path | str, table: Table) -> None:
    """Raise `BadInput` where a table has so many columns that SQLite cannot number its rows."""
    count = len(table.columns)
    if count > MOST_COLUMNS:
        raise BadInput(
            f"{place}: table {table.name!r} has {count} columns; {MOST_COLUMNS} can be merged",
            "split it in two tables with one key, or merge it as parquet",
        )
