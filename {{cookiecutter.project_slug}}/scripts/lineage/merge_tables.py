"""Merge and rebase for results databases (SQLite).

SQLite itself moves the rows from file to file: a value keeps its storage class to the bit, which no way through another
engine promises. Rows are lined up by column name; a column that one side lacks is NULL there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from lineage.column_types import fit_base
from lineage.databases import (
    Table,
    check_is_sqlite,
    check_not_interrupted,
    create_statement,
    describe_tables,
    open_read_only,
    read_only_uri,
)
from lineage.duckdb_source import as_sqlite
from lineage.errors import BadInput, Refused
from lineage.incoming_tables import Incoming, collect, drop_unchanged, tables_of
from lineage.merge_plan import Plan, Sides, plan
from lineage.sql import quote, quote_all

INSTRUCTIONS = 1_000_000
"""Steps of SQLite's machine after which Python may see Ctrl-C; a long statement would swallow it."""


@dataclass(frozen=True)
class TableRules:
    """How tables are merged.

    Attributes:
        strategy: `merge` or `rebase`.
        key_columns: what rebase replaces by.
        id_column: identity of tables without a primary key; None: the whole row.
        tables: names; empty: every table that a source has.
        on_conflict: under merge: `fail`, `base`, `incoming` or `newest`.
        dry_run: only work out what would happen; conflicts are counted, not refused.
        ancestors: for a source, the database that it began as a copy of; its rows do not count as incoming.
        cast_text: numbers become text where other files hold text in the column.
    """

    strategy: str
    key_columns: tuple[str, ...] = ()
    id_column: str | None = None
    tables: tuple[str, ...] = ()
    on_conflict: str = "fail"
    dry_run: bool = False
    ancestors: Mapping[Path, Path] = field(default_factory=dict)
    cast_text: bool = False


def merge_databases(base: Path | None, sources: Sequence[Path], output: Path, rules: TableRules) -> list[Plan]:
    """Write `output`: the base's tables, with the rows of the sources merged or rebased in.

    Args:
        base: the accumulated database; None: start empty.
        sources: incoming databases, in the order in which the later wins under rebase.
        output: a path that does not exist.
        rules: strategy, keys, tables.
    Returns:
        one `Plan` per table; all empty when `output` holds what `base` holds.
    Raises:
        BadInput: a source is not a database, a named table is in none of them, a column or its type does not fit.
        Refused: a conflict; see `merge_plan.plan`.
    """
    try:
        with (
            TemporaryDirectory(prefix="lineage-") as folder,
            closing(sqlite3.connect(output, uri=True, isolation_level=None)) as connection,
        ):
            files = as_sqlite(sources, Path(folder))
            return _fill(connection, base, sources, files, rules)
    except sqlite3.OperationalError as error:
        check_not_interrupted(error)
        remedy = "df -h .   # is the disk full?"
        raise Refused(
            f"the merged database cannot be written, and the old one is as it was: {error}", remedy
        ) from error
    except sqlite3.DatabaseError as error:
        raise BadInput(f"{base}: {error}", f"sqlite3 {base} 'PRAGMA integrity_check'") from error


def _fill(
    connection: sqlite3.Connection, base: Path | None, sources: Sequence[Path], files: Sequence[Path], rules: TableRules
) -> list[Plan]:
    names = _wanted_tables(files, rules)
    if base is not None:
        check_is_sqlite(base)
        with closing(sqlite3.connect(read_only_uri(base), uri=True)) as reader:
            reader.backup(connection)  # consistent even while the base has a write-ahead log
    connection.set_progress_handler(lambda: None, INSTRUCTIONS)
    connection.execute("PRAGMA journal_mode = MEMORY")
    connection.execute("PRAGMA synchronous = OFF")  # the caller flushes the finished file
    collected = collect(connection, files, names)
    for number, path in enumerate(sources):
        if path in rules.ancestors:
            drop_unchanged(connection, number, rules.ancestors[path], collected)
    connection.execute("BEGIN IMMEDIATE")
    changes = [_merge_table(connection, collected[name], sources, rules) for name in names]
    connection.execute("COMMIT")
    problem = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if problem != "ok":
        raise Refused(f"the merged database fails SQLite's integrity check: {problem}")
    return changes


def holds_all_rows(database: Path, recorded: Path) -> bool:
    """Tell whether `database` has every row of every table of `recorded`."""
    with open_read_only(database) as connection:
        connection.execute("ATTACH ? AS recorded", (read_only_uri(recorded),))
        present = describe_tables(connection)
        for name, table in describe_tables(connection, "recorded").items():
            if name not in present or not set(table.column_names) <= set(present[name].column_names):
                return False
            columns = quote_all(table.column_names)
            missing = connection.execute(
                f"SELECT 1 FROM (SELECT {columns} FROM recorded.{quote(name)}"
                f" EXCEPT SELECT {columns} FROM main.{quote(name)}) LIMIT 1"
            ).fetchone()
            if missing:
                return False
    return True


def _wanted_tables(sources: Sequence[Path], rules: TableRules) -> list[str]:
    found = tables_of(sources)
    for name in rules.tables:
        if sources and name not in found:
            raise BadInput(
                f"table {name!r} is in none of the {len(sources)} incoming databases; they have: "
                + (", ".join(sorted(found)) or "no tables")
            )
    return list(rules.tables) if rules.tables else sorted(found)


def _merge_table(
    connection: sqlite3.Connection, incoming: Incoming, sources: Sequence[Path], rules: TableRules
) -> Plan:
    base = describe_tables(connection).get(incoming.name)
    if not incoming.columns:
        return Plan(incoming.name)
    identity = _identity(base or incoming.table, incoming, rules, sources)
    if rules.strategy == "rebase":
        _require_columns(incoming, rules.key_columns, sources)
    if base is None:
        connection.execute(create_statement(incoming.table))
    fitted = fit_base(connection, base, incoming, sources, rules.cast_text)
    target = f"main.{quote(incoming.name)}"
    sides = Sides(connection, incoming.name, target, incoming.temporary, incoming.table.column_names, identity)
    result = plan(sides, rules.strategy, rules.key_columns, rules.on_conflict)
    result.new_columns, result.widened = fitted.added, fitted.widened
    result.missing_columns = (
        [name for name in base.column_names if name.lower() not in incoming.columns] if base else []
    )
    if not rules.dry_run and (rules.strategy == "rebase" or rules.on_conflict == "fail"):
        result.refuse_conflicts()
    if not rules.dry_run and not result.is_empty:
        expected = sides.count(f"FROM {target}") + result.added - result.replaced
        if result.leaves:
            connection.execute(f"DELETE FROM {target} WHERE rowid IN ({result.leaves})")
        connection.execute(f"INSERT INTO {target} ({quote_all(sides.columns)}) {result.arrives}")
        arrived = sides.beside(f"({result.arrives})", target)
        if sides.count(f"FROM {target}") != expected or sides.count(arrived) != result.added:
            raise Refused(
                f"{sides.name}: not the {expected} rows that belong there were written; the old file is as it was"
            )
    connection.execute(f"DROP TABLE {incoming.temporary}")
    return result


def _identity(known: Table, incoming: Incoming, rules: TableRules, sources: Sequence[Path]) -> tuple[str, ...]:
    """The columns that make two rows the same: the primary key, else `--id-column`, else all of them."""
    if known.primary_key:
        _require_columns(incoming, known.primary_key, sources)
        return known.primary_key
    if rules.id_column and rules.id_column.lower() in incoming.columns:
        return (rules.id_column,)
    return incoming.table.column_names


def _require_columns(incoming: Incoming, names: Sequence[str], sources: Sequence[Path]) -> None:
    if not names:
        raise BadInput("rebase needs key columns: what decides which rows are replaced?", "set merge.key_columns")
    for name in names:
        if name.lower() not in incoming.columns:
            raise BadInput(
                f"{', '.join(map(str, sources))}: table {incoming.name!r} has no column {name!r}; it has: "
                + ", ".join(incoming.table.column_names)
            )
