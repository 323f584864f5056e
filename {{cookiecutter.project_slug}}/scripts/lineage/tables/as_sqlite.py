"""DuckDB files and tables WITHOUT ROWID, copied to SQLite files whose rows have numbers.

A SQLite file is one already. A DuckDB file, and a table WITHOUT ROWID, are copied first.
"""

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from lineage.core.errors import BadInput
from lineage.tables.sql import Engine, quote, quote_all
from lineage.tables.sqlite_files import (
    Column,
    Table,
    attached,
    count_rows,
    create_statement,
    describe_tables,
    has_row_numbers,
    open_read_only,
    starts_with,
)

BATCH_ROWS = 50_000

EXACT_DIGITS = 15
"""Of decimal numbers that floating point keeps (IEEE 754), as which SQLite stores fractions."""

STORED_AS = {"BLOB": "BLOB", "FLOAT": "REAL", "DOUBLE": "REAL", "BOOLEAN": "INTEGER"}
"""DuckDB types that SQLite stores as they are, besides whole numbers; others become text."""

DUCKDB_TABLES = """
    SELECT table_name FROM duckdb_tables()
    WHERE schema_name = 'main'
    ORDER BY table_name
"""

DUCKDB_COLUMNS = """
    WITH keys AS (
        SELECT table_oid, constraint_column_names AS key FROM duckdb_constraints()
        WHERE constraint_type = 'PRIMARY KEY'
    )
    SELECT column_name, data_type, coalesce(list_position(key, column_name), 0) AS key_position
    FROM duckdb_columns()
    LEFT JOIN keys USING (table_oid)
    WHERE database_name = current_database() AND schema_name = 'main' AND table_name = ?
    ORDER BY column_index
"""


WITHOUT_NUMBERS = "sqlite_master WHERE type = 'table' AND sql LIKE '%rowid%'"
"""Tables that may be WITHOUT ROWID, or hide the number of a row by names of columns."""


def is_duckdb(path: Path) -> bool:
    """Tell whether a file is in DuckDB's format."""
    return starts_with(path, b"DUCK", 8)


@dataclass(frozen=True)
class SqliteFile:
    """A SQLite file whose rows have numbers, and its tables by name."""

    path: Path
    tables: dict[str, Table]


def as_sqlite(source: Path, copy: Path) -> SqliteFile:
    """Give the SQLite file with the tables of a source: the source itself, or `copy`.

    Args:
        source: a database.
        copy: a file to make where it is needed.

    Raises:
        BadInput: the source is no database, is open elsewhere, or holds a number SQLite cannot.
    """
    if is_duckdb(source):
        _copy_duckdb(source, copy)
        return _described(copy)
    with open_read_only(source) as connection:
        tables = describe_tables(connection)
        suspects = count_rows(connection, WITHOUT_NUMBERS)
        if not suspects or all(has_row_numbers(connection, one) for one in tables.values()):
            return SqliteFile(source, tables)
    with (
        closing(sqlite3.connect(copy, uri=True, isolation_level=None)) as connection,
        attached(connection, source),
    ):
        for table in tables.values():
            name = quote(table.name)
            columns = quote_all(table.column_names)
            connection.execute(create_statement(table))
            connection.execute(f"INSERT INTO main.{name} SELECT {columns} FROM source.{name}")
    return _described(copy)


def _described(copy: Path) -> SqliteFile:
    with open_read_only(copy) as connection:
        return SqliteFile(copy, describe_tables(connection))


def _copy_duckdb(source: Path, target: Path) -> None:
    import duckdb

    try:
        with (
            closing(duckdb.connect(str(source), read_only=True)) as duck,
            closing(sqlite3.connect(target)) as copy,
            copy,
        ):
            duck.execute("SET TimeZone = 'UTC'")  # or a time would be another text elsewhere
            for (name,) in duck.execute(DUCKDB_TABLES).fetchall():
                _copy_table(duck, copy, name)
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise BadInput(f"{source}: {reason}", "close the program that writes to it") from error
    except OverflowError as error:
        problem = f"{source} holds a whole number beyond 64 bits, which SQLite cannot store"
        raise BadInput(problem) from error


def _copy_table(duck: Engine, copy: sqlite3.Connection, name: str) -> None:
    columns = []
    values = []
    for column, kind, key_position in duck.execute(DUCKDB_COLUMNS, [name]).fetchall():
        declared = _declared_type(kind)
        columns.append(Column(column, declared, key_position))
        values.append(f"{quote(column)}::VARCHAR" if declared == "TEXT" else quote(column))
    copy.execute(create_statement(Table(name, tuple(columns))))
    sqlite3.register_adapter(Decimal, str)
    marks = ", ".join("?" * len(columns))
    rows = duck.execute(f"SELECT {', '.join(values)} FROM {quote(name)}")
    while batch := rows.fetchmany(BATCH_ROWS):
        copy.executemany(f"INSERT INTO {quote(name)} VALUES ({marks})", batch)


def _declared_type(duckdb_type: str) -> str:
    """Name the declared type under which SQLite keeps the values of a DuckDB type."""
    decimal = re.match(r"DECIMAL\((\d+)", duckdb_type)
    if decimal:
        return "NUMERIC" if int(decimal[1]) <= EXACT_DIGITS else "TEXT"
    if duckdb_type.endswith(("INT", "INTEGER")):
        return "INTEGER"
    return STORED_AS.get(duckdb_type, "TEXT")
