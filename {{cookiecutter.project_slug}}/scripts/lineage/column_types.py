"""Make a base table ready for incoming columns: new ones, and types that drifted."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lineage.databases import Column, Table, affinity, create_statement, describe_tables
from lineage.errors import BadInput
from lineage.incoming_tables import Incoming
from lineage.merge_plan import SOURCE
from lineage.sql import quote, quote_all

EXACT_INTEGER = 1 << 53
"""Whole numbers up to this one are exact in a 64-bit float (IEEE 754)."""


@dataclass
class Fitted:
    """What became of a base table: names of columns added, and `name OLD → NEW` of columns widened."""

    added: list[str] = field(default_factory=list)
    widened: list[str] = field(default_factory=list)


def fit_base(
    connection: sqlite3.Connection, base: Table | None, incoming: Incoming, sources: Sequence[Path], cast_text: bool
) -> Fitted:
    """Add the columns that the base lacks and widen those whose type is too narrow for what comes in.

    Whole numbers widen to floating point (to NUMERIC where that would round one); a column that holds nothing but NULL
    takes the type of the values that arrive, since its own was guessed from a NULL.

    Args:
        connection: inside a transaction; the table exists in `main`.
        base: the table as it was, None when it has just been created from the incoming columns.
        incoming: rows and declared types of the sources.
        sources: the files, for messages.
        cast_text: numbers become text where the column holds text too.
    Returns:
        what changed; empty when the table is new.
    Raises:
        BadInput: numbers on one side, text on the other; names file, table, column and both types.
    """
    table = describe_tables(connection)[incoming.name]
    declared = {column.name.lower(): column for column in table.columns}
    wanted: dict[str, Column] = {}
    fitted = Fitted()
    for key, column in incoming.columns.items():
        known = declared.get(key)
        types = incoming.types[key] | ({known.type} if known else set())
        fitting = replace(
            known or column, type=_common_type(connection, incoming, known or column, types, sources, cast_text)
        )
        if known is None:
            connection.execute(
                f"ALTER TABLE main.{quote(table.name)} ADD COLUMN {quote(column.name)} {fitting.type}".rstrip()
            )
            fitted.added.append(column.name)
        elif fitting.type != known.type:
            wanted[key] = fitting
            fitted.widened.append(f"{known.name} {known.type or 'untyped'} → {fitting.type}")
    if wanted:
        _rebuild(connection, table.name, wanted)
    return Fitted() if base is None else fitted


def _common_type(
    connection: sqlite3.Connection,
    incoming: Incoming,
    column: Column,
    types: set[str],
    sources: Sequence[Path],
    cast_text: bool,
) -> str:
    if len(types) == 1:
        return next(iter(types))
    classes = _storage_classes(connection, incoming, column)
    numbers, strings = classes & {"integer", "real"}, "text" in classes
    if numbers and strings and any(affinity(declared) == "number" for declared in types):
        if cast_text:
            name = quote(column.name)
            connection.execute(f"UPDATE {incoming.temporary} SET {name} = {_as_text(connection, name)}")
            return "TEXT"
        number, value = connection.execute(
            f"SELECT {quote(SOURCE)}, {quote(column.name)} FROM {incoming.temporary}"
            f" WHERE {quote(column.name)} IS NOT NULL LIMIT 1"
        ).fetchone()
        kinds = ("text", "numbers") if isinstance(value, str) else ("numbers", "text")
        raise BadInput(
            f"{sources[number]}: table {incoming.name!r}, column {column.name!r} holds {kinds[0]}"
            f" where others hold {kinds[1]}",
            "give the column one type in all sources, or: merge_artifacts.py … --cast text",
        )
    if not numbers:
        return _first(types, "text", column.type) if strings else column.type
    if numbers == {"integer"} and not any("REAL" in declared.upper() for declared in types):
        return _first(types, "number", column.type)
    return "NUMERIC" if _would_round(connection, incoming, column) else "REAL"


def _first(types: set[str], kind: str, otherwise: str) -> str:
    return min((declared for declared in types if affinity(declared) == kind), default=otherwise)


def _sides(connection: sqlite3.Connection, incoming: Incoming, column: Column) -> list[str]:
    """The tables, quoted, that have the column."""
    base = describe_tables(connection)[incoming.name]
    has_base = any(name.lower() == column.name.lower() for name in base.column_names)
    return [incoming.temporary, *([f"main.{quote(incoming.name)}"] if has_base else [])]


def _storage_classes(connection: sqlite3.Connection, incoming: Incoming, column: Column) -> set[str]:
    queries = [
        f"SELECT DISTINCT typeof({quote(column.name)}) FROM {side}" for side in _sides(connection, incoming, column)
    ]
    return {row[0] for query in queries for row in connection.execute(query)}


def _would_round(connection: sqlite3.Connection, incoming: Incoming, column: Column) -> bool:
    name = quote(column.name)
    return any(
        connection.execute(
            f"SELECT 1 FROM {side} WHERE typeof({name}) = 'integer'"
            f" AND {name} NOT BETWEEN -{EXACT_INTEGER} AND {EXACT_INTEGER} LIMIT 1"
        ).fetchone()
        for side in _sides(connection, incoming, column)
    )


def _rebuild(connection: sqlite3.Connection, name: str, wanted: dict[str, Column]) -> None:
    """Copy a table into one with other declared types; rows keep their order, indexes come back."""
    table = describe_tables(connection)[name]
    columns = tuple(wanted.get(column.name.lower(), column) for column in table.columns)
    indexes = connection.execute(
        "SELECT sql FROM main.sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL ORDER BY name",
        (name,),
    ).fetchall()
    old = f"{name} (before widening)"
    connection.execute(f"ALTER TABLE main.{quote(name)} RENAME TO {quote(old)}")
    connection.execute(create_statement(Table(name, columns)))
    names = quote_all(column.name for column in columns)
    texts = {key for key, column in wanted.items() if affinity(column.type) == "text"}
    values = ", ".join(
        _as_text(connection, quote(column.name)) if column.name.lower() in texts else quote(column.name)
        for column in columns
    )
    connection.execute(
        f"INSERT INTO main.{quote(name)} ({names}) SELECT {values} FROM main.{quote(old)} ORDER BY rowid"
    )
    connection.execute(f"DROP TABLE main.{quote(old)}")
    for (statement,) in indexes:
        connection.execute(statement)


def _as_text(connection: sqlite3.Connection, name: str) -> str:
    """Expression that writes numbers with every digit, as Python does; SQLite alone would keep 15."""
    connection.create_function("lineage_text", 1, repr, deterministic=True)
    return f"CASE WHEN typeof({name}) IN ('integer', 'real') THEN lineage_text({name}) ELSE {name} END"
