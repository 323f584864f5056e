"""A file of tables is asked whether it still holds every row of another one."""

import sqlite3
from pathlib import Path

from lineage.tables.engine import open_engine
from lineage.tables.parquet_files import read_schemas, scan
from lineage.tables.sql import quote, quote_all
from lineage.tables.sqlite_files import (
    Table,
    attached,
    describe_tables,
    is_sqlite,
    open_read_only,
)


def holds_all_rows(file: Path, recorded: Path) -> bool:
    """Tell whether a database or parquet file has every row of `recorded`, equal rows as often."""
    if is_sqlite(recorded):
        return _database_holds(file, recorded)
    return _parquet_holds(file, recorded)


def _database_holds(database: Path, recorded: Path) -> bool:
    with open_read_only(database) as connection, attached(connection, recorded, "recorded"):
        present = describe_tables(connection)
        for name, table in describe_tables(connection, "recorded").items():
            columns = present[name].column_names if name in present else ()
            if not set(table.column_names) <= set(columns) or _lacks_rows(connection, table):
                return False
    return True


def _lacks_rows(connection: sqlite3.Connection, table: Table) -> bool:
    """Tell whether a table of `recorded` has rows that the one of the same name has not."""
    columns = quote_all(table.column_names)
    # equal rows are told apart by their number
    number = "1" if table.primary_key else f"row_number() OVER (PARTITION BY {columns})"
    missing = connection.execute(f"""
        SELECT {columns}, {number} FROM recorded.{quote(table.name)}
        EXCEPT
        SELECT {columns}, {number} FROM main.{quote(table.name)}
        LIMIT 1
    """)
    return missing.fetchone() is not None


def _parquet_holds(file: Path, recorded: Path) -> bool:
    with open_engine() as engine:
        have, need = read_schemas(engine, [file, recorded])
        if not set(need.columns) <= set(have.columns):
            return False
        columns = quote_all(need.columns)
        missing = engine.execute(f"""
            SELECT {columns} FROM {scan(recorded)}
            EXCEPT ALL
            SELECT {columns} FROM {scan(file)}
            LIMIT 1
        """)
        return missing.fetchone() is None
