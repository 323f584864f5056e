"""A DuckDB file as a source of results: its tables are copied into a SQLite file, which is then merged like any other."""

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path

from lineage.core.errors import BadInput
from lineage.tables.sql import Engine, quote, text
from lineage.tables.sqlite_files import Column, Table, check_is_sqlite, create_statement

MAGIC, MAGIC_OFFSET = b"DUCK", 8
BATCH_ROWS = 50_000
EXACT_DIGITS = 15
"""Of decimal numbers that floating point keeps (IEEE 754), as which SQLite stores fractions; longer ones become text."""

AS_THEY_ARE = {"BLOB": "BLOB", "FLOAT": "REAL", "DOUBLE": "REAL", "BOOLEAN": "INTEGER"}
"""DuckDB types whose Python values SQLite stores as they are, besides whole numbers; others become text."""


def as_sqlite(sources: Sequence[Path], folder: Path) -> list[Path]:
    """Return SQLite files with the contents of the sources: themselves, or copies of DuckDB files in `folder`.

    Raises:
        BadInput: a source is neither, is open elsewhere, or holds a number that SQLite cannot.
    """
    files = [
        folder / f"{number}.db" if is_duckdb(path) else path for number, path in enumerate(sources)
    ]
    for path, file in zip(sources, files):
        if file is path:
            check_is_sqlite(path)
        else:
            _convert(path, file)
    return files


def is_duckdb(path: Path) -> bool:
    """Tell whether a file is in DuckDB's format."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(MAGIC_OFFSET + len(MAGIC))[MAGIC_OFFSET:] == MAGIC


def _convert(path: Path, target: Path) -> None:
    import duckdb

    try:
        with (
            closing(duckdb.connect(str(path), read_only=True)) as duck,
            closing(sqlite3.connect(target)) as copy,
            copy,
        ):
            duck.execute(
                "SET TimeZone = 'UTC'"
            )  # or a time would be another text on another machine
            query = "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' ORDER BY 1"
            for (name,) in duck.execute(query).fetchall():
                _copy_table(duck, copy, name)
    except duckdb.Error as error:
        raise BadInput(
            f"{path}: {str(error).splitlines()[0]}", "close the program that writes to it"
        ) from error
    except OverflowError as error:
        raise BadInput(
            f"{path} holds a whole number beyond 64 bits, which SQLite cannot store"
        ) from error


def _copy_table(duck: Engine, copy: sqlite3.Connection, name: str) -> None:
    described = duck.execute(f"DESCRIBE {quote(name)}").fetchall()
    wanted = (
        f"schema_name = 'main' AND constraint_type = 'PRIMARY KEY' AND table_name = {text(name)}"
    )
    query = f"SELECT constraint_column_names FROM duckdb_constraints() WHERE {wanted}"
    (key,) = duck.execute(query).fetchone() or ([],)
    columns = [
        Column(row[0], _kind(row[1]), key.index(row[0]) + 1 if row[0] in key else 0)
        for row in described
    ]
    copy.execute(create_statement(Table(name, tuple(columns))))
    values = ", ".join(
        quote(column.name) + "::VARCHAR" * (column.type == "TEXT") for column in columns
    )
    cursor = duck.execute(f"SELECT {values} FROM {quote(name)}")
    insert = f"INSERT INTO {quote(name)} VALUES ({', '.join('?' * len(columns))})"
    while rows := cursor.fetchmany(BATCH_ROWS):
        copy.executemany(
            insert, [[str(v) if isinstance(v, Decimal) else v for v in row] for row in rows]
        )


def _kind(duckdb_type: str) -> str:
    if digits := re.match(r"DECIMAL\((\d+)", duckdb_type):
        return "NUMERIC" if int(digits[1]) <= EXACT_DIGITS else "TEXT"
    return AS_THEY_ARE.get(duckdb_type) or (
        "INTEGER" if duckdb_type.endswith(("INT", "INTEGER")) else "TEXT"
    )
