"""What a copy changed since its origin: unchanged rows are dropped from `incoming`."""

from collections.abc import Sequence
from pathlib import Path

from lineage.merge.relations import Relations
from lineage.merge.row_reader import RowReader
from lineage.tables.sql import OCCURRENCE, all_of, fold, quote, quote_all, same
from lineage.tables.sqlite_files import Table, describe_tables, open_read_only
from lineage.tables.sqlite_rows import NULL, make_relation, read_codes


def drop_rows_of_origin(reader: RowReader, relations: Relations, number: int, origin: Path) -> None:
    """Take the rows that a copy has unchanged from its origin out of relation `incoming`.

    What the copy dropped or changed since then, and the base did not, is noted in relation
    `replaceable`: a rebase may replace that, and no other row.

    Args:
        reader: made the relations.
        relations: with `base`, and whole rows in `incoming`.
        number: of the source that is a copy.
        origin: the database that it began as a copy of.

    Raises:
        BadInput: the origin cannot be read.
    """
    then = table_of(origin, relations.name)
    if then is None:
        return
    run = relations.run
    relations.copies = [*relations.copies, number]
    make_relation(reader.engine, "origin", then.column_names)
    read_codes(reader.engine, [reader.reading(origin, then, then.column_names)], "origin")
    copy = reader.incoming.found[number]
    run(f"""
        CREATE OR REPLACE TEMP TABLE unchanged AS
        SELECT origin."lineage row" AS origin_row, copy."lineage row" AS copy_row
        FROM {_numbered("origin", then)} AS origin
        JOIN {_numbered(f'incoming WHERE "lineage source" = {number}', then, copy)} AS copy
          ON {_as_then("copy", copy, then)}
    """)
    run("CREATE TEMP TABLE IF NOT EXISTS replaceable (source INTEGER, base_row BIGINT)")
    run(f"""
        INSERT INTO replaceable
        SELECT {number}, base."lineage row"
        FROM {_numbered("origin", then)} AS origin
        JOIN {_numbered("base", then, reader.table)} AS base
          ON {_as_then("base", reader.table, then)}
        WHERE origin."lineage row" NOT IN (SELECT origin_row FROM unchanged)
    """)
    run('DELETE FROM incoming WHERE "lineage row" IN (SELECT copy_row FROM unchanged)')


def table_of(database: Path, name: str) -> Table | None:
    """Describe a table of a database; None: it has none of that name."""
    with open_read_only(database) as connection:
        tables = describe_tables(connection)
    spelled = {fold(one): table for one, table in tables.items()}
    return spelled.get(fold(name))


def _numbered(rows: str, then: Table, table: Table | None = None) -> str:
    """Write a subquery in which equal rows are numbered: each of them is one row of its own.

    Args:
        rows: what stands behind FROM.
        then: the table as the origin has it.
        table: the table that the rows are of; None: the origin's.
    """
    shared = quote_all(_shared((table or then).column_names, then))
    return f"""(
        SELECT *, row_number() OVER (
            PARTITION BY {shared} ORDER BY "lineage row"
        ) AS "lineage occurrence"
        FROM {rows}
    )"""


def _shared(names: Sequence[str], then: Table) -> list[str]:
    there = set(map(fold, then.column_names))
    return [name for name in names if fold(name) in there]


def _as_then(relation: str, table: Table, then: Table) -> str:
    """Write the condition that a row is as it was then; columns that came later are NULL."""
    shared = _shared(table.column_names, then)
    later = [name for name in table.column_names if name not in shared]
    conditions = [same("origin", relation, [*shared, OCCURRENCE])]
    conditions += [f"{relation}.{quote(name)} = {NULL}" for name in later]
    return all_of(conditions)
