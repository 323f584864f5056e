"""Merge results databases: `lined_up` picks tables, `rules` decide rows, SQLite copies them.

DuckDB lines the sources up and decides which rows come and which go. SQLite carries the chosen rows
itself, by row number, into a copy of the base: each value keeps its storage class to the bit, and
the base keeps its constraints, indexes, triggers and views.
"""

import json
import shlex
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lineage.core.errors import BadInput, Refused, explain_missing
from lineage.core.paths import METRICS
from lineage.merge.column_types import fit_columns
from lineage.merge.lined_up import LinedUp, line_up
from lineage.merge.plan import Plan
from lineage.merge.relations import Relations
from lineage.merge.rules import Rules
from lineage.merge.run_ids import run_ids
from lineage.merge.table_merge import TableMerge, carry
from lineage.tables.as_sqlite import as_sqlite, has_more
from lineage.tables.engine import open_engine
from lineage.tables.sql import Engine, quote
from lineage.tables.sqlite_files import (
    Column,
    check_integrity,
    copy_database,
    count_rows,
    describe_tables,
    is_utf_8,
)
from lineage.tables.sqlite_reading import WRITE_ERRORS, check_is_sqlite, unreadable

INSTRUCTIONS = 1_000_000
"""Steps of SQLite's machine after which Python may see Ctrl-C, also in a long statement."""


@contextmanager
def open_tables(
    base: Path | None, sources: Sequence[Path], output: Path, rules: Rules, is_proven: bool = False
) -> Iterator[Iterator[TableMerge]]:
    """Copy the base to `output`, and yield the tables that are to be merged into it.

    Args:
        base: the accumulated database; None: start empty.
        sources: incoming databases, SQLite or DuckDB, in the order in which the later wins.
        output: a path that does not exist.
        rules: strategy, keys, tables.
        is_proven: the base's bytes are recorded ones, and were checked when they were recorded;
            otherwise SQLite checks the integrity of the whole result at the end.

    Raises:
        BadInput: a source is no database, no source has a named table, a column does not fit.
        Refused: a conflict; or the output cannot be written.
    """
    try:
        with TemporaryDirectory(prefix="lineage-") as name, open_engine() as engine:
            folder = Path(name)
            files = [as_sqlite(path, folder / f"{n}.db") for n, path in enumerate(sources)]
            tables = line_up(sources, files, base, rules, folder)
            with _copy_of(base, output) as target:
                asking = [path for path, file in zip(sources, files) if file.has_more]
                if base and has_more(target):
                    asking.append(base)
                with _beyond_tables(asking, target, base, sources, rules):
                    yield _each_table(engine, target, output, tables)
        if not is_proven:
            check_integrity(output)
    except sqlite3.IntegrityError as error:
        raise BadInput(
            f"an incoming row breaks a rule of the base: {error}", "correct the incoming file"
        ) from error
    except sqlite3.DatabaseError as error:
        if str(error) in WRITE_ERRORS:
            raise _not_written(str(error)) from error
        raise unreadable(base or sources[0], str(error)) from error


def _each_table(
    engine: Engine, target: sqlite3.Connection, output: Path, tables: Sequence[LinedUp]
) -> Iterator[TableMerge]:
    """Yield one table after another, each with relations of its own in the engine.

    The copy of the base gets the columns that it lacks, and types that hold what comes.
    """
    for incoming in tables:
        base = describe_tables(target).get(incoming.name)
        rules, identity = incoming.rules_for_table(base)
        table = fit_columns(target, incoming)
        with closing(engine.cursor()) as own:
            yield TableMerge(own, target, output, incoming, rules, identity, base, table)


def _not_written(reason: str) -> Refused:
    return Refused(
        f"the merged database cannot be written, and the old one is as it was: {reason}",
        "ls -ld . && df -h .   # is it writable, is there space?",
    )


@contextmanager
def _copy_of(base: Path | None, output: Path) -> Iterator[sqlite3.Connection]:
    """Open a copy of the base, or an empty database, to be thrown away when anything fails."""
    output.unlink(missing_ok=True)
    if base is not None:
        check_is_sqlite(base)
        try:
            copy_database(base, output)
        except OSError as error:
            raise _not_written(str(error.strerror)) from error
    with closing(sqlite3.connect(output, uri=True, isolation_level=None)) as target:
        if base is not None and not is_utf_8(target):
            problem = f"{base} keeps text in UTF-16, and merged databases keep it in UTF-8"
            old = shlex.quote(str(base))
            new = shlex.quote(f"{base}.utf8")
            raise BadInput(problem, f"sqlite3 {old} .dump | sqlite3 {new} && mv {new} {old}")
        target.set_progress_handler(lambda: None, INSTRUCTIONS)
        target.execute("PRAGMA journal_mode = OFF")  # a failure throws the file away
        target.execute("PRAGMA synchronous = OFF")  # the caller flushes the finished file
        yield target


def _beyond_tables(asking: Sequence[Path], *merge: Any) -> AbstractContextManager[None]:
    """Let an extra see to triggers, foreign keys, views and the like of the databases `asking`."""
    if not asking:
        return nullcontext()
    with explain_missing("sqlite_features", str(asking[0])):
        from lineage.extras.sqlite_features.beyond_tables import beyond_tables
    return beyond_tables(*merge)


def union_all_by_name(table: TableMerge) -> Relations:
    """Make the relations `base` and `incoming` of a table, lined up by the names of the columns."""
    incoming = table.incoming
    ancestors = table.rules.ancestors
    origins = {
        number: ancestors[incoming.sources[number]]
        for number in incoming.found
        if incoming.sources[number] in ancestors
    }
    relations = table.read(is_copy=bool(origins))
    for number, origin in origins.items():
        with explain_missing("copies", f"{incoming.sources[number]}, a copy of {origin},"):
            from lineage.extras.copies.rows import drop_rows_of_origin
        drop_rows_of_origin(table, relations, number, origin)
    if not table.identity:
        relations.tell_equal_rows_apart()
    after = [table.table.by_name[key] for key in incoming.table.by_name]
    relations.note_columns(types_of(table.before.columns if table.before else ()), types_of(after))
    return relations


def types_of(columns: Iterable[Column]) -> dict[str, str]:
    """Give the types of columns by name, but of those that SQLite computes."""
    return {one.name: one.type or "untyped" for one in columns if not one.is_computed}


def carry_rows(table: TableMerge, relations: Relations, plan: Plan) -> None:
    """Let SQLite delete the rows that leave, and insert those that arrive; count them.

    The events of runs that leave go, too.

    Raises:
        Refused: not as many rows were written as belong there.
    """
    if table.rules.dry_run or plan.is_empty:
        return
    target = table.target
    name = table.incoming.name
    before = run_ids(table.output) if name == METRICS and plan.replaced else set()
    written = carry(table, relations)
    rows = count_rows(target, f"main.{quote(name)}")
    if (written, rows) != (plan.added, plan.rows):
        raise plan.not_written()
    if before:
        plan.events = _drop_events(target, before - run_ids(table.output))


def _drop_events(target: sqlite3.Connection, track_ids: set[str]) -> int:
    """Delete the events of some runs; return how many there were."""
    if not count_rows(target, "pragma_table_info('events', 'main') WHERE name = 'track_id'"):
        return 0
    statement = """
        DELETE FROM main.events
        WHERE track_id IN (SELECT value FROM json_each(?))
    """
    return target.execute(statement, [json.dumps(sorted(track_ids))]).rowcount
