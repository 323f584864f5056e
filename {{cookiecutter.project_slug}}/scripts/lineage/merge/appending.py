"""The common merge of databases: every incoming row is new. Rows go straight from file to file, and the primary key judges.

Nothing is compared row by row, and nothing is copied twice. As soon as a row is not new, or a table is not like the others,
this gives up, and `merge_tables` starts again with a comparison.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lineage.core.errors import BadInput
from lineage.merge.column_types import fit_base
from lineage.merge.incoming_tables import Incoming, line_up
from lineage.merge.rules import Plan
from lineage.tables.sql import fold, quote, quote_all, same
from lineage.tables.sqlite_files import (
    Table,
    attached,
    count_rows,
    describe_tables,
    insert_rows,
    row_number,
)

Tables = Mapping[str, Mapping[Path, Table]]
"""What the sources hold: by the table's name, and by the source that has it."""


class NotAllNew(Exception):
    """Some row is there already, or a table has no primary key, NULL in it, or another type in a column."""


def append_rows(
    connection: sqlite3.Connection, tables: Tables, sources: Sequence[Path]
) -> list[Plan]:
    """Append all rows of the sources to `main`: sources in the order of their first keys, each in the order of its keys.

    So the bytes do not depend on the order in which sources are listed.

    Args:
        connection: to a copy of the base, in autocommit mode, outside a transaction.
        tables: what to merge.
        sources: the files.
    Returns:
        one plan per table.
    Raises:
        BadInput: a row of the base has no number, or the type of a column does not fit.
        NotAllNew: rows have to be compared, or a file cannot be read. The copy of the base is spoilt then.
    """
    known, plans = describe_tables(connection), list[Plan]()
    if count_rows(connection, "main.sqlite_master WHERE instr(upper(sql), 'CONFLICT')"):
        raise NotAllNew  # a clause ON CONFLICT of the base may drop rows without a word
    for name, found in tables.items():
        incoming, base = line_up(name, found, sources), known.get(name)
        _check_alike(base, incoming, found)
        if base:
            row_number(connection, name)  # refuses now what could not be compared the next time
        added, _ = fit_base(connection, base, incoming, sources, cast_text=False)
        rows = count_rows(connection, f"main.{quote(name)}")
        plans.append(
            Plan(name, rows=rows, new_columns=added, missing_columns=incoming.missing_from(base))
        )
    try:
        firsts = {path: _first_keys(connection, path, tables) for path in sources}
        for path in sorted(sources, key=firsts.__getitem__):
            with attached(connection, path):
                connection.execute("BEGIN")
                for plan in plans:
                    if table := tables[plan.name].get(path):
                        plan.added += (written := _append(connection, table))
                        plan.rows += written
                connection.execute("COMMIT")
    except (sqlite3.IntegrityError, TypeError, BadInput) as error:
        raise NotAllNew from error  # keys of several kinds have no order in Python; damage here may be the base's
    return plans


def read_back(
    connection: sqlite3.Connection, plans: Sequence[Plan], tables: Tables, sources: Sequence[Path]
) -> None:
    """Read back what `append_rows` wrote: as many rows as there should be, and every key of every source.

    Raises:
        Refused: a row is missing.
    """
    lost = {
        plan.name: count_rows(connection, f"main.{quote(plan.name)}") - plan.rows for plan in plans
    }
    for path in sources:
        with attached(connection, path):
            for name in (name for name, found in tables.items() if path in found):
                came, there = f"source.{quote(name)}", f"main.{quote(name)}"
                equal = same("a", "b", primary := tables[name][path].primary_key, primary)
                arrived = count_rows(connection, f"{came} a JOIN {there} b ON {equal}")
                lost[name] = lost[name] or count_rows(connection, came) - arrived
    for plan in plans:
        if lost[plan.name]:
            raise plan.not_written()


def _check_alike(base: Table | None, incoming: Incoming, found: Mapping[Path, Table]) -> None:
    """Raise `NotAllNew` unless all sides have one primary key, and each column one declared type."""
    sides = [*found.values(), *([base] if base else [])]
    keys = {tuple(fold(name) for name in table.primary_key) for table in sides}
    declared = {(fold(column.name), column.type) for table in sides for column in table.columns}
    if len(keys) != 1 or () in keys or len(declared) != len({name for name, _ in declared}):
        raise NotAllNew


def _first_keys(
    connection: sqlite3.Connection, path: Path, tables: Tables
) -> list[tuple[Any, ...]]:
    """The smallest key of each table in a source (empty: no row, or no such table); `NotAllNew` when some key is NULL."""
    keys: list[tuple[Any, ...]] = []
    with attached(connection, path):
        for name, found in tables.items():
            first: tuple[Any, ...] = ()
            if path in found:
                key, rows = (
                    [quote(column) for column in found[path].primary_key],
                    f"FROM source.{quote(name)}",
                )
                is_null = f"SELECT 1 {rows} WHERE {' OR '.join(f'{column} IS NULL' for column in key)} LIMIT 1"
                if connection.execute(is_null).fetchone():
                    raise NotAllNew
                query = f"SELECT {', '.join(key)} {rows} ORDER BY {', '.join(key)} LIMIT 1"
                first = connection.execute(query).fetchone() or ()
            keys.append(first)
    return keys


def _append(connection: sqlite3.Connection, table: Table) -> int:
    """Append the rows of one table of the attached source; return how many were written."""
    names = quote_all(table.column_names)
    rows = f"SELECT {names} FROM source.{quote(table.name)} ORDER BY {quote_all(table.primary_key)}"
    return insert_rows(connection, table.name, table.column_names, rows)
