"""Make a base table ready for incoming columns: new ones, and types that drifted."""

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lineage.core.errors import BadInput
from lineage.merge.incoming_tables import Incoming
from lineage.tables.sql import SOURCE, fold, quote
from lineage.tables.sqlite_files import Column, Table, affinity, create_statement, describe_tables

EXACT_INTEGER = 1 << 53
"""Whole numbers up to this one are exact in a 64-bit float (IEEE 754)."""

FLOATING = re.compile("REAL|FLOA|DOUB", re.IGNORECASE)
"""Declared types in which SQLite keeps every number as floating point (sqlite.org/datatype3.html, 3.1)."""

SPACE = r"(?:\s|--[^\n]*\n|/\*.*?\*/)"
"""What stands between words of SQL: blanks and comments."""


def fit_base(
    connection: sqlite3.Connection,
    base: Table | None,
    incoming: Incoming,
    sources: Sequence[Path],
    cast_text: bool,
) -> tuple[list[str], list[str]]:
    """Make the base's table if there is none, add the columns that it lacks, and widen those too narrow for what comes in.

    Whole numbers widen to floating point (to no type where that would round one); a column that holds nothing but NULL
    takes the type of the values that arrive, since its own was guessed from a NULL.

    Args:
        connection: to the base.
        base: the table as it is; None: there is none.
        incoming: rows and declared types of the sources.
        sources: the files, for messages.
        cast_text: numbers become text where the column holds text too.
    Returns:
        names of columns added, and `name OLD → NEW` of columns widened; none when the table is new.
    Raises:
        BadInput: numbers on one side, text on the other; names file, table, column and both types.
    """
    if base is None:
        connection.execute(create_statement(incoming.table))
    table = describe_tables(connection)[incoming.name]
    declared, added, widened = (
        {fold(column.name): column for column in table.columns},
        list[str](),
        list[str](),
    )
    for key, column in incoming.columns.items():
        known = declared.get(key)
        kind = _common_type(connection, incoming, known or column, sources, cast_text)
        if known is None:
            add = f"ALTER TABLE main.{quote(table.name)} ADD COLUMN {quote(column.name)} {kind}"
            connection.execute(add.rstrip())
            added.append(column.name)
        elif kind != known.type:
            _redeclare(connection, table.name, known, kind)
            widened.append(f"{known.name} {known.type or 'untyped'} → {kind or 'untyped'}")
    return ([], []) if base is None else (added, widened)


def _common_type(
    connection: sqlite3.Connection,
    incoming: Incoming,
    column: Column,
    sources: Sequence[Path],
    cast_text: bool,
) -> str:
    types = incoming.types[fold(column.name)] | {column.type}
    if len(types) == 1:
        return next(iter(types))
    values = _values(connection, incoming, column)
    classes = {row[0] for row in connection.execute(f"SELECT DISTINCT typeof(v) FROM ({values})")}
    numbers, strings = classes & {"integer", "real"}, "text" in classes
    if numbers and strings and any(affinity(declared) == "number" for declared in types):
        if cast_text:
            name = quote(column.name)
            connection.execute(
                f"UPDATE {incoming.temporary} SET {name} = {_as_text(connection, name)}"
            )
            return "TEXT"
        first = f"SELECT {quote(SOURCE)}, {quote(column.name)} FROM {incoming.temporary} WHERE {quote(column.name)} IS NOT NULL"
        number, value = connection.execute(f"{first} LIMIT 1").fetchone()
        here, there = ("text", "numbers") if isinstance(value, str) else ("numbers", "text")
        problem = f"{sources[number]}: table {incoming.name!r}, column {column.name!r} holds {here}, others {there}"
        raise BadInput(
            problem, "give the column one type in all sources, or: merge_artifacts.py … --cast text"
        )
    if numbers and strings:
        return ""  # any other type would turn numbers into text, or text that looks like one into a number
    if affinity(column.type) == "any" or not (numbers or strings):
        return column.type
    if strings:
        return _first(types, "text", column.type, "TEXT")
    if numbers == {"integer"} and not any(map(FLOATING.search, types)):
        return _first(types, "number", column.type, "INTEGER")
    rounded = f"typeof(v) = 'integer' AND v NOT BETWEEN -{EXACT_INTEGER} AND {EXACT_INTEGER}"
    return (
        ""
        if connection.execute(f"SELECT 1 FROM ({values}) WHERE {rounded} LIMIT 1").fetchone()
        else "REAL"
    )


def _first(types: set[str], kind: str, known: str, otherwise: str) -> str:
    """A type of a kind: the known one if it is of that kind, so that a table is not changed for another spelling."""
    fitting = (declared for declared in types if affinity(declared) == kind)
    return known if affinity(known) == kind else min(fitting, default=otherwise)


def _values(connection: sqlite3.Connection, incoming: Incoming, column: Column) -> str:
    """Query for the column's values on both sides, as `v`."""
    names = map(fold, describe_tables(connection)[incoming.name].column_names)
    sides = [
        incoming.temporary,
        *([f"main.{quote(incoming.name)}"] if fold(column.name) in names else []),
    ]
    return " UNION ALL ".join(f"SELECT {quote(column.name)} AS v FROM {side}" for side in sides)


def _redeclare(connection: sqlite3.Connection, name: str, column: Column, kind: str) -> None:
    """Give a column another declared type in the text of its table; constraints, triggers and views stay as they are.

    SQLite reads a whole number in a REAL column as floating point (sqlite.org/datatype3.html, 2), so no row is rewritten.

    Raises:
        BadInput: the text of the table is not understood.
    """
    table, cell, c = describe_tables(connection)[name], quote(column.name), column.name
    query = "SELECT sql FROM main.sqlite_master WHERE type = 'table' AND name = ?"
    old = connection.execute(query, (name,)).fetchone()[0]
    spelled = "|".join(map(re.escape, (c, f"[{c}]", f"`{c}`", cell, f"'{c}'")))
    words = (
        f"{SPACE}+" + f"{SPACE}*".join(map(re.escape, column.type.split())) if column.type else ""
    )
    pattern = rf"([(,]{SPACE}*(?:{spelled})){words}(?![\w(])"
    new = re.sub(pattern, rf"\1 {kind}", old, count=1, flags=re.IGNORECASE | re.DOTALL)
    numbers_rows = table.primary_key == (c,) and "INTEGER" in (column.type.upper(), kind.upper())
    connection.execute("PRAGMA writable_schema = ON")
    update = "UPDATE main.sqlite_master SET sql = ? WHERE type = 'table' AND name = ?"
    connection.execute(
        update, (old if numbers_rows else new, name)
    )  # a key that is the row's number stays one
    connection.execute("PRAGMA writable_schema = RESET")  # reads the schema anew
    expected = tuple(
        replace(known, type=kind) if known == column else known for known in table.columns
    )
    if describe_tables(connection)[name].columns != expected:
        problem = f"table {name!r} declares {c!r} as {column.type or 'nothing'}, and needs {kind or 'no type'}"
        raise BadInput(problem, f"create the table anew with {c} {kind}")
    if affinity(kind) == "text":
        connection.execute(f"UPDATE main.{quote(name)} SET {cell} = {_as_text(connection, cell)}")
    elif FLOATING.search(column.type) and not kind:  # 5.0 lies in the file as 5
        real = f"CAST({cell} AS REAL) WHERE typeof({cell}) = 'integer'"
        connection.execute(f"UPDATE main.{quote(name)} SET {cell} = {real}")
    connection.execute(f"REINDEX main.{quote(name)}")


def _as_text(connection: sqlite3.Connection, name: str) -> str:
    """Expression that writes numbers with every digit, as Python does; SQLite alone would keep 15."""
    connection.create_function("lineage_text", 1, repr, deterministic=True)
    return (
        f"CASE WHEN typeof({name}) IN ('integer', 'real') THEN lineage_text({name}) ELSE {name} END"
    )
