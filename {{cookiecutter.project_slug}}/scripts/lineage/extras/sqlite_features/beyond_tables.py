"""Set triggers aside and check foreign keys around a merge; warn of views and the like left out."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from lineage.core.console import warn
from lineage.core.errors import BadInput
from lineage.merge.rules import Rules
from lineage.tables.sql import quote
from lineage.tables.sqlite_files import describe_tables
from lineage.tables.sqlite_reading import is_sqlite, open_read_only

Orphan = tuple[str, int, str, int]
"""A row that refers to none: its table, its number, the table referred to, which foreign key."""

VIRTUAL_TABLES = "SELECT name FROM pragma_table_list WHERE type = 'virtual' AND schema = 'main'"

MADE_FOR_TABLES = """
    SELECT printf('%s %Q', type, name) FROM sqlite_master
    WHERE type IN ('index', 'trigger', 'view') AND sql IS NOT NULL
    ORDER BY type, name
"""


@contextmanager
def beyond_tables(
    target: sqlite3.Connection, base: Path | None, sources: Sequence[Path], rules: Rules
) -> Iterator[None]:
    """Take triggers out while rows are merged: a merged row arrives as it was sent.

    Args:
        target: the copy of the base, in autocommit mode.
        base: the accumulated database; None: there is none.
        sources: incoming databases.
        rules: a rebase lets rows of the base go, to which others may refer.

    Raises:
        BadInput: rows of the base refer to none any more.
    """
    tell_left_out(base, sources)
    before = find_orphans(target)
    triggers = target.execute(
        "SELECT name, sql FROM main.sqlite_master WHERE type = 'trigger' ORDER BY rowid"
    ).fetchall()
    for name, _ in triggers:
        target.execute(f"DROP TRIGGER main.{quote(name)}")
    yield
    if rules.strategy == "rebase":
        refuse_orphans(find_orphans(target) - before)
    for _, statement in triggers:
        target.execute(statement)


def tell_left_out(base: Path | None, sources: Sequence[Path]) -> None:
    """Warn of what is in a database and does not come into the merged one.

    A virtual table is an index of other rows. Views, indexes and triggers are the base's own; where
    there is no base, nobody has any.

    Args:
        base: the accumulated database; None: there is none.
        sources: incoming databases.
    """
    for path in [base, *sources]:
        if path is None or not is_sqlite(path):
            continue
        with open_read_only(path) as connection:
            for (name,) in connection.execute(VIRTUAL_TABLES):
                warn(f"{path}: {name!r} is a virtual table, whose rows are not merged")
            made = [words for (words,) in connection.execute(MADE_FOR_TABLES)]
            tables = describe_tables(connection)
        if made and base is None:
            how = f"they are if the base is a copy: cp {path} base.db"
            warn(f"{path}: {', '.join(made)} are not taken over; {how}")
        for name, table in tables.items() if base is None else ():
            if not table.is_numbered:
                lost = "WITHOUT ROWID and its constraints but the key are not taken over"
                warn(f"{path}: table {name!r}: {lost}")


def find_orphans(connection: sqlite3.Connection) -> set[Orphan]:
    """Find the rows that refer to a row that is not there; SQLite does not see to it by itself."""
    with suppress(sqlite3.OperationalError):  # a foreign key that names no key
        return set(connection.execute("PRAGMA main.foreign_key_check"))
    return set()


def refuse_orphans(orphans: set[Orphan]) -> None:
    """Raise `BadInput` where rows of the base refer to none any more."""
    if not orphans:
        return
    table, _, parent, _ = min(orphans)
    count = sum(1 for orphan in orphans if orphan[0] == table)
    rows = f"1 row of table {table!r} refers"
    if count > 1:
        rows = f"{count} rows of table {table!r} refer"
    problem = f"{rows} to a row of {parent!r} that is not there after the rebase"
    raise BadInput(problem, "rebase by a key that keeps these rows, or: --strategy merge")
