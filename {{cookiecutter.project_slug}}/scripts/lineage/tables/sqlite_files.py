"""SQLite files: opened without side effects, described, checked."""

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lineage.core.errors import BadInput, Refused
from lineage.tables.sql import fold, quote, quote_all

SQLITE_MAGIC = b"SQLite format 3\x00"
INTEGRITY = "sqlite3 {path} 'PRAGMA integrity_check'"
WRITE_ERRORS = (
    "database or disk is full",
    "disk I/O error",
    "attempt to write a readonly database",
)


@dataclass(frozen=True)
class Column:
    """One column as declared: its name, its declared type (may be empty), and its place in the primary key (0: none)."""

    name: str
    type: str
    key_position: int


@dataclass(frozen=True)
class Table:
    """One table: its name and its columns in order."""

    name: str
    columns: tuple[Column, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def primary_key(self) -> tuple[str, ...]:
        keyed = [column for column in self.columns if column.key_position]
        return tuple(
            column.name for column in sorted(keyed, key=lambda column: column.key_position)
        )


def read_only_uri(path: Path) -> str:
    """The SQLite URI that opens `path` without creating or changing it."""
    return path.resolve().as_uri() + "?mode=ro"


def is_sqlite(path: Path) -> bool:
    """Tell whether a file is in SQLite's format."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC


def check_is_sqlite(path: Path) -> None:
    """Raise `BadInput` unless `path` is a file in SQLite format (a text file named .db, zero bytes and a folder are not)."""
    if path.is_dir():
        raise BadInput(f"{path} is a folder, not a SQLite database")
    try:
        with path.open("rb") as file:
            head = file.read(len(SQLITE_MAGIC))
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist") from None
    if head != SQLITE_MAGIC:
        raise BadInput(
            f"{path} is not a SQLite database ({'it is empty' if not head else 'its first bytes differ'})"
        )


@contextmanager
def open_read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database that must exist; nothing is created or written.

    Raises:
        BadInput: not a SQLite file, or damaged.
    """
    check_is_sqlite(path)
    connection = sqlite3.connect(read_only_uri(path), uri=True)
    try:
        yield connection
    except sqlite3.DatabaseError as error:
        raise _unreadable(path, error) from error
    finally:
        connection.close()


@contextmanager
def attached(connection: sqlite3.Connection, path: Path, name: str = "source") -> Iterator[None]:
    """Attach a database that is only read. What is still open in a transaction at the end is rolled back.

    Args:
        connection: outside a transaction.
        path: the database.
        name: its schema in SQL.
    Raises:
        BadInput: it cannot be read. Errors of what is written pass.
    """
    try:
        connection.execute(f"ATTACH ? AS {name}", (read_only_uri(path),))
        try:
            yield
        finally:
            connection.rollback()
            connection.execute(f"DETACH {name}")
    except sqlite3.IntegrityError:
        raise
    except sqlite3.DatabaseError as error:
        check_not_interrupted(error)
        if str(error) in WRITE_ERRORS:
            raise
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: sqlite3.Error) -> BadInput:
    is_locked = isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
    remedy = (
        "close the program that writes to it, then try again"
        if is_locked
        else INTEGRITY.format(path=path)
    )
    return BadInput(f"{path}: {error}", remedy)


def copy_database(path: Path, target: Path) -> None:
    """Copy a database as it is at one moment, with what its write-ahead log holds.

    Args:
        path: the database; another process may write to it.
        target: a file that does not exist.
    """
    with closing(sqlite3.connect(read_only_uri(path), uri=True, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        count_rows(reader, "sqlite_master")  # takes the lock that keeps writers out
        if reader.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            with closing(sqlite3.connect(target)) as copy:
                reader.backup(copy)
        else:
            shutil.copyfile(path, target)


@contextmanager
def integrity_checked(database: Path) -> Iterator[None]:
    """Let SQLite check the integrity of a file on another core, while the block reads it too.

    Raises:
        Refused: it finds damage.
    """
    uri = read_only_uri(database)
    with (
        closing(sqlite3.connect(uri, uri=True, check_same_thread=False)) as checker,
        ThreadPoolExecutor(1) as pool,
    ):
        check = pool.submit(lambda: checker.execute("PRAGMA integrity_check(1)").fetchone()[0])
        try:
            yield
            problem = check.result()
        except BaseException:
            checker.interrupt()  # the pool waits for its thread
            raise
    if problem != "ok":
        raise Refused(f"the merged database fails SQLite's integrity check: {problem}")


def insert_rows(
    connection: sqlite3.Connection, name: str, columns: Sequence[str], rows: str
) -> int:
    """Insert what a query gives into a table of `main`. Other columns are NULL: a default would be a value that nobody sent.

    Args:
        connection: to the database.
        name: the table.
        columns: those that the query gives.
        rows: the query.
    Returns:
        how many rows were written.
    """
    known = connection.execute(f"PRAGMA main.table_info({quote(name)})").fetchall()
    given = set(map(fold, columns))
    absent = [
        row[1] for row in known if row[4] is not None and not row[3] and fold(row[1]) not in given
    ]
    nulls = f"SELECT *{', NULL' * len(absent)} FROM ({rows})"
    insert = f"INSERT INTO main.{quote(name)} ({quote_all([*columns, *absent])}) {nulls if absent else rows}"
    return connection.execute(insert).rowcount


@contextmanager
def triggers_off(connection: sqlite3.Connection) -> Iterator[None]:
    """Take the triggers out, and put them back at the end: a merged row arrives as it was sent."""
    query = "SELECT name, sql FROM main.sqlite_master WHERE type = 'trigger' ORDER BY rowid"
    triggers = connection.execute(query).fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER main.{quote(name)}")
    yield
    for _, statement in triggers:
        connection.execute(statement)


def count_rows(connection: sqlite3.Connection, rows: str) -> int:
    """Count the rows of what may stand behind FROM."""
    return int(connection.execute(f"SELECT count(*) FROM {rows}").fetchone()[0])


def check_not_interrupted(error: sqlite3.Error) -> None:
    """Raise KeyboardInterrupt when Ctrl-C ended the statement: SQLite reports it as an error of its own."""
    if str(error) == "interrupted":
        raise KeyboardInterrupt from error


def describe_tables(connection: sqlite3.Connection, schema: str = "main") -> dict[str, Table]:
    """Read the tables of an attached database, without SQLite's own.

    Args:
        connection: open connection.
        schema: `main` or the name under which a file is attached.
    """
    names = connection.execute(
        f"SELECT name FROM {quote(schema)}.sqlite_master"
        " WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name"
    ).fetchall()
    tables = {}
    for (name,) in names:
        rows = connection.execute(f"PRAGMA {quote(schema)}.table_info({quote(name)})").fetchall()
        columns = (
            Column(row[1], "" if row[2] == "ANY" else row[2], row[5]) for row in rows
        )  # of a STRICT table
        tables[name] = Table(name, tuple(columns))
    return tables


def row_number(connection: sqlite3.Connection, name: str) -> str:
    """What numbers the rows of a table of `main` in SQL: a name of SQLite's that no column hides.

    Raises:
        BadInput: there is none, since the table is WITHOUT ROWID or has columns of all those names.
    """
    hidden = {fold(column) for column in describe_tables(connection)[name].column_names}
    for alias in sorted({"rowid", "oid", "_rowid_"} - hidden):
        with suppress(sqlite3.OperationalError):
            connection.execute(f"SELECT {alias} FROM main.{quote(name)} LIMIT 0")
            return alias
    problem = f"rows of table {name!r} of the base have no number: it is WITHOUT ROWID, or names its columns rowid, oid and _rowid_"
    raise BadInput(
        problem,
        f"CREATE TABLE … AS SELECT * FROM {quote(name)}   # copies it into an ordinary table",
    )


def create_statement(table: Table, schema: str = "main") -> str:
    """Write the CREATE TABLE of `table`: columns, declared types, primary key."""
    parts = [f"{quote(column.name)} {column.type}".rstrip() for column in table.columns]
    if table.primary_key:
        parts.append(f"PRIMARY KEY ({', '.join(quote(name) for name in table.primary_key)})")
    return f"CREATE TABLE {quote(schema)}.{quote(table.name)} ({', '.join(parts)})"


def affinity(declared: str) -> str:
    """The class of values a declared type stands for: `number`, `text` or `any` (rules: sqlite.org/datatype3.html, 3.1)."""
    upper = declared.upper()
    if "INT" in upper:
        return "number"
    if any(word in upper for word in ("CHAR", "CLOB", "TEXT")):
        return "text"
    if not upper or "BLOB" in upper:
        return "any"
    return "number"
