"""SQLite carries the chosen rows, by row number, from the sources into the copy of the base."""

import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack

from lineage.merge.lined_up import LinedUp
from lineage.merge.relations import Relations
from lineage.tables.sql import fold, quote, quote_all
from lineage.tables.sqlite_files import Table, attached, row_alias
from lineage.tables.sqlite_rows import ATTACHED


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
    defaults = _columns_with_default(target, table)
    arrived = 0
    for start in range(0, len(arriving), ATTACHED):
        with ExitStack() as open_sources:
            group = arriving[start : start + ATTACHED]
            for source, _ in group:
                file = incoming.files[source]
                open_sources.enter_context(attached(target, file, f"source{source}"))
            target.execute("BEGIN")
            for source, rows in group:
                there = incoming.found[source]
                arrived += _insert(target, table, defaults, there, f"source{source}", rows)
            target.execute("COMMIT")
    return arrived


def _insert(
    target: sqlite3.Connection,
    table: Table,
    defaults: Sequence[str],
    source: Table,
    schema: str,
    rows: str,
) -> int:
    """Insert rows of the attached source into a table of `main`; return how many arrived.

    Columns that the source lacks are NULL: a default would be a value that nobody sent.

    Args:
        target: with the source attached.
        table: the table of `main`.
        defaults: its columns that have a default.
        source: the table of the source.
        schema: the name by which the source is attached.
        rows: JSON list of row numbers of the source, in the order in which they are inserted.
    """
    known = {fold(name): name for name in table.column_names}
    columns = [known[fold(name)] for name in source.column_names]
    given = set(map(fold, columns))
    absent = [name for name in defaults if fold(name) not in given]
    values = ", ".join([quote_all(source.column_names, "row"), *["NULL"] * len(absent)])
    statement = f"""
        INSERT INTO main.{quote(table.name)} ({quote_all([*columns, *absent])})
        SELECT {values}
        FROM json_each(?) AS chosen
        CROSS JOIN {schema}.{quote(source.name)} AS row ON row.{row_alias(source)} = chosen.value
    """
    return target.execute(statement, (rows,)).rowcount


def _columns_with_default(target: sqlite3.Connection, table: Table) -> list[str]:
    """Find the columns of a table that have a default."""
    statement = "SELECT name FROM pragma_table_info(?, 'main') WHERE dflt_value IS NOT NULL"
    return [name for (name,) in target.execute(statement, (table.name,))]
