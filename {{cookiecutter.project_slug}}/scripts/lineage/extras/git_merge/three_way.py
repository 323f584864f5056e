"""What `git merge` means for rows: three versions of a table become one, cell by cell.

Three relations of one engine are given, each with `lineage row`: `ancestor`, the common version,
`ours` and `theirs`. Whole statements of SQL make from them, in this order,

    met        for each identity, the number of its row in each version
    leaving    numbers of our rows that theirs dropped and we left alone
    arriving   their rows that we lack, unless we dropped them and they left them alone
    cells      cells of rows of both that theirs changed; one that we changed too is a conflict

What one side dropped and the other changed stays. Rows of one identity are told apart by their
order, so rows without a key are known by their values and occurrence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lineage.merge.relations import Relations
from lineage.tables.sql import quote, quote_all, same, text
from lineage.tables.sqlite_rows import NULL, NULL_CODE, decoded

SIDES = ("ancestor", "ours", "theirs")


@dataclass
class Versions(Relations):
    """Three versions of a table; `columns` are those that theirs has.

    Attributes:
        all_columns: the columns of the result, which each version has; lacking ones are NULL.
    """

    all_columns: Sequence[str] = ()


class Conflict(NamedTuple):
    """One cell that both sides changed, to different values.

    Attributes:
        table: the table, or the data file.
        key: the identity of the row, as `id=7`.
        column: the cell's.
        base: its value in the common version; None where the row is new, too.
        ours: its value on our side.
        theirs: its value on theirs.
    """

    table: str
    key: str
    column: str
    base: Any
    ours: Any
    theirs: Any


def compare_versions(versions: Versions, may_drop: bool = True) -> list[Conflict]:
    """Make `leaving`, `arriving` and `cells` from three versions of a table.

    Args:
        versions: whose engine has the three relations.
        may_drop: our rows that theirs dropped go; otherwise all of ours stay.

    Returns:
        every conflict, by column and then in our order.
    """
    _meet(versions)
    _leave(versions, may_drop)
    _arrive(versions)
    _compare_cells(versions)
    conflicts = []
    for column in changed_columns(versions, "is_conflict"):
        conflicts += _conflicts_of(versions, column)
    return conflicts


def changed_columns(versions: Versions, condition: str = "TRUE") -> list[str]:
    """List the columns of `cells` that meet a condition, in the order of the table."""
    found = versions.engine.execute(f"SELECT DISTINCT name FROM cells WHERE {condition}")
    names = {name for (name,) in found.fetchall()}
    return [column for column in versions.columns if column in names]


def _meet(versions: Versions) -> None:
    identity = quote_all(versions.identity)
    rows = " UNION ALL BY NAME ".join(
        f'SELECT {identity}, "lineage row", {text(side)} AS "lineage source" FROM {side}'
        for side in SIDES
    )
    versions.run(f"""
        CREATE TEMP TABLE met AS
        SELECT max("lineage row") FILTER ("lineage source" = 'ancestor') AS ancestor_row,
               max("lineage row") FILTER ("lineage source" = 'ours') AS our_row,
               max("lineage row") FILTER ("lineage source" = 'theirs') AS their_row
        FROM (
            SELECT *, row_number() OVER (
                PARTITION BY "lineage source", {identity} ORDER BY "lineage row"
            ) AS "lineage occurrence"
            FROM ({rows})
        )
        GROUP BY {identity}, "lineage occurrence"
    """)


def _leave(versions: Versions, may_drop: bool) -> None:
    versions.run(f"""
        CREATE TEMP TABLE leaving AS
        SELECT our_row AS base_row
        FROM met
        JOIN ours ON ours."lineage row" = our_row
        JOIN ancestor ON ancestor."lineage row" = ancestor_row
        WHERE {may_drop} AND their_row IS NULL
          AND {same("ancestor", "ours", versions.all_columns)}
    """)


def _arrive(versions: Versions) -> None:
    versions.run(f"""
        CREATE TEMP TABLE arriving AS
        SELECT theirs.*
        FROM met
        JOIN theirs ON theirs."lineage row" = their_row
        LEFT JOIN ancestor ON ancestor."lineage row" = ancestor_row
        WHERE our_row IS NULL
          AND (ancestor_row IS NULL OR NOT ({same("ancestor", "theirs", versions.columns)}))
    """)


def _compare_cells(versions: Versions) -> None:
    versions.run(f"""
        CREATE TEMP TABLE differing AS
        SELECT met.*
        FROM met
        JOIN ours ON ours."lineage row" = our_row
        JOIN theirs ON theirs."lineage row" = their_row
        WHERE NOT ({same("ours", "theirs", versions.columns)})
    """)
    versions.run("""
        CREATE TEMP TABLE cells (
            name VARCHAR, ancestor_row BIGINT, our_row BIGINT, their_row BIGINT, is_conflict BOOLEAN
        )
    """)
    for column in versions.columns:
        name = quote(column)
        old = f"coalesce(ancestor.{name}, {NULL})" if versions.is_coded else f"ancestor.{name}"
        versions.run(f"""
            INSERT INTO cells
            SELECT {text(column)}, differing.*, ours.{name} IS DISTINCT FROM {old}
            FROM differing
            JOIN ours ON ours."lineage row" = our_row
            JOIN theirs ON theirs."lineage row" = their_row
            LEFT JOIN ancestor ON ancestor."lineage row" = ancestor_row
            WHERE ours.{name} IS DISTINCT FROM theirs.{name}
              AND theirs.{name} IS DISTINCT FROM {old}
        """)


def _conflicts_of(versions: Versions, column: str) -> list[Conflict]:
    name = quote(column)
    rows = versions.engine.execute(f"""
        SELECT ancestor.{name}, ours.{name}, theirs.{name}, {quote_all(versions.identity, "ours")}
        FROM cells
        JOIN ours ON ours."lineage row" = our_row
        JOIN theirs ON theirs."lineage row" = their_row
        LEFT JOIN ancestor ON ancestor."lineage row" = ancestor_row
        WHERE is_conflict AND cells.name = {text(column)}
        ORDER BY our_row
    """).fetchall()
    conflicts = []
    for row in rows:
        if versions.is_coded:
            row = [decoded(code or NULL_CODE) for code in row]
        pairs = zip(versions.identity, row[3:])
        key = ", ".join(f"{name}={value}" for name, value in pairs)
        conflicts.append(Conflict(versions.name, key, column, *row[:3]))
    return conflicts
