"""Which tables and columns several databases have, lined up by name; no row is read here."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from lineage.core.console import warn
from lineage.core.errors import BadInput
from lineage.core.paths import EVENTS, METRICS
from lineage.merge.predictions import RUN_ID
from lineage.merge.rules import Rules
from lineage.tables.as_sqlite import SqliteFile
from lineage.tables.sql import RESERVED, fold, quote
from lineage.tables.sqlite_files import (
    Column,
    Table,
    create_statement,
    tables_of,
)

DEFAULT = "default"
"""The table of xetrack where it is told no other."""

Found = dict[str, dict[int, Table]]
"""By the name of a table, and the number of each source that has it: the table there."""


@dataclass
class LinedUp:
    """One table as the sources have it.

    Attributes:
        name: the table's name.
        found: the table in each source that has it, by the number of the source.
        sources: the paths of all sources, for messages.
        files: the SQLite files that hold their rows: the sources themselves, or copies.
        rules: how they are merged.
        folder: for copies of sources in which numbers become text, where the rules let them.
    """

    name: str
    found: Mapping[int, Table]
    sources: Sequence[Path]
    files: list[Path]
    rules: Rules
    folder: Path

    @cached_property
    def table(self) -> Table:
        """The table with the columns of all sources, in whatever order these are listed."""
        columns: dict[str, Column] = {}
        for table in sorted(self.found.values(), key=lambda table: table.column_names):
            columns = {**columns, **table.by_name, **columns}
        return Table(self.name, tuple(columns.values()))

    def create_statement(self) -> str:
        """Write the CREATE TABLE where there is no base yet: that of the sources if they agree.

        Otherwise, and where they compute a column, it says names, types and the key only.
        """
        made = {table.statement for table in self.found.values()}
        is_computed = any(column.is_computed for column in self.table.columns)
        is_agreed = len(made) == 1 and not is_computed
        return (made.pop() if is_agreed else "") or create_statement(self.table)

    def require(self, names: Sequence[str], base: Table | None = None) -> None:
        """Raise `BadInput` unless the table has some columns in every source, and in the base.

        Where one is missing, its rows would all count as NULL there.
        """
        tables = [(str(self.sources[number]), table) for number, table in self.found.items()]
        if base:
            tables.append(("the base", base))
        for place, table in tables:
            for name in names:
                if fold(name) not in table.by_name:
                    columns = ", ".join(table.column_names)
                    problem = f"{place}: table {self.name!r} has no column {name!r}"
                    raise BadInput(f"{problem}; it has: {columns}")

    def rules_for_table(self, base: Table | None) -> tuple[Rules, tuple[str, ...]]:
        """Find the rules that apply to the table, and the columns of its identity (empty: all).

        Events are replaced run by run, whatever runs are replaced by. A table without the key
        columns of a rebase, as an asset table of xetrack, is merged by its own.

        Args:
            base: the table as the base has it.

        Raises:
            BadInput: a source or the base lacks a column that decides.
        """
        rules = self.rules
        there = self.table.by_name
        identity = (base or self.table).primary_key
        self.require(identity)
        if not identity and rules.id_column and fold(rules.id_column) in there:
            identity = (rules.id_column,)
        if rules.strategy == "merge":
            return rules, identity
        rules.require_key_columns()
        if fold(self.name) == EVENTS:  # they follow their runs
            rules = replace(rules, key_columns=(RUN_ID,))
        if not rules.tables and there.keys().isdisjoint(map(fold, rules.key_columns)):
            return replace(rules, strategy="merge", on_conflict="fail"), identity
        self.require(rules.key_columns, base)
        return rules, identity


def find_tables(sources: Sequence[Path], files: Sequence[SqliteFile], base: Path | None) -> Found:
    """Find the tables of all sources.

    Names that differ in case only are one name to SQLite; the base's spelling counts, else that
    of the first source.

    Raises:
        BadInput: the base cannot be read, or a source uses a name of ours.
    """
    known = tables_of(base) if base else {}
    found: Found = {}
    for number, file in enumerate(files):
        for name, table in file.tables.items():
            taken = RESERVED.intersection(table.by_name)
            if taken:
                column = min(taken)
                problem = f"{sources[number]}: table {name!r} has a column {column!r}"
                names = f"{quote(column)} TO {quote(column + '_')}"
                rename = f"ALTER TABLE {quote(name)} RENAME COLUMN {names}"
                remedy = f"sqlite3 {sources[number]} '{rename}'"
                raise BadInput(f"{problem}, a name of ours", remedy)
            there = known.setdefault(fold(name), Table(name, ()))
            sent = _without_computed(table, there, sources[number])
            found.setdefault(there.name, {})[number] = sent
    return found


def _without_computed(table: Table, base: Table, source: Path) -> Table:
    """Leave out the columns that the base computes itself.

    Raises:
        BadInput: the source holds values of its own for one.
    """
    computed = {key for key, column in base.by_name.items() if column.is_computed}
    for key, column in table.by_name.items():
        if key in computed and not column.is_computed:
            problem = f"column {column.name!r} of table {table.name!r} holds values"
            drop = f"ALTER TABLE {quote(table.name)} DROP COLUMN {quote(column.name)}"
            remedy = f"sqlite3 {source} '{drop}'"
            raise BadInput(f"{source}: {problem}, and the base computes it", remedy)
    kept = [column for key, column in table.by_name.items() if key not in computed]
    return replace(table, columns=tuple(kept))


def line_up(
    found: Found, sources: Sequence[Path], files: list[Path], rules: Rules, folder: Path
) -> list[LinedUp]:
    """Line up the tables that the rules name, or all; none where nothing comes.

    Args:
        found: the tables of all sources.
        sources: incoming databases.
        files: the SQLite files that hold their rows.
        rules: which tables, and by which columns.
        folder: for copies of sources, where numbers are to become text.

    Raises:
        BadInput: no source has a table or column that the rules name.
    """
    if not sources:
        return []
    spelled = {fold(name): name for name in sorted(found)}
    known = ", ".join(spelled.values()) or "no tables"
    _check_left_out(found, sources, set(map(fold, rules.tables)))
    for name in rules.tables:
        is_optional = fold(name) == EVENTS and len(rules.tables) > 1  # not every run logs
        if fold(name) not in spelled and not is_optional:
            problem = f"table {name!r} is in none of the {len(sources)} incoming databases"
            raise BadInput(f"{problem}; they have: {known}")
    chosen = list(map(fold, rules.tables)) or [key for key in spelled if key not in rules.left_out]
    names = [spelled[key] for key in chosen if key in spelled]
    tables = [LinedUp(name, found[name], sources, files, rules, folder) for name in names]
    columns = set[str]().union(*(table.table.by_name for table in tables))
    if rules.id_column and fold(rules.id_column) not in columns:
        where = ", ".join(names)
        raise BadInput(f"--id-column {rules.id_column!r} is no column of {where}", "leave it out")
    unknown = [name for name in rules.key_columns if fold(name) not in columns]
    if rules.strategy == "rebase" and unknown:
        problem = f"no incoming table has the key column {unknown[0]!r}; tables: {known}"
        raise BadInput(problem, f"sqlite3 {sources[0]} .schema   # shows what there is")
    return tables


def _check_left_out(found: Found, sources: Sequence[Path], names: set[str]) -> None:
    """Warn of tables that the rules do not name, if they name any.

    Raises:
        BadInput: a source has no other table, as one that xetrack was not told a table for.
    """
    for number, source in enumerate(sources if names else ()):
        there = {name for name, tables in found.items() if number in tables}
        left = sorted(name for name in there if fold(name) not in {*names, "predictions"})
        if len(left) == len(there) and (left == [DEFAULT] or len(sources) > 1):
            problem = f"{source} has no table of those that are merged: {', '.join(sorted(names))}"
            rename = f"ALTER TABLE {quote(left[0] if left else DEFAULT)} RENAME TO {METRICS}"
            command = shlex.join(["sqlite3", str(source), rename])
            raise BadInput(problem, f"{command}   # if its rows are such")
        if left and len(left) < len(there):
            warn(f"{source}: not merged: {', '.join(left)}")
