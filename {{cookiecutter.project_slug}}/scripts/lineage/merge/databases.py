"""Merge and rebase for results databases.

DuckDB lines the sources up and decides which rows come and which go. SQLite carries the chosen rows
itself, by row number, into a copy of the base: each value keeps its storage class to the bit, and
the base keeps its constraints, indexes, triggers and views.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from lineage.core.errors import BadInput, Refused
from lineage.merge.carry import carry_rows
from lineage.merge.column_types import fit_columns
from lineage.merge.lined_up import LinedUp, find_tables, line_up
from lineage.merge.origin_rows import drop_rows_of_origin
from lineage.merge.plan import Plan
from lineage.merge.row_reader import RowReader
from lineage.merge.rules import Rules, merge_or_rebase
from lineage.tables.as_sqlite import as_sqlite
from lineage.tables.engine import open_engine
from lineage.tables.sql import Engine, fold, quote
from lineage.tables.sqlite_files import (
    WRITE_ERRORS,
    Table,
    check_integrity,
    check_is_sqlite,
    check_not_interrupted,
    copy_database,
    count_rows,
    describe_tables,
    has_row_numbers,
    unreadable,
)

INSTRUCTIONS = 1_000_000
"""Steps of SQLite's machine after which Python may see Ctrl-C; a long statement would swallow it."""


def merge_databases(
    base: Path | None,
    sources: Sequence[Path],
    output: Path,
    rules: Rules,
    *,
    is_proven: bool = False,
) -> list[Plan]:
    """Write `output`: the base's tables, with the rows of the sources merged or rebased in.

    Args:
        base: the accumulated database; None: start empty.
        sources: incoming databases, SQLite or DuckDB, in the order in which the later wins.
        output: a path that does not exist.
        rules: strategy, keys, tables.
        is_proven: the base's bytes are recorded ones, and were checked when they were recorded;
            otherwise SQLite checks the integrity of the whole result.
    Returns:
        one `Plan` per table; all empty when `output` holds what `base` holds.
    Raises:
        BadInput: a source is no database, no source has a named table, a column does not fit.
        Refused: a conflict; or the output cannot be written.
    """
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="lineage-")))
            files = [as_sqlite(path, folder / f"{n}.db") for n, path in enumerate(sources)]
            tables = line_up(find_tables(sources, files, base), sources, files, rules)
            target = stack.enter_context(_copy_of(base, output))
            engine = stack.enter_context(open_engine())
            cast_folder = folder if rules.cast_text else None
            plans = []
            for table in tables:
                with closing(engine.cursor()) as own:
                    plans.append(_merge_table(own, target, output, table, rules, cast_folder))
        if not is_proven:
            check_integrity(output)
        return plans
    except sqlite3.IntegrityError as error:
        problem = f"an incoming row breaks a rule of the base: {error}"
        raise BadInput(problem, "correct the incoming file") from error
    except sqlite3.DatabaseError as error:
        check_not_interrupted(error)
        if str(error) in WRITE_ERRORS:
            raise _not_written(str(error)) from error
        raise unreadable(base or sources[0], str(error)) from error


def _not_written(reason: str) -> Refused:
    problem = f"the merged database cannot be written, and the old one is as it was: {reason}"
    return Refused(problem, "df -h .   # is the disk full?")


@contextmanager
def _copy_of(base: Path | None, output: Path) -> Iterator[sqlite3.Connection]:
    """Open a copy of the base, or an empty database, to be thrown away when anything fails.

    Triggers are taken out meanwhile: a merged row arrives as it was sent.
    """
    output.unlink(missing_ok=True)
    if base is not None:
        check_is_sqlite(base)
        try:
            copy_database(base, output)
        except OSError as error:
            raise _not_written(str(error.strerror)) from error
    with closing(sqlite3.connect(output, uri=True, isolation_level=None)) as target:
        target.set_progress_handler(lambda: None, INSTRUCTIONS)
        target.execute("PRAGMA journal_mode = OFF")  # a failure throws the file away
        target.execute("PRAGMA synchronous = OFF")  # the caller flushes the finished file
        triggers = target.execute(
            "SELECT name, sql FROM main.sqlite_master WHERE type = 'trigger' ORDER BY rowid"
        ).fetchall()
        for name, _ in triggers:
            target.execute(f"DROP TRIGGER main.{quote(name)}")
        yield target
        for _, statement in triggers:
            target.execute(statement)


def _merge_table(
    engine: Engine,
    target: sqlite3.Connection,
    output: Path,
    incoming: LinedUp,
    rules: Rules,
    cast_folder: Path | None,
) -> Plan:
    """Merge or rebase one table of all sources into the target, which is the copy of the base.

    Args:
        engine: a connection of its own.
        target: the database to write, in autocommit mode.
        output: its file.
        incoming: the table.
        rules: how.
        cast_folder: as in `fit_columns`.
    """
    base = describe_tables(target).get(incoming.name)
    if not incoming.found:
        return Plan(incoming.name)
    rules, identity = _applied(rules, incoming, base)
    fitted = fit_columns(target, base, incoming, cast_folder)
    reader = RowReader(engine, output, incoming, _described(target, incoming.name))
    origins = _origins(rules, incoming)
    rows = count_rows(target, f"main.{quote(incoming.name)}")
    relations = reader.read(identity, rules, rows, is_copy=bool(origins))
    for number, origin in origins.items():
        drop_rows_of_origin(reader, relations, number, origin)
    if not identity:
        relations.tell_equal_rows_apart()
    plan = merge_or_rebase(relations, rules)
    plan.new_columns = fitted.new
    plan.widened = fitted.widened
    if base is not None:
        there = incoming.columns
        plan.missing_columns = [name for name in base.column_names if fold(name) not in there]
    if not (rules.dry_run or plan.is_empty):
        written = carry_rows(relations, target, incoming, reader.table)
        rows = count_rows(target, f"main.{quote(incoming.name)}")
        if (written, rows) != (plan.added, plan.rows):
            raise plan.not_written()
    return plan


def _origins(rules: Rules, incoming: LinedUp) -> dict[int, Path]:
    """Find the origins of those sources of a table that began as copies, by number."""
    origins = {}
    for number in incoming.found:
        origin = rules.ancestors.get(incoming.sources[number])
        if origin is not None:
            origins[number] = origin
    return origins


def _described(target: sqlite3.Connection, name: str) -> Table:
    """Describe a table of the target, whose rows must have numbers.

    Raises:
        BadInput: they have none.
    """
    table = describe_tables(target)[name]
    if not has_row_numbers(target, table):
        problem = f"rows of table {name!r} of the base have no number: it is WITHOUT ROWID,"
        remedy = f"CREATE TABLE … AS SELECT * FROM {quote(name)}   # makes an ordinary table"
        raise BadInput(f"{problem} or names its columns rowid, oid and _rowid_", remedy)
    return table


def _applied(rules: Rules, incoming: LinedUp, base: Table | None) -> tuple[Rules, tuple[str, ...]]:
    """Find the rules that apply to one table, and the columns of its identity (empty: all).

    A table without the key columns of a rebase, as an asset table of xetrack, is merged by its own.

    Raises:
        BadInput: a source or the base lacks a column that decides.
    """
    identity = (base or incoming.table).primary_key
    incoming.require(identity)
    if not identity and rules.id_column and fold(rules.id_column) in incoming.columns:
        identity = (rules.id_column,)
    if rules.strategy == "merge":
        return rules, identity
    if not rules.key_columns:
        problem = "rebase needs key columns: what decides which rows are replaced?"
        raise BadInput(problem, "set merge.key_columns")
    if not rules.tables and not incoming.columns.keys() & set(map(fold, rules.key_columns)):
        return Rules("merge", on_conflict="fail", dry_run=rules.dry_run), identity
    incoming.require(rules.key_columns, base)
    return rules, identity
