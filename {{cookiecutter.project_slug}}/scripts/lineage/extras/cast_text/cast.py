"""Copy sources whose column is no text; `column_types` says which columns, and rewrites values."""

import shutil
import sqlite3
from contextlib import closing

from lineage.merge.column_types import redeclare
from lineage.merge.lined_up import LinedUp
from lineage.tables.sql import fold
from lineage.tables.sqlite_files import Column, affinity


def cast_sources(incoming: LinedUp, column: Column) -> None:
    """Let copies of the sources hold text in a column; their rows are read from the copies."""
    for number, table in incoming.found.items():
        copy = incoming.folder / f"cast-{number}.db"
        here = table.by_name.get(fold(column.name))
        if here is None or affinity(here.type) == "text":
            continue
        if incoming.files[number] != copy:
            shutil.copyfile(incoming.files[number], copy)
            copy.chmod(0o600)
            incoming.files[number] = copy
        with closing(sqlite3.connect(copy, uri=True, isolation_level=None)) as connection:
            redeclare(connection, table.name, here, "TEXT")
