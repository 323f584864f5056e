"""The columns of a base's table, made ready for what comes in: new ones, and wider types."""

import re
import sqlite3
from contextlib import closing, suppress

from lineage.core.errors import BadInput, explain_missing
from lineage.merge.lined_up import LinedUp
from lineage.tables.as_sqlite import check_width
from lineage.tables.sql import fold, quote
from lineage.tables.sqlite_files import Column, Table, affinity, describe_tables
from lineage.tables.sqlite_reading import open_read_only

CLASSES = """
    SELECT DISTINCT CASE
        WHEN typeof({cell}) = 'integer'
             AND {cell} NOT BETWEEN -9007199254740992 AND 9007199254740992
        THEN 'huge' ELSE typeof({cell}) END
    FROM {table}
    WHERE {cell} IS NOT NULL
"""
"""Of which classes the values of a column are; `huge` are whole numbers beyond 2^53, which a 64-bit
float would round (IEEE 754)."""

NUMBERS = {"integer", "real", "huge"}

Values = dict[int | None, set[str]]
"""The classes of a column's values, by the number of a source, or None for the base."""


def fit_columns(target: sqlite3.Connection, incoming: LinedUp) -> Table:
    """Make the base's table if there is none, add the columns it lacks, widen those too narrow.

    Whole numbers widen to floating point (to no type where that would round one). A column that
    holds nothing but NULL takes the type of what arrives, since its own was guessed from a NULL.

    Args:
        target: the database to write, in autocommit mode.
        incoming: the sources' tables.

    Returns:
        the base's table as it is then.

    Raises:
        BadInput: numbers on one side, text on the other; or rows of the table have no number.
    """
    name = incoming.name
    if name not in describe_tables(target):
        target.execute(incoming.create_statement())
    table = describe_tables(target)[name]
    for key, column in incoming.table.by_name.items():
        known = table.by_name.get(key)
        kind = _common_type(target, incoming, table, key)
        if known is None:
            if table.is_strict:
                kind = _strict_type(kind)
            target.execute(f"ALTER TABLE main.{quote(name)} ADD COLUMN {quote(column.name)} {kind}")
        elif kind != known.type:
            redeclare(target, name, known, kind)
    table = describe_tables(target)[name]
    check_width("the base", table)
    if not table.row_alias:
        raise BadInput(
            f"rows of table {name!r} of the base have no number: it is WITHOUT ROWID,"
            " or names its columns rowid, oid and _rowid_",
            f"CREATE TABLE … AS SELECT * FROM {quote(name)}   # makes an ordinary table",
        )
    return table


def _common_type(target: sqlite3.Connection, incoming: LinedUp, table: Table, key: str) -> str:
    """Find the declared type that keeps every value of a column as it is.

    Args:
        target: the copy of the base.
        incoming: the sources' tables.
        table: the base's.
        key: the name of the column, in small letters.
    """
    column = table.by_name.get(key) or incoming.table.by_name[key]
    found = incoming.found.values()
    types = {column.type, *(one.by_name[key].type for one in found if key in one.by_name)}
    if len(types) == 1:
        return column.type
    values = _values(target, incoming, table, key)
    held = set[str]().union(*values.values())
    is_text = "text" in held
    if is_text and held & NUMBERS:
        return _type_of_both(incoming, column, types, values)
    if affinity(column.type) == "any" or not (is_text or held & NUMBERS):
        return column.type
    is_floating = "real" in held.union(map(affinity, types))
    if is_floating and not is_text:
        return "" if "huge" in held else "REAL"
    kind = "text" if is_text else "number"
    alike = {one for one in types if affinity(one) == kind}
    alike = alike or {"TEXT" if is_text else "INTEGER"}
    return column.type if column.type in alike else min(alike)  # so that no spelling changes


def _type_of_both(incoming: LinedUp, column: Column, types: set[str], values: Values) -> str:
    """Find the type of a column that holds text and numbers.

    Raises:
        BadInput: it is declared for numbers, which are not to become text.
    """
    if not {"number", "real"}.intersection(map(affinity, types)):
        return ""  # any type would turn numbers into text, or text like 007 into a number
    if incoming.rules.cast_text:
        with explain_missing("cast_text", "cast: text"):
            from lineage.extras.cast_text.cast import cast_sources
        cast_sources(incoming, column)
        return "TEXT"
    first = next(iter(values))
    usual = "text" in values.get(None, values[first])
    unlike = (number for number, held in values.items() if ("text" in held) != usual)
    number = next(unlike, first)
    kinds = ["text", "numbers"]
    here, others = kinds if "text" in values[number] else reversed(kinds)
    place = f"{incoming.sources[number or 0]}: table {incoming.name!r}, column {column.name!r}"
    raise BadInput(
        f"{place} holds {here}, others {others}",
        f"give the column one type in all sources, or: {incoming.rules.cast_option}",
    )


def _strict_type(kind: str) -> str:
    """Name a type that a STRICT table knows (sqlite.org/stricttables.html, 2)."""
    if "INT" in kind.upper():
        return "INTEGER"
    return {"text": "TEXT", "real": "REAL"}.get(affinity(kind), "ANY")


def _values(target: sqlite3.Connection, incoming: LinedUp, table: Table, key: str) -> Values:
    """Find what a column holds in each source, and in the base; arguments as in `_common_type`."""
    found: Values = {}
    for number, there in incoming.found.items():
        if key in there.by_name:
            with open_read_only(incoming.files[number]) as connection:
                found[number] = _classes(connection, key, quote(there.name))
    if key in table.by_name:
        found[None] = _classes(target, key, f"main.{quote(table.name)}")
    return {number: classes for number, classes in found.items() if classes}


def _classes(connection: sqlite3.Connection, key: str, table: str) -> set[str]:
    """Ask for the classes of the values of one column."""
    rows = connection.execute(CLASSES.format(cell=quote(key), table=table))
    return {name for (name,) in rows}


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
    is_row_number = table.primary_key == (column.name,) and column.type.upper() == "INTEGER"
    new = None if is_row_number else _with_type(table, column, kind)
    if new is None:
        declares = f"declares {column.name!r} as {column.type or 'nothing'}"
        raise BadInput(
            f"table {name!r} {declares}, and needs {kind or 'no type'}",
            f"create the table anew with {column.name} {kind}",
        )
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute(
        "UPDATE main.sqlite_master SET sql = ? WHERE type = 'table' AND name = ?", (new, name)
    )
    connection.execute("PRAGMA writable_schema = RESET")  # reads the schema anew
    _rewrite_values(connection, name, column, kind)


def _with_type(table: Table, column: Column, kind: str) -> str | None:
    """Write another type of a column into a CREATE TABLE; None: there is no place for it.

    SQLite's own parser says at which place, from the name of the column on, its type stands.
    """
    old = table.statement
    wanted = tuple(one._replace(type=kind) if one == column else one for one in table.columns)
    blank = "" if column.type else " "
    places = re.compile(re.escape(column.type), re.IGNORECASE)
    for place in places.finditer(old, fold(old).find(fold(column.name))):
        new = f"{old[: place.start()]}{blank}{kind}{old[place.end() :]}"
        if _columns(new) == wanted:
            return new
    return None


def _columns(statement: str) -> tuple[Column, ...]:
    """Read the columns that a CREATE TABLE declares; none where SQLite does not understand it."""
    with closing(sqlite3.connect(":memory:")) as scratch, suppress(sqlite3.Error):
        scratch.execute(statement)
        [table] = describe_tables(scratch).values()
        return table.columns
    return ()


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
