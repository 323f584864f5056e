"""SQLite files are opened to be read: nothing is made beside them, and what cannot be read is told.

Nothing here creates a file that is only read, nor changes one: not its bytes, nor its journal.
"""

import shlex
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from lineage.core.errors import BadInput

WAL_OFFSET = 18
"""Where a file says that it keeps a write-ahead log (sqlite.org/fileformat.html, 1.3.3)."""

WRITE_ERRORS = (
    "database or disk is full",
    "disk I/O error",
    "attempt to write a readonly database",
)
"""What SQLite says where it cannot write: a disk is full, say."""


@contextmanager
def open_read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database that must exist; nothing is created or written.

    Raises:
        BadInput: not a SQLite file, or damaged.
    """
    check_is_sqlite(path)
    file = path
    try:
        with ExitStack() as stack:
            if has_left_log(path):
                folder = stack.enter_context(TemporaryDirectory(prefix="lineage-"))
                file = with_log(path, Path(folder) / "copy.db")
            yield stack.enter_context(closing(sqlite3.connect(read_only_uri(file), uri=True)))
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # names that are no text
        raise unreadable(path, str(error)) from error


@contextmanager
def attached(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Attach a database that is only read, as `source`. A transaction still open is rolled back.

    After an error it stays: what failed may have it in use, and the connection is closed.

    Args:
        connection: to another database, outside a transaction.
        path: the database to attach.

    Raises:
        BadInput: it cannot be read. Errors of what is written pass.
    """
    try:
        connection.execute("ATTACH ? AS source", (read_only_uri(path),))
        yield
        connection.rollback()
        connection.execute("DETACH source")
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.IntegrityError) or str(error) in WRITE_ERRORS:
            raise
        raise unreadable(path, str(error)) from error


def read_only_uri(path: Path) -> str:
    """Write the SQLite URI that opens `path` without creating or changing a file.

    SQLite would make files beside one that keeps a write-ahead log and is open nowhere.
    """
    is_closed = starts_with(path, b"\2\2", WAL_OFFSET) and not log_of(path).exists()
    return f"{path.absolute().as_uri()}?{'immutable=1' if is_closed else 'mode=ro'}"


def log_of(path: Path) -> Path:
    """Name the write-ahead log of a database."""
    return path.with_name(f"{path.name}-wal")


def has_left_log(path: Path) -> bool:
    """Tell whether a killed program left a write-ahead log beside a database."""
    return log_of(path).exists() and not path.with_name(f"{path.name}-shm").exists()


def with_log(path: Path, copy: Path) -> Path:
    """Copy a database whose log a killed program left, with what the log holds; give the copy.

    SQLite would make a file beside the database to read it.
    """
    shutil.copyfile(path, copy)
    shutil.copyfile(log_of(path), log_of(copy))
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    return copy


def is_sqlite(path: Path) -> bool:
    """Tell whether a file is in SQLite's format."""
    return starts_with(path, b"SQLite format 3\x00")


def check_is_sqlite(path: Path) -> None:
    """Raise `BadInput` unless `path` is a SQLite file; text, zero bytes and folders are not."""
    if is_sqlite(path):
        return
    if path.is_dir():
        raise BadInput(f"{path} is a folder, not a SQLite database")
    if not path.exists():
        raise BadInput(f"{path} does not exist")
    reason = "its first bytes differ" if path.stat().st_size else "it is empty"
    raise BadInput(f"{path} is not a SQLite database ({reason})")


def starts_with(path: Path, magic: bytes, offset: int = 0) -> bool:
    """Tell whether `path` is a file with these bytes at its start, or `offset` bytes after it."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(len(magic)) == magic


def unreadable(path: Path, reason: str) -> BaseException:
    """Make the error of a database that SQLite cannot read; it calls Ctrl-C an error, too.

    Python 3.10 gives no reason where SQLite's words are no text.
    """
    reason = reason or "its schema is malformed"
    if reason == "interrupted":
        return KeyboardInterrupt()
    if "locked" in reason:
        return BadInput(f"{path}: {reason}", "close the program that writes to it, then try again")
    remedy = None
    if "malformed" in reason or "not a database" in reason:
        remedy = f"sqlite3 {shlex.quote(str(path))} 'PRAGMA integrity_check'"
    elif reason.startswith("view ") and reason.endswith(" already exists"):
        view = reason.removesuffix(" already exists")
        remedy = f"sqlite3 {shlex.quote(str(path))} 'DROP {view}'"
        reason += ", in the place of an incoming table"
    return BadInput(f"{path}: {reason}", remedy)
