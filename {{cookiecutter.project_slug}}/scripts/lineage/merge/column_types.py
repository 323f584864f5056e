"""The columns of a base's table, made ready for what comes in: new ones, and wider types."""

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from lineage.core.errors import BadInput
from lineage.merge.lined_up import LinedUp
from lineage.tables.sql import fold, quote
from lineage.tables.sqlite_files import (
    Column,
    Table,
    affinity,
    describe_tables,
    is_strict,
    read_only_uri,
)

MARKER = "lineage_marker"
EXACT_INTEGER = 1 << 53
"""Whole numbers up to this one are exact in a 64-bit float (IEEE 754)."""
BLANKS = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*", re.DOTALL)
"""What may stand between two words of SQL."""


@dataclass
class Fitted:
    """What was changed: names of new columns, and `name OLD → NEW` of wider ones."""

    new: list[str] = field(default_factory=list)
    widened: list[str] = field(default_factory=list)


def fit_columns(
    target: sqlite3.Connection, base: Table | None, incoming: LinedUp, cast_folder: Path | None
) -> Fitted:
    """Make the base's table if there is none, add the columns it lacks, widen those too narrow.

    Whole numbers widen to floating point (to no type where that would round one). A column that
    holds nothing but NULL takes the type of what arrives, since its own was guessed from a NULL.

    Args:
        target: the database to write, in autocommit mode.
        base: the table in it; None: there is none.
        incoming: the sources' tables.
        cast_folder: numbers become text where the column holds text too, in copies of sources
            that are written here; None: that is an error.

    Raises:
        BadInput: numbers on one side, text on the other; names file, table and column.
    """
    if base is None:
        target.execute(incoming.create_statement())
    fitted = Fitted()
    table = describe_tables(target)[incoming.name]
    declared = {fold(column.name): column for column in table.columns}
    for key, column in incoming.columns.items():
        known = declared.get(key)
        kind = _common_type(target, incoming, known or column, known is not None, cast_folder)
        if known is None:
            if is_strict(target, table.name):
                kind = _strict_type(kind)
            added = f"{quote(column.name)} {kind}".rstrip()
            target.execute(f"ALTER TABLE main.{quote(table.name)} ADD COLUMN {added}")
            fitted.new.append(column.name)
        elif kind != known.type:
            redeclare(target, table.name, known, kind)
            fitted.widened.append(f"{known.name} {known.type or 'untyped'} → {kind or 'untyped'}")
    return Fitted() if base is None else fitted


def _common_type(
    target: sqlite3.Connection,
    incoming: LinedUp,
    column: Column,
    is_known: bool,
    cast_folder: Path | None,
) -> str:
    """Find the declared type that keeps every value of a column as it is."""
    types = incoming.types[fold(column.name)] | {column.type}
    if len(types) == 1:
        return next(iter(types))
    values = _values(target, incoming, column, is_known)
    classes = set[str]().union(*values.values())
    is_text = "text" in classes
    is_number = bool(classes & {"integer", "real"})
    if is_text and is_number:
        return _type_of_both(incoming, column, types, values, cast_folder)
    if affinity(column.type) == "any" or not (is_text or is_number):
        return column.type
    if is_text:
        return _spelling(types, {"text"}, column.type, "TEXT")
    return _type_of_numbers(types, classes, column.type)


def _type_of_both(
    incoming: LinedUp,
    column: Column,
    types: set[str],
    values: dict[int | None, set[str]],
    cast_folder: Path | None,
) -> str:
    """Find the type of a column that holds text and numbers."""
    if not any(affinity(one) in ("number", "real") for one in types):
        return ""  # any type would turn numbers into text, or text like 007 into a number
    if cast_folder is None:
        raise _text_and_numbers(incoming, column, values)
    _cast_sources(incoming, column, cast_folder)
    return "TEXT"


def _type_of_numbers(types: set[str], classes: set[str], known: str) -> str:
    """Find the type of a column of numbers; none where floating point would round one."""
    is_floating = "real" in classes or any(affinity(one) == "real" for one in types)
    if not is_floating:
        return _spelling(types, {"number", "real"}, known, "INTEGER")
    return "" if "huge" in classes else "REAL"


def _spelling(types: set[str], kinds: set[str], known: str, otherwise: str) -> str:
    """Choose a type of some kinds: the known one where it fits, so that no spelling changes."""
    if affinity(known) in kinds:
        return known
    return min((one for one in types if affinity(one) in kinds), default=otherwise)


def _strict_type(kind: str) -> str:
    """Name a type that a STRICT table knows (sqlite.org/stricttables.html, 2)."""
    if "INT" in kind.upper():
        return "INTEGER"
    return {"text": "TEXT", "real": "REAL"}.get(affinity(kind), "ANY")


def _values(
    target: sqlite3.Connection, incoming: LinedUp, column: Column, is_known: bool
) -> dict[int | None, set[str]]:
    """Find the storage classes of a column in each source and the base (None), without NULL.

    `huge` is one more: whole numbers that floating point would round.
    """
    cell = quote(column.name)
    statement = f"""
        SELECT DISTINCT CASE
            WHEN typeof({cell}) = 'integer'
                AND {cell} NOT BETWEEN -{EXACT_INTEGER} AND {EXACT_INTEGER}
            THEN 'huge' ELSE typeof({cell}) END
        FROM {{table}} WHERE {cell} IS NOT NULL
    """
    found: dict[int | None, set[str]] = {}
    for number, table in incoming.found.items():
        if fold(column.name) not in map(fold, table.column_names):
            continue
        uri = read_only_uri(incoming.files[number])
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            found[number] = _classes(connection, statement.format(table=quote(table.name)))
    if is_known:
        name = f"main.{quote(incoming.name)}"
        found[None] = _classes(target, statement.format(table=name))
    return found


def _classes(connection: sqlite3.Connection, statement: str) -> set[str]:
    classes = {row[0] for row in connection.execute(statement)}
    if "huge" in classes:
        classes.add("integer")
    return classes


def _text_and_numbers(
    incoming: LinedUp, column: Column, values: dict[int | None, set[str]]
) -> BadInput:
    held = values.get(None) or next(filter(None, values.values()))
    unlike = (one for one, has in values.items() if has and ("text" in has) != ("text" in held))
    number = next(unlike, next(iter(values)))
    source = incoming.sources[number or 0]
    is_text = "text" in values[number]
    here = "text" if is_text else "numbers"
    others = "numbers" if is_text else "text"
    problem = f"{source}: table {incoming.name!r}, column {column.name!r} holds {here}"
    remedy = f"give the column one type in all sources, or: {incoming.cast_option}"
    return BadInput(f"{problem}, others {others}", remedy)


def _cast_sources(incoming: LinedUp, column: Column, folder: Path) -> None:
    """Let copies of the sources hold text in a column; their rows are read from the copies."""
    for number, table in incoming.found.items():
        copy = folder / f"cast-{number}.db"
        here = [one for one in table.columns if fold(one.name) == fold(column.name)]
        if not here or affinity(here[0].type) == "text":
            continue
        if incoming.files[number] != copy:
            shutil.copyfile(incoming.files[number], copy)
            copy.chmod(0o600)
            incoming.files[number] = copy
        with closing(sqlite3.connect(copy, uri=True, isolation_level=None)) as connection:
            redeclare(connection, table.name, here[0], "TEXT")


def redeclare(connection: sqlite3.Connection, name: str, column: Column, kind: str) -> None:
    """Give a column another declared type; constraints, indexes, triggers and views stay.

    Only the text of the table is changed, as sqlite.org/lang_altertable.html (7) describes: SQLite
    reads a whole number in a REAL column as floating point, so no row is rewritten for that.

    Args:
        connection: to the database, in autocommit mode.
        name: of the table.
        column: as it is.
        kind: the new declared type.

    Raises:
        BadInput: the type cannot be changed, as that of a key which is the row's number.
    """
    table = describe_tables(connection)[name]
    old = connection.execute(
        "SELECT sql FROM main.sqlite_master WHERE type = 'table' AND name = ?", (name,)
    ).fetchone()[0]
    wanted = tuple(replace(one, type=kind) if one == column else one for one in table.columns)
    is_row_number = table.primary_key == (column.name,) and column.type.upper() == "INTEGER"
    new = None if is_row_number else _with_type(old, name, column, kind)
    if new is None or _columns(new) != wanted:
        declares = f"declares {column.name!r} as {column.type or 'nothing'}"
        problem = f"table {name!r} {declares}, and needs {kind or 'no type'}"
        raise BadInput(problem, f"create the table anew with {column.name} {kind}")
    with _writable_schema(connection):
        connection.execute(
            "UPDATE main.sqlite_master SET sql = ? WHERE type = 'table' AND name = ?", (new, name)
        )
    _rewrite_values(connection, name, column, kind)


def _with_type(old: str, name: str, column: Column, kind: str) -> str | None:
    """Write another type behind the name of a column in a CREATE TABLE.

    SQLite's own parser finds the place: it renames the column in a scratch database, and the text
    before the new name is as it was.
    """
    with closing(sqlite3.connect(":memory:")) as scratch:
        scratch.execute(old)
        scratch.execute(f"ALTER TABLE {quote(name)} RENAME COLUMN {quote(column.name)} TO {MARKER}")
        [renamed] = scratch.execute("SELECT sql FROM sqlite_master WHERE type = 'table'").fetchone()
    before, *pieces = renamed.replace(f'"{MARKER}"', MARKER).split(MARKER)
    if not old.startswith(before):
        return None  # the CHECK of an earlier column names this one
    after = pieces[0]
    start = old.index(after, len(before))
    blanks = BLANKS.match(after)
    skipped = blanks.end() if blanks else 0
    if not after[skipped:].startswith(column.type):
        return None
    place = start + skipped
    blank = "" if skipped else " "
    return old[:place] + blank + kind + old[place + len(column.type) :]


def _columns(statement: str) -> tuple[Column, ...]:
    """Read the columns that a CREATE TABLE declares."""
    with closing(sqlite3.connect(":memory:")) as scratch:
        scratch.execute(statement)
        [table] = describe_tables(scratch).values()
    return table.columns


@contextmanager
def _writable_schema(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("PRAGMA writable_schema = ON")
    yield
    connection.execute("PRAGMA writable_schema = RESET")  # reads the schema anew


def _rewrite_values(connection: sqlite3.Connection, name: str, column: Column, kind: str) -> None:
    """Store the values of a column as its new type does, where they would be read otherwise."""
    cell = quote(column.name)
    if affinity(kind) == "text":
        # repr writes every digit, as Python does; SQLite alone would keep 15
        connection.create_function("lineage_text", 1, repr, deterministic=True)
        connection.execute(f"""
            UPDATE main.{quote(name)} SET {cell} = lineage_text({cell})
            WHERE typeof({cell}) IN ('integer', 'real')
        """)
    elif affinity(column.type) == "real" and not kind:  # 5.0 lies in the file as 5
        connection.execute(f"""
            UPDATE main.{quote(name)} SET {cell} = CAST({cell} AS REAL)
            WHERE typeof({cell}) = 'integer'
        """)
    connection.execute(f"REINDEX main.{quote(name)}")
