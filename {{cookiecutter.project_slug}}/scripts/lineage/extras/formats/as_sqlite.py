"""Databases of other forms, copied to SQLite files in UTF-8 whose rows have numbers.

Most SQLite files are that already. A DuckDB file is copied, a table WITHOUT ROWID, text in UTF-16,
and what a killed program left in a write-ahead log.
"""

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

from lineage.core.errors import BadInput
from lineage.tables.as_sqlite import SqliteFile, as_sqlite, create_statement, has_more
from lineage.tables.sql import Engine, quote, quote_all
from lineage.tables.sqlite_files import Column, Table, describe_tables, is_utf_8
from lineage.tables.sqlite_reading import (
    attached,
    has_left_log,
    open_read_only,
    starts_with,
    with_log,
)

BATCH_ROWS = 50_000

DUCKDB_TABLES = """
    SELECT schema_name, table_name FROM duckdb_tables()
    ORDER BY schema_name, table_name
"""

DUCKDB_COLUMNS = """
    WITH keys AS (
        SELECT table_oid, constraint_column_names AS key FROM duckdb_constraints()
        WHERE constraint_type = 'PRIMARY KEY'
    )
    SELECT column_name,
           CASE WHEN data_type LIKE '%INT' OR data_type IN ('INTEGER', 'UINTEGER', 'BOOLEAN')
                THEN 'INTEGER'
                WHEN data_type IN ('FLOAT', 'DOUBLE') THEN 'REAL'
                WHEN data_type = 'BLOB' THEN 'BLOB'
                WHEN data_type LIKE 'DECIMAL(%)' AND numeric_precision <= 15 THEN 'NUMERIC'
                ELSE 'TEXT' END AS declared,
           coalesce(list_position(key, column_name), 0) AS key_position
    FROM duckdb_columns()
    LEFT JOIN keys USING (table_oid)
    WHERE database_name = current_database() AND schema_name = 'main' AND table_name = ?
    ORDER BY column_index
"""
"""The columns of a table, and the types under which SQLite keeps their values: most as text.

SQLite stores fractions as floating point, which keeps 15 digits of a decimal number (IEEE 754).
"""


def is_duckdb(path: Path) -> bool:
    """Tell whether a file is in DuckDB's format."""
    return starts_with(path, b"DUCK", 8)


def copied(source: Path, copy: Path) -> SqliteFile:
    """Copy a database of another form; arguments and errors are those of `tables.as_sqlite`."""
    if is_duckdb(source):
        _copy_duckdb(source, copy)
        return as_sqlite(copy, copy)
    if has_left_log(source):
        return as_sqlite(with_log(source, copy.with_suffix(".log")), copy)
    with open_read_only(source) as connection:
        tables = describe_tables(connection)
        _copy_tables(connection, source, tables, copy)
        more = has_more(connection)
    plain = {
        name: Table(name, table.columns, table.statement if table.row_alias else "")
        for name, table in tables.items()
    }
    return SqliteFile(copy, plain, more)


def _copy_tables(
    reader: sqlite3.Connection, source: Path, tables: dict[str, Table], copy: Path
) -> None:
    """Copy the rows of all tables; SQLite attaches no file whose text is encoded otherwise."""
    with closing(sqlite3.connect(copy, uri=True, isolation_level=None)) as connection:
        for table in tables.values():
            connection.execute(create_statement(table))
            name = quote(table.name)
            columns = quote_all(table.column_names)
            if is_utf_8(reader):
                with attached(connection, source):
                    insert = f"INSERT INTO main.{name} SELECT {columns} FROM source.{name}"
                    connection.execute(insert)
                continue
            marks = ", ".join("?" * len(table.columns))
            rows = reader.execute(f"SELECT {columns} FROM {name}")
            connection.executemany(f"INSERT INTO main.{name} VALUES ({marks})", rows)


def _copy_duckdb(source: Path, target: Path) -> None:
    import duckdb

    try:
        with (
            closing(duckdb.connect(str(source), read_only=True)) as duck,
            closing(sqlite3.connect(target)) as copy,
            copy,
        ):
            duck.execute("SET TimeZone = 'UTC'")  # or a time would be another text elsewhere
            tables = duck.execute(DUCKDB_TABLES).fetchall()
            if not tables:
                raise BadInput(f"{source}: it has no tables")
            for schema, name in tables:
                if schema != "main":
                    problem = f"table {name!r} is in schema {schema!r}, and only 'main' is merged"
                    raise BadInput(f"{source}: {problem}", _to_main(schema, name))
                _copy_table(duck, copy, name, source)
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        remedy = f"replace or remove {source}"
        if "Could not set lock" in reason:
            remedy = "close the program that writes to it"
        raise BadInput(f"{source}: {reason}", remedy) from error
    except OverflowError as error:
        problem = f"{source} holds a whole number beyond 64 bits, which SQLite cannot store"
        raise BadInput(problem) from error


def _to_main(schema: str, name: str) -> str:
    """Write what moves a table of a DuckDB file into its schema `main`."""
    table = f"{quote(schema)}.{quote(name)}"
    return f"CREATE TABLE main.{quote(name)} AS FROM {table}; DROP TABLE {table}   -- in DuckDB"


def _copy_table(duck: Engine, copy: sqlite3.Connection, name: str, source: Path) -> None:
    columns = []
    values = []
    for column, declared, key_position in duck.execute(DUCKDB_COLUMNS, [name]).fetchall():
        columns.append(Column(column, declared, key_position))
        is_nan = f"isnan({quote(column)})"
        table = f"{quote(name)} WHERE {is_nan}"
        if declared == "REAL" and duck.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchall():
            problem = f"table {name!r}, column {column!r} holds NaN, which SQLite cannot store"
            remedy = f"UPDATE {quote(name)} SET {quote(column)} = NULL WHERE {is_nan}"
            raise BadInput(f"{source}: {problem}", f"{remedy}   -- in DuckDB")
        values.append(f"{quote(column)}::VARCHAR" if declared == "TEXT" else quote(column))
    copy.execute(create_statement(Table(name, tuple(columns))))
    sqlite3.register_adapter(Decimal, str)
    marks = ", ".join("?" * len(columns))
    rows = duck.execute(f"SELECT {', '.join(values)} FROM {quote(name)}")
    while batch := rows.fetchmany(BATCH_ROWS):
        copy.executemany(f"INSERT INTO {quote(name)} VALUES ({marks})", batch)
