"""The DuckDB engine, in which files become relations, downloads nothing and spills to disk."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from tempfile import TemporaryDirectory
from typing import Any

from lineage.core.errors import BadInput, Refused
from lineage.tables.damaged_files import find_damaged
from lineage.tables.sql import Engine

MEMORY_VARIABLE = "LINEAGE_MEMORY_LIMIT"

SETTINGS = """
    SET GLOBAL TimeZone = 'UTC';
    SET GLOBAL enable_geoparquet_conversion = false;
    SET GLOBAL enable_external_file_cache = false
"""
"""A time is the same text everywhere; what GeoParquet calls a geometry stays bytes and notes.
DuckDB 1.5 would take bytes it has read before for those of a file that was written anew."""


def memory_limit() -> str | None:
    """Read how much memory DuckDB may take, as in `4GB`; None: as much as it finds right."""
    return os.environ.get(MEMORY_VARIABLE)


@contextmanager
def open_engine() -> Iterator[Engine]:
    """Open a connection to DuckDB, with temporary relations of its own.

    Raises:
        BadInput: the block reads what DuckDB cannot.
        Refused: the block needs more memory than `LINEAGE_MEMORY_LIMIT` or the machine allows.
    """
    import duckdb

    try:
        with closing(connect()) as engine:
            engine.execute("SET enable_progress_bar = false")
            try:
                yield engine
            except duckdb.Error as error:
                if type(error) is duckdb.Error:  # of a damaged page, which names no file
                    find_damaged(engine)
                raise
    except (duckdb.Error, RuntimeError) as error:
        raise _explain(error) from error


def connect() -> Engine:
    """Connect to DuckDB; the temporary relations live as long as the connection."""
    return _start(memory_limit())[0].cursor()


def start(folder: str, **settings: Any) -> Engine:
    """Start a DuckDB in memory that downloads nothing and takes no footer's word.

    Args:
        folder: that it spills into.
        settings: more of DuckDB's.
    """
    import duckdb

    config = {
        "temp_directory": folder,
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "disabled_optimizers": "statistics_propagation",
        **settings,
    }
    engine = duckdb.connect(config=config)
    engine.execute(SETTINGS)
    return engine


@cache
def _start(limit: str | None) -> tuple[Engine, TemporaryDirectory[str]]:
    """Start DuckDB in memory, once in a process since that takes 20 ms.

    Returns:
        a connection, and the folder it spills into, which is removed when the process ends.
    """
    folder = TemporaryDirectory(prefix="lineage-")
    settings = {"memory_limit": limit} if limit else {}
    return start(folder.name, **settings), folder


def _explain(error: Exception) -> BaseException:
    """Turn an error of DuckDB into one of ours; an interrupted query was ended by Ctrl-C."""
    import duckdb

    limit = memory_limit()
    reason = str(error).splitlines()[0]
    if "interrupt" in reason.lower():
        return KeyboardInterrupt()
    if isinstance(error, duckdb.OutOfMemoryException):
        return Refused(f"the merge needs more memory: {reason}", f"export {MEMORY_VARIABLE}=8GB")
    if limit and isinstance(error, duckdb.ParserException):
        return BadInput(f"{MEMORY_VARIABLE}={limit}: {reason}", f"export {MEMORY_VARIABLE}=4GB")
    return BadInput(f"DuckDB cannot read the data: {reason}")
