"""Find whether a file still holds every row of its recorded version, before it is written over."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from lineage.tables.as_sqlite import as_sqlite
from lineage.tables.engine import open_engine
from lineage.tables.parquet_files import numbered_rows, read_schemas
from lineage.tables.parquet_types import common_columns
from lineage.tables.sql import quote, quote_all
from lineage.tables.sqlite_files import Table
from lineage.tables.sqlite_reading import attached, is_sqlite, open_read_only


def holds_all_rows(files: Sequence[Path], recorded: Sequence[Path]) -> bool:
    """Tell whether a database or parquet files have every row of `recorded`, equal ones as often.

    Args:
        files: a database, or parquet files.
        recorded: the same, of an earlier time.
    """
    if is_sqlite(recorded[0]):
        return _database_holds(files[0], recorded[0])
    return _parquet_holds(files, recorded)


def _database_holds(database: Path, recorded: Path) -> bool:
    with TemporaryDirectory(prefix="lineage-") as folder:
        present = as_sqlite(database, Path(folder) / "present.db")
        then = as_sqlite(recorded, Path(folder) / "recorded.db")
        with open_read_only(present.path) as connection, attached(connection, then.path):
            for name, table in then.tables.items():
                columns = present.tables[name].column_names if name in present.tables else ()
                if not set(table.column_names) <= set(columns) or _lacks_rows(connection, table):
                    return False
    return True


def _lacks_rows(connection: sqlite3.Connection, table: Table) -> bool:
    """Tell whether a table of `source` has rows that the one of the same name has not.

    No value is fetched: Python reads no text that is not UTF-8.
    """
    columns = quote_all(table.column_names)
    if not table.primary_key:  # equal rows are told apart by their number
        columns += f", row_number() OVER (PARTITION BY {columns})"
    missing = connection.execute(f"""
        SELECT EXISTS (
            SELECT {columns} FROM source.{quote(table.name)}
            EXCEPT
            SELECT {columns} FROM main.{quote(table.name)}
        )
    """)
    return missing.fetchone() == (1,)


def _parquet_holds(files: Sequence[Path], recorded: Sequence[Path]) -> bool:
    if not files:
        return False
    with open_engine() as engine:
        have = read_schemas(engine, files)
        need = read_schemas(engine, recorded)
        columns = common_columns([*have, *need], cast_text=True)
        names = common_columns(need, cast_text=True)
        missing = engine.execute(f"""
            SELECT {quote_all(names)} FROM ({numbered_rows(need, columns)})
            EXCEPT ALL
            SELECT {quote_all(names)} FROM ({numbered_rows(have, columns)})
            LIMIT 1
        """)
        return missing.fetchone() is None
