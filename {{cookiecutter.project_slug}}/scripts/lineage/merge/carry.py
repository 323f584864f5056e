"""SQLite carries the chosen rows, by row number, from the sources into the copy of the base."""

import sqlite3
from collections.abc import Sequence

from lineage.merge.lined_up import LinedUp
from lineage.merge.relations import Relations
from lineage.tables.sql import fold, quote, quote_all
from lineage.tables.sqlite_files import Table, attached, row_alias


def carry(relations: Relations, target: sqlite3.Connection, incoming: LinedUp, table: Table) -> int:
    """Delete the rows that leave, and insert those that arrive.

    Sources follow each other in the order of their first keys, and each in the order of its keys,
    so the bytes do not depend on the order in which sources are listed.

    Args:
        relations: with `leaving` and `arriving`.
        target: the copy of the base, in autocommit mode.
        incoming: where the rows are.
        table: the table of the target.

    Returns:
        how many rows were written.

    Raises:
        BadInput: a source cannot be read.
    """
    engine = relations.engine
    [(leaving,)] = engine.execute("SELECT to_json(list(base_row)) FROM leaving").fetchall()
    if leaving:
        chosen = f"{row_alias(table)} IN (SELECT value FROM json_each(?))"
        target.execute(f"DELETE FROM main.{quote(table.name)} WHERE {chosen}", (leaving,))
    order = relations.order("arriving")
    arriving = engine.execute(f"""
        SELECT "lineage source", to_json(list("lineage file row" ORDER BY {order}))
        FROM arriving
        GROUP BY "lineage source"
        ORDER BY min(row({order}))
    """).fetchall()
    arrived = 0
    for source, rows in arriving:
        with attached(target, incoming.files[source]):
            target.execute("BEGIN")
            arrived += _insert(target, table, incoming.found[source], rows)
            target.execute("COMMIT")
    return arrived


def _insert(
    target: sqlite3.Connection,
    table: Table,
    source: Table,
    rows: str,
) -> int:
    """Insert rows of the attached source into a table of `main`; return how many arrived.

    Columns that the source lacks are NULL: a default would be a value that nobody sent.

    Args:
        target: with `source` attached.
        table: the table of `main`.
        source: the table of the source.
        rows: JSON list of row numbers of the source, in the order in which they are inserted.
    """
    known = {fold(name): name for name in table.column_names}
    columns = [known[fold(name)] for name in source.column_names]
    absent = _columns_with_default(target, table, columns)
    values = ", ".join([quote_all(source.column_names, "row"), *["NULL"] * len(absent)])
    statement = f"""
        INSERT INTO main.{quote(table.name)} ({quote_all([*columns, *absent])})
        SELECT {values}
        FROM json_each(?) AS chosen
        CROSS JOIN source.{quote(source.name)} AS row ON row.{row_alias(source)} = chosen.value
    """
    return target.execute(statement, (rows,)).rowcount


def _columns_with_default(
    target: sqlite3.Connection, table: Table, columns: Sequence[str]
) -> list[str]:
    """Find the columns that have a default, may be NULL, and are not among some."""
    given = set(map(fold, columns))
    absent = []
    for row in target.execute(f"PRAGMA main.table_info({quote(table.name)})").fetchall():
        _, name, _, must_be_given, default, _ = row
        if default is not None and not must_be_given and fold(name) not in given:
            absent.append(name)
    return absent
