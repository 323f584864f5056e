"""The common merge of databases: every incoming row is new. Rows go straight from file to file, and the primary key judges.

Nothing is compared row by row, and nothing is copied twice. As soon as a row is not new, or a table is not like the others,
this gives up, and `merge_tables` starts again with a comparison.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lineage.column_types import fit_base
from lineage.databases import Table, attached, count_rows, describe_tables, insert_rows, row_number
from lineage.errors import Refused
from lineage.incoming_tables import Incoming, line_up
from lineage.merge_plan import Plan
from lineage.sql import fold, quote, quote_all

Tables = Mapping[str, Mapping[Path, Table]]
"""What the sources hold: by the table's name, and by the source that has it."""


class NotAllNew(Exception):
    """Some row is there already, or a table has no primary key, NULL in it, or another type in a column."""


def append_rows(connection: sqlite3.Connection, tables: Tables, sources: Sequence[Path]) -> list[Plan]:
    """Append all rows of the sources to `main`: sources in the order of their first keys, each in the order of its keys.

    So the bytes do not depend on the order in which sources are listed.

    Args:
        connection: to a copy of the base, in autocommit mode, outside a transaction.
        tables: what to merge.
        sources: the files.
    Returns:
        one plan per table.
    Raises:
        BadInput: a source cannot be read.
        NotAllNew: rows have to be compared. The copy of the base is spoilt then.
    """
    known, plans = describe_tables(connection), list[Plan]()
    before = {name: count_rows(connection, f"main.{quote(name)}") for name in known}
    for name, found in tables.items():
        incoming, base = line_up(name, found, sources), known.get(name)
        _check_alike(base, incoming, found)
        if base:
            row_number(connection, name)  # refuses now what could not be compared the next time
        added = fit_base(connection, base, incoming, sources, cast_text=False).added
        plans.append(Plan(name, new_columns=added, missing_columns=incoming.missing_from(base)))
    firsts = {path: _first_keys(connection, path, tables) for path in sources}
    try:
        for path in sorted(sources, key=firsts.__getitem__):
            with attached(connection, path):
                connection.execute("BEGIN")
                for plan in plans:
                    plan.added += _append(connection, tables[plan.name].get(path))
                connection.execute("COMMIT")
    except (sqlite3.IntegrityError, TypeError) as error:  # keys of several kinds have no order in Python
        raise NotAllNew from error
    for plan in plans:
        if count_rows(connection, f"main.{quote(plan.name)}") != before.get(plan.name, 0) + plan.added:
            raise NotAllNew  # the base's ON CONFLICT clause drops rows
    return plans


def check_arrived(connection: sqlite3.Connection, tables: Tables, sources: Sequence[Path]) -> None:
    """Read back what `append_rows` wrote: every key of every source.

    Raises:
        Refused: one is missing.
    """
    for path in sources:
        with attached(connection, path):
            for name in (name for name, found in tables.items() if path in found):
                there, came = f"main.{quote(name)}", f"source.{quote(name)}"
                equal = " AND ".join(f"a.{quote(key)} = b.{quote(key)}" for key in tables[name][path].primary_key)
                if count_rows(connection, f"{came} a JOIN {there} b ON {equal}") != count_rows(connection, came):
                    rows = count_rows(connection, there)
                    problem = f"{name}: not the {rows} rows that belong there were written; the old file is as it was"
                    raise Refused(problem)


def _check_alike(base: Table | None, incoming: Incoming, found: Mapping[Path, Table]) -> None:
    """Raise `NotAllNew` unless all sides have one primary key, and each column one declared type."""
    sides = [*found.values(), *([base] if base else [])]
    keys = {tuple(fold(name) for name in table.primary_key) for table in sides}
    declared = {(fold(column.name), column.type) for table in sides for column in table.columns}
    if len(keys) != 1 or () in keys or len(declared) != len({name for name, _ in declared}):
        raise NotAllNew


def _first_keys(connection: sqlite3.Connection, path: Path, tables: Tables) -> list[tuple[Any, ...]]:
    """The smallest key of each table in a source (empty: no row, or no such table); `NotAllNew` when one is NULL."""
    keys: list[tuple[Any, ...]] = []
    with attached(connection, path):
        for name, found in tables.items():
            first: tuple[Any, ...] = ()
            if path in found:
                key = [quote(column) for column in found[path].primary_key]
                order = f"{' OR '.join(f'{column} IS NULL' for column in key)} DESC, {', '.join(key)}"
                query = f"SELECT {', '.join(key)} FROM source.{quote(name)} ORDER BY {order} LIMIT 1"
                first = connection.execute(query).fetchone() or ()
            if None in first:
                raise NotAllNew
            keys.append(first)
    return keys


def _append(connection: sqlite3.Connection, table: Table | None) -> int:
    """Append the rows of one table of the attached source; return how many it has."""
    if table is None:
        return 0
    source, values = f"source.{quote(table.name)}", f"SELECT {quote_all(table.column_names)}"
    rows = f"{values} FROM {source} ORDER BY {quote_all(table.primary_key)}"
    insert_rows(connection, table.name, table.column_names, rows)
    return count_rows(connection, source)
