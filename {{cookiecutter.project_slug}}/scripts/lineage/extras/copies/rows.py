"""Leave out of a merge the rows of a copy that are as in its origin: nobody has changed them."""

from collections.abc import Sequence
from pathlib import Path

from lineage.merge.relations import Relations
from lineage.merge.table_merge import TableMerge
from lineage.tables.sql import OCCURRENCE, fold, quote_all, same
from lineage.tables.sqlite_files import tables_of
from lineage.tables.sqlite_rows import make_relation, read_codes


def drop_rows_of_origin(merge: TableMerge, relations: Relations, number: int, origin: Path) -> None:
    """Take the rows that a copy has unchanged from its origin out of relation `incoming`.

    What the copy dropped or changed since then, and the base did not, is noted in relation
    `replaceable`: a rebase may replace that, and no other row.

    Args:
        merge: the table.
        relations: with `base`, and whole rows in `incoming`.
        number: of the source that is a copy.
        origin: the database that it began as a copy of.

    Raises:
        BadInput: the origin cannot be read.
    """
    then = tables_of(origin).get(fold(relations.name))
    if then is None:
        return
    run = relations.run
    columns = merge.table.column_names
    make_relation(merge.engine, "origin", columns)
    read_codes(merge.engine, [merge.reading(origin, then, columns)], "origin")
    sent = f'incoming WHERE "lineage source" = {number}'
    copied = merge.incoming.found[number].column_names
    run(f"CREATE OR REPLACE TEMP TABLE unchanged AS {_as_in_origin(sent, copied)}")
    run("CREATE TEMP TABLE IF NOT EXISTS replaceable (source INTEGER, base_row BIGINT)")
    run(f"""
        INSERT INTO replaceable
        SELECT {number}, present_row FROM ({_as_in_origin("base", columns)})
        WHERE origin_row NOT IN (SELECT origin_row FROM unchanged)
    """)
    run('DELETE FROM incoming WHERE "lineage row" IN (SELECT present_row FROM unchanged)')
    relations.may_replace += f"""
          AND (
              named."lineage source" <> {number}
              OR base."lineage row" IN (SELECT base_row FROM replaceable WHERE source = {number})
          )
    """


def _as_in_origin(rows: str, columns: Sequence[str]) -> str:
    """Write the query that pairs the numbers of equal rows: origin_row and present_row.

    Equal rows are numbered on each side: each of them is one row of its own. A column that the
    origin lacks is NULL there.

    Args:
        rows: the present ones, as they stand behind FROM.
        columns: what is compared.
    """
    occurrence = f"""
        row_number() OVER (PARTITION BY {quote_all(columns)} ORDER BY "lineage row")
        AS "lineage occurrence"
    """
    return f"""
        SELECT origin."lineage row" AS origin_row, present."lineage row" AS present_row
        FROM (SELECT *, {occurrence} FROM origin) AS origin
        JOIN (SELECT *, {occurrence} FROM {rows}) AS present
          ON {same("origin", "present", [*columns, OCCURRENCE])}
    """
