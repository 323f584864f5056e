"""Whether a file of tables still holds every row of another."""

from pathlib import Path

from lineage.tables.engine import open_engine
from lineage.tables.parquet_files import read_schemas, scan
from lineage.tables.sql import quote, quote_all
from lineage.tables.sqlite_files import (
    attached,
    describe_tables,
    is_sqlite,
    open_read_only,
)


def holds_all_rows(file: Path, recorded: Path) -> bool:
    """Tell whether a database or a parquet file holds every row of `recorded`, equal rows as often."""
    holds = _database_holds if is_sqlite(recorded) else _parquet_holds
    return holds(file, recorded)


def _database_holds(database: Path, recorded: Path) -> bool:
    """Tell whether `database` has every row of every table of `recorded`, equal rows as often."""
    with open_read_only(database) as connection, attached(connection, recorded, "recorded"):
        present = describe_tables(connection)
        for name, table in describe_tables(connection, "recorded").items():
            if name not in present or not set(table.column_names) <= set(
                present[name].column_names
            ):
                return False
            columns = quote_all(table.column_names)
            counted = "" if table.primary_key else f", row_number() OVER (PARTITION BY {columns})"
            values = f"SELECT {columns}{counted} FROM"
            missing = f"{values} recorded.{quote(name)} EXCEPT {values} main.{quote(name)} LIMIT 1"
            if connection.execute(missing).fetchone():
                return False
    return True


def _parquet_holds(file: Path, recorded: Path) -> bool:
    """Tell whether a parquet file has every row of `recorded`."""
    with open_engine() as connection:
        have, need = read_schemas(connection, [file, recorded])
        if not set(need.columns) <= set(have.columns):
            return False
        wanted, present = (
            f"SELECT {quote_all(need.columns)} FROM {scan(path)}" for path in (recorded, file)
        )
        return (
            connection.execute(f"SELECT 1 FROM ({wanted} EXCEPT ALL {present}) LIMIT 1").fetchone()
            is None
        )
