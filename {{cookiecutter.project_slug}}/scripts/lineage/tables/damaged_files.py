"""Find the parquet file that is damaged, and refuse it by its name."""

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lineage.core.errors import BadInput
from lineage.tables.sql import Engine, text


def read_later(engine: Engine, files: Sequence[Path]) -> None:
    """Note parquet files that will be read, to find the one that is damaged."""
    listed = ", ".join(text(str(file)) for file in files)
    engine.execute(f"""
        SET VARIABLE lineage_files = list_concat(
            getvariable('lineage_files'), [{listed}]::VARCHAR[]
        )
    """)


def find_damaged(engine: Engine) -> None:
    """Read each file alone that was noted; raise `BadInput` for the first that is damaged."""
    noted = "SELECT unnest(getvariable('lineage_files'))"
    for (file,) in engine.execute(noted).fetchall():
        ask(engine, file, f"SELECT max(hash(row)) FROM {text(glob.escape(file))} AS row")


def ask(engine: Engine, path: Path, query: str) -> list[Any]:
    """Run a query about a file; raise `BadInput` where it is not parquet."""
    import duckdb

    try:
        return engine.execute(query).fetchall()
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        reason = str(error).splitlines()[0].rpartition("Error: ")[2]
        if reason.startswith("don't know what type"):  # and then a byte that nobody can print
            reason = "its metadata are damaged"
        raise BadInput(
            f"{path} is not a readable parquet file: {reason}", f"replace or remove {path}"
        ) from None
