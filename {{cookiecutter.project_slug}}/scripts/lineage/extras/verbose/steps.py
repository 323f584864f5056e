"""Each command, and each statement of SQLite and DuckDB, is shown on one line of standard error."""

import os
import shlex
import sqlite3
import sys
from functools import partial
from typing import Any

import duckdb

from lineage.tables.sql import Engine


def show_steps() -> None:
    """Show each step from now on."""
    connect_sqlite = sqlite3.connect
    connect_duckdb = duckdb.connect

    def show_sqlite(*words: Any, **options: Any) -> sqlite3.Connection:
        connection = connect_sqlite(*words, **options)
        connection.set_trace_callback(show_step)
        return connection

    def show_duckdb(*words: Any, **options: Any) -> Any:
        return Shown(connect_duckdb(*words, **options))

    def hear(event: str, words: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen":
            show_step(shlex.join(map(os.fsdecode, words[1])))

    sqlite3.connect = show_sqlite  # type: ignore[assignment]
    duckdb.connect = show_duckdb
    sys.addaudithook(hear)


def show_step(step: object) -> None:
    """Show a command or a statement of SQL on one line."""
    print("+", " ".join(str(step).split())[:1000], file=sys.stderr, flush=True)


class Shown:
    """A connection to DuckDB that shows its statements."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __getattr__(self, name: str) -> Any:
        if name in ("execute", "sql"):
            return partial(self.show, name)
        return getattr(self.engine, name)

    def cursor(self) -> "Shown":
        """Open another connection to the same database."""
        return Shown(self.engine.cursor())

    def show(self, name: str, statement: str, *rest: Any) -> Any:
        """Show a statement, and run it."""
        show_step(statement)
        return getattr(self.engine, name)(statement, *rest)
