"""Merge and rebase for results databases (SQLite).

SQLite itself moves the rows from file to file: a value keeps its storage class to the bit, which no way through another
engine promises. Rows are lined up by column name; a column that one side lacks is NULL there.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from lineage.core.errors import BadInput, Refused
from lineage.merge.appending import NotAllNew, Tables, append_rows, read_back
from lineage.merge.column_types import fit_base
from lineage.merge.duckdb_source import as_sqlite
from lineage.merge.incoming_tables import Incoming, collect, drop_unchanged, tables_of
from lineage.merge.rules import ARRIVING, Plan, Rules, Sides, plan
from lineage.tables import sqlite_files as databases
from lineage.tables.sql import fold, quote

INSTRUCTIONS = 1_000_000
"""Steps of SQLite's machine after which Python may see Ctrl-C; a long statement would swallow it."""


def merge_databases(
    base: Path | None, sources: Sequence[Path], output: Path, rules: Rules
) -> list[Plan]:
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
        with TemporaryDirectory(prefix="lineage-") as folder:
            files = as_sqlite(sources, Path(folder))
            tables = _wanted_tables(files, base, rules)
            plain = rules.strategy == "merge" and not rules.dry_run and not rules.ancestors
            appended: list[Plan] = []
            if plain:
                with suppress(NotAllNew), _opened(base, output) as connection:
                    appended = append_rows(connection, tables, files)
            plans = appended or _compare(base, sources, files, output, tables, rules)
            with (
                databases.integrity_checked(output),
                databases.open_read_only(output) as connection,
            ):
                if appended:
                    read_back(connection, appended, tables, files)
            return plans
    except sqlite3.IntegrityError as error:
        raise BadInput(
            f"an incoming row breaks a rule of the base: {error}", "correct the incoming file"
        ) from error
    except sqlite3.DatabaseError as error:
        databases.check_not_interrupted(error)
        if str(error) in databases.WRITE_ERRORS:
            raise _not_written(error) from error
        remedy = databases.INTEGRITY.format(path=base) if base else None
        raise BadInput(f"{base or 'the incoming databases'}: {error}", remedy) from error


def _not_written(reason: object) -> Refused:
    problem = f"the merged database cannot be written, and the old one is as it was: {reason}"
    return Refused(problem, "df -h .   # is the disk full?")


@contextmanager
def _opened(base: Path | None, output: Path) -> Iterator[sqlite3.Connection]:
    """Open a copy of the base, or an empty database, as one that can be thrown away when anything fails."""
    output.unlink(missing_ok=True)
    if base is not None:
        databases.check_is_sqlite(base)
        try:
            databases.copy_database(base, output)
        except OSError as error:
            raise _not_written(error.strerror) from error
    with closing(sqlite3.connect(output, uri=True, isolation_level=None)) as connection:
        connection.set_progress_handler(lambda: None, INSTRUCTIONS)
        connection.execute("PRAGMA journal_mode = OFF")  # a failure throws the file away
        connection.execute("PRAGMA synchronous = OFF")  # the caller flushes the finished file
        with databases.triggers_off(connection):
            yield connection


def _compare(
    base: Path | None,
    sources: Sequence[Path],
    files: Sequence[Path],
    output: Path,
    tables: Tables,
    rules: Rules,
) -> list[Plan]:
    """Merge or rebase by comparing what comes with what is there."""
    with _opened(base, output) as connection:
        collected = collect(connection, tables, files)
        for number, path in enumerate(sources):
            if path in rules.ancestors:
                drop_unchanged(connection, number, rules.ancestors[path], collected)
        connection.execute("BEGIN IMMEDIATE")
        plans = [
            _merge_one(connection, incoming, sources, rules) for incoming in collected.values()
        ]
        connection.execute("COMMIT")
        return plans


def _wanted_tables(sources: Sequence[Path], base: Path | None, rules: Rules) -> Tables:
    found = tables_of(sources, base)
    spelled = {fold(name): name for name in found}
    for name in rules.tables:
        if sources and fold(name) not in spelled:
            known = ", ".join(sorted(found)) or "no tables"
            raise BadInput(
                f"table {name!r} is in none of the {len(sources)} incoming databases; they have: {known}"
            )
    names = [spelled.get(fold(name), name) for name in rules.tables] or sorted(found)
    wanted = {name: found.get(name, {}) for name in names}
    columns = {
        fold(column)
        for tables in wanted.values()
        for table in tables.values()
        for column in table.column_names
    }
    if rules.id_column and fold(rules.id_column) not in columns:
        raise BadInput(
            f"--id-column {rules.id_column!r} is no column of {', '.join(wanted)}", "leave it out"
        )
    return wanted


def _merge_one(
    connection: sqlite3.Connection, incoming: Incoming, sources: Sequence[Path], rules: Rules
) -> Plan:
    base = databases.describe_tables(connection).get(incoming.name)
    if not incoming.columns:
        return Plan(incoming.name)
    if rules.strategy == "rebase" and not rules.key_columns:
        raise BadInput(
            "rebase needs key columns: what decides which rows are replaced?",
            "set merge.key_columns",
        )
    identity, strategy = (base or incoming.table).primary_key, rules.strategy
    _require_columns(incoming.name, incoming.found, identity)
    if not identity:
        by_hand = rules.id_column and fold(rules.id_column) in incoming.columns
        identity = (
            (rules.id_column,) if rules.id_column and by_hand else incoming.table.column_names
        )
    if (
        strategy == "rebase"
        and not rules.tables
        and not incoming.columns.keys() & set(map(fold, rules.key_columns))
    ):
        strategy = (
            "merge"  # an asset table of xetrack has no version: its rows are merged by their key
        )
    if strategy == "rebase":
        everywhere = {**incoming.found, **({Path("the base"): base} if base else {})}
        _require_columns(incoming.name, everywhere, rules.key_columns)
    added, widened = fit_base(connection, base, incoming, sources, rules.cast_text)
    target = f"main.{quote(incoming.name)}"
    columns, row = incoming.table.column_names, databases.row_number(connection, incoming.name)
    sides = Sides(connection, incoming.name, target, incoming.temporary, columns, identity, row)
    sides.lacking, sides.copies, sides.replaceable = (
        incoming.lacking,
        incoming.copies,
        incoming.replaceable,
    )
    result = plan(sides, strategy, rules.key_columns, rules.on_conflict)
    result.new_columns, result.widened = added, widened
    result.missing_columns = incoming.missing_from(base)
    if not rules.dry_run and (strategy == "rebase" or rules.on_conflict == "fail"):
        result.refuse_conflicts()
    if not rules.dry_run and not result.is_empty:
        if result.leaves:
            connection.execute(f"DELETE FROM {target} WHERE {sides.row} IN ({result.leaves})")
        databases.insert_rows(connection, incoming.name, sides.columns, f"SELECT * FROM {ARRIVING}")
        arrived = sides.beside(target, ARRIVING)
        if sides.count(f"FROM {target}") != result.rows or sides.count(arrived) != result.added:
            raise result.not_written()
    connection.execute(f"DROP TABLE {incoming.temporary}")
    return result


def _require_columns(
    table: str, found: Mapping[Path, databases.Table], names: Sequence[str]
) -> None:
    """Raise `BadInput` unless a table has the columns in every file: where one is missing, its rows would all be NULL there."""
    for path, here in found.items():
        known = set(map(fold, here.column_names))
        for name in names:
            if fold(name) not in known:
                columns = ", ".join(here.column_names)
                raise BadInput(f"{path}: table {table!r} has no column {name!r}; it has: {columns}")
