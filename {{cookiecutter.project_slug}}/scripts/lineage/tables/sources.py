"""The record of what was merged into a file: kept in the file itself, in order of arrival.

A parquet file has it in its metadata, as JSON under `lineage_sources`, a folder of parts in one
of them; a database in a table of its own, `lineage_sources`. A copy carries it along.
"""

import json
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from lineage.core.errors import BadInput
from lineage.tables.engine import open_engine
from lineage.tables.parquet_files import count_rows_of, escaped
from lineage.tables.parts import is_parts, parts_of
from lineage.tables.sql import Engine, quote
from lineage.tables.sqlite_files import RECORD, count_rows
from lineage.tables.sqlite_reading import is_sqlite, open_read_only, starts_with

METADATA_KEY = "lineage_sources"
TABLES = """
    SELECT name FROM sqlite_master
    WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
"""


class Source(NamedTuple):
    """A file that was merged.

    Attributes:
        md5: of its bytes.
        name: its path, seen from the project's root.
        rows: how many it holds, of all its tables.
        rule: how, in options of `merge_artifacts.py`: `--strategy rebase --key-columns id`.
    """

    md5: str
    name: str
    rows: int
    rule: str


Sources = dict[str, Source]
"""Sources by their md5, in order of arrival."""


def read_sources(path: Path) -> Sources:
    """Read the record of a parquet file or database; it is empty where there is none."""
    return count_and_read(path)[1]


def count_and_read(path: Path) -> tuple[int, Sources]:
    """Count the rows of a parquet file or database, and read its record."""
    rows = 0
    record = []
    if is_sqlite(path):
        with open_read_only(path) as connection:
            for (name,) in connection.execute(TABLES).fetchall():
                if name == RECORD:
                    record = connection.execute(f"SELECT * FROM {RECORD} ORDER BY rowid").fetchall()
                else:
                    rows += count_rows(connection, quote(name))
    elif is_parts(path) or starts_with(path, b"PAR1"):
        parts = parts_of(path)
        with suppress(BadInput), open_engine() as engine:  # the merge says why
            rows = sum(count_rows_of(engine, parts).values())
            record = json.loads(read_notes(engine, parts[-1]).get(METADATA_KEY, "[]"))
    return rows, {entry[0]: Source(*entry) for entry in record}


def read_notes(engine: Engine, file: Path) -> dict[str, str]:
    """Read the metadata of a parquet file, the record among it, and nothing that DuckDB adds."""
    notes = engine.execute(f"""
        SELECT TRY(decode(key)), TRY(decode(value)) FROM parquet_kv_metadata({escaped(file)})
        WHERE NOT starts_with(key::VARCHAR, 'duckdb.')
    """)
    return dict(notes.fetchall())


def as_metadata(sources: Sources) -> dict[str, str]:
    """Write a record as metadata of a parquet file."""
    return {METADATA_KEY: json.dumps([*sources.values()])} if sources else {}


def add_sources(database: Path, new: Sources) -> None:
    """Add to the record of a database; it is not touched where it has all."""
    known = read_sources(database)
    sources = arrive(known, new)
    if sources == known:
        return
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(f"DROP TABLE IF EXISTS {RECORD}")
        connection.execute(f"""
            CREATE TABLE {RECORD} (md5 TEXT PRIMARY KEY, name TEXT, rows INTEGER, rule TEXT)
        """)
        connection.executemany(f"INSERT INTO {RECORD} VALUES (?, ?, ?, ?)", sources.values())


def arrive(known: Sources, new: Sources) -> Sources:
    """Add to a record; a source that comes again by another rule takes its later place."""
    kept = {md5: one for md5, one in known.items() if new.get(md5, one).rule == one.rule}
    return {**kept, **new, **kept}
