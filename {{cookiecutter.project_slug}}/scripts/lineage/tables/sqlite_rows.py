"""Rows of SQLite databases become relations of the DuckDB engine, each value an exact code.

SQLite may keep a number, a text and bytes in one column; a column of DuckDB has one type. So SQLite
itself writes each value as a code, and equal codes are equal values: `n` (NULL), `7`, `0.5`,
`tseven` (text), `b00FF` (bytes). Codes are bytes, since text need not be valid UTF-8.
DuckDB reads them through Arrow's ADBC driver, as a stream.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lineage.core.errors import BadInput, Refused
from lineage.tables.sql import FILE_ROW, ROW, SOURCE, Engine, quote, text
from lineage.tables.sqlite_files import Table
from lineage.tables.sqlite_reading import WRITE_ERRORS, read_only_uri, unreadable

NULL_CODE = b"n"
NULL = "'n'::BLOB"
NO_VALUE = "CAST('n' AS BLOB)"
"""The code of NULL: in Python, in SQL of DuckDB, in SQL of SQLite."""

MALFORMED = "database disk image is malformed"

NO_ROOM = "export SQLITE_TMPDIR=.   # or another folder with room; then the same again"
"""What helps where a disk is full (sqlite.org/tempfiles.html, 5)."""

ATTACHED = 10
"""So many databases SQLite attaches at once (sqlite.org/limits.html)."""

FEW_VALUES = 10_000
"""So many values of a column are looked up in the base; for more, the whole base is read."""

NUMBER_CODES = {
    "real": "WHEN 'integer' THEN quote(CAST({column} AS REAL))",
    "number": """
            WHEN 'real' THEN
                CASE WHEN {column} = CAST({column} AS INTEGER)
                THEN CAST(CAST({column} AS INTEGER) AS TEXT)
                ELSE quote({column}) END""",
}
"""How numbers are written where the type of the column makes 1 and 1.0 one value."""


def coded(column: str, kind: str) -> str:
    """Write the SQL expression of SQLite that gives the codes of a column.

    Args:
        column: its quoted name.
        kind: what the column that the value is compared with makes of numbers; see `affinity`.
    """
    number = NUMBER_CODES.get(kind, "").format(column=column)
    return f"""
        CAST(CASE typeof({column})
            WHEN 'null' THEN 'n'
            WHEN 'text' THEN 't' || {column}
            WHEN 'blob' THEN 'b' || hex({column})
            {number}
            ELSE quote({column})
        END AS BLOB)
    """


def decoded(code: bytes) -> Any:
    """Read the value of a code back."""
    if code == NULL_CODE:
        return None
    if code.startswith(b"b"):
        return bytes.fromhex(code[1:].decode())
    if code.startswith(b"t"):
        return code[1:].decode("utf-8", errors="replace")
    return int(code) if code.lstrip(b"-").isdigit() else float(code)


def literal(code: bytes) -> str:
    """Write the value of a code as SQL: `x'…'` for bytes, and for text that SQL could not hold."""
    if code.startswith(b"t"):
        return f"CAST(x'{code[1:].hex()}' AS TEXT)"
    if code.startswith(b"b"):
        return f"x'{code[1:].decode()}'"
    return code.decode()


def make_relation(engine: Engine, relation: str, columns: Iterable[str]) -> None:
    """Make an empty relation for codes, in place of an earlier one.

    Args:
        engine: where.
        relation: its name.
        columns: of the rows; one that a file lacks is NULL there.
    """
    codes = "".join(f", {quote(name)} BLOB DEFAULT {NULL}" for name in columns)
    engine.execute(f"""
        CREATE OR REPLACE TEMP TABLE {relation} (
            "{SOURCE}" INTEGER, "{FILE_ROW}" BIGINT, "{ROW}" BIGINT{codes}
        )
    """)


class Reading(NamedTuple):
    """What is read of one table of one database.

    Attributes:
        path: the database.
        table: the table.
        codes: by the name of a column of the relation, the expression that gives its codes.
        number: of the source.
        where: the condition of the rows.
    """

    path: Path
    table: Table
    codes: Mapping[str, str]
    number: int = 0
    where: str = "TRUE"

    def statement(self, schema: str) -> str:
        """Write the SELECT, with the database attached as a schema."""
        codes = "".join(f", {code} AS {quote(name)}" for name, code in self.codes.items())
        return f"""
            SELECT {self.number} AS "{SOURCE}", {self.table.row_alias} AS "{FILE_ROW}"{codes}
            FROM {schema}.{quote(self.table.name)}
            WHERE {self.where}
        """


def read_codes(
    engine: Engine, readings: Sequence[Reading], relation: str, renumber: bool = False
) -> None:
    """Append rows of databases to a relation, by the names of the columns.

    Args:
        engine: where the relation is.
        readings: what is read, all with the same columns; at least one.
        relation: its name.
        renumber: `lineage row` rises from source to source; otherwise it is that of the file.

    Raises:
        BadInput: a database cannot be read.
    """
    row = "row_number() OVER ()" if renumber else quote(FILE_ROW)
    insert = f"""
        INSERT INTO {relation} BY NAME
        SELECT *, {row} AS "{ROW}" FROM stream
    """
    try:
        insert_rows(engine, readings, insert)
    except BadInput:
        for reading in readings:  # which of them was it?
            insert_rows(engine, [reading], insert)
        raise


def insert_rows(
    engine: Engine, readings: Sequence[Reading], insert: str, batch: int = 2048
) -> None:
    """Let SQLite read tables of several databases, and DuckDB insert the rows by one statement.

    Args:
        engine: where they go.
        readings: what is read, all with the same columns.
        insert: the statement that takes them out of the relation `stream`.
        batch: the driver types a column by so many rows, which it keeps in memory; DuckDB takes
            2,048 at once.

    Raises:
        BadInput: a database cannot be read.
        Refused: the disk with SQLite's temporary files is full.
    """
    import adbc_driver_sqlite
    from adbc_driver_manager import AdbcConnection, AdbcStatement, Error
    from duckdb import Error as DuckdbError

    try:
        with (
            adbc_driver_sqlite.connect() as database,
            AdbcConnection(database) as connection,
            AdbcStatement(connection) as running,
        ):
            running.set_options(**{"adbc.sqlite.query.batch_rows": batch})
            running.set_sql_query(_select(running, readings))
            stream, _ = running.execute_query()
            # DuckDB 1.5 would give any other form to pyarrow, whose threads read ahead
            engine.register("stream", stream.__arrow_c_stream__())
            try:
                engine.execute(insert)
            finally:
                engine.unregister("stream")  # waits for DuckDB's threads, also after Ctrl-C
    except (Error, DuckdbError) as error:
        reason = str(error)
        if "interrupt" in reason.lower():
            raise KeyboardInterrupt from error
        if any(words in reason for words in WRITE_ERRORS):
            raise Refused("SQLite has no room for its temporary files", NO_ROOM) from error
        if MALFORMED in reason:  # SQLite's own words, amid those of the driver or of DuckDB
            reason = MALFORMED
        raise unreadable(readings[0].path, reason.splitlines()[0]) from error


def _select(running: Any, readings: Sequence[Reading]) -> str:
    """Write the SELECT that reads a few databases, which are attached, or many.

    Many are attached one after another, and their rows copied to a temporary table `codes`: DuckDB
    takes 3 ms to begin with a stream, so it gets one for all of them.
    """
    selects = []
    copy = "CREATE TEMP TABLE codes AS"
    for place, reading in enumerate(readings):
        schema = f"source{place}"
        _execute(running, f"ATTACH {text(read_only_uri(reading.path))} AS {schema}")
        selects.append(reading.statement(schema))
        if len(readings) > ATTACHED:
            _execute(running, f"{copy} {selects.pop()}")
            _execute(running, f"DETACH {schema}")
            copy = "INSERT INTO codes"
    return " UNION ALL ".join(selects) or "SELECT * FROM codes"


def _execute(running: Any, statement: str) -> None:
    running.set_sql_query(statement)
    running.execute_update()


def where_values_occur(engine: Engine, columns: Sequence[str]) -> str:
    """Write the condition by which SQLite finds the base rows that incoming rows may meet.

    Args:
        engine: with the relation `incoming`.
        columns: a base row matters where one of these has a value that an incoming row has.

    Returns:
        a condition for WHERE; `TRUE` where there are too many values to list.
    """
    conditions = []
    for column in columns:
        name = quote(column)
        distinct = f"""
            SELECT DISTINCT {name} FROM incoming
            LIMIT {FEW_VALUES + 1}
        """
        codes = [code for (code,) in engine.execute(distinct).fetchall()]
        if len(codes) > FEW_VALUES:
            return "TRUE"
        listed = ", ".join(literal(code) for code in codes if code != NULL_CODE)
        conditions.append(f"{name} IN ({listed})")
        if NULL_CODE in codes:
            conditions.append(f"{name} IS NULL")
    return " OR ".join(conditions)
