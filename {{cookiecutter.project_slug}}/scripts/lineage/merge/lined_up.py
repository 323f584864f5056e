"""Which tables and columns several databases have, lined up by name; no row is read here."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from lineage.core.console import warn
from lineage.core.errors import BadInput
from lineage.core.paths import EVENTS, METRICS
from lineage.merge.rules import Rules
from lineage.merge.run_ids import PREDICTIONS, RUN_ID
from lineage.tables.as_sqlite import SqliteFile, create_statement
from lineage.tables.sql import RESERVED, fold, quote
from lineage.tables.sqlite_files import Column, Table, tables_of

DEFAULT = "default"
"""The table of xetrack where it is told no other."""


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
        tables = {str(self.sources[number]): table for number, table in self.found.items()}
        if base:
            tables["the base"] = base
        for place, table in tables.items():
            missing = [name for name in names if fold(name) not in table.by_name]
            if missing:
                problem = f"{place}: table {self.name!r} has no column {missing[0]!r}"
                raise BadInput(f"{problem}; it has: {', '.join(table.column_names)}")

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


def line_up(
    sources: Sequence[Path],
    files: Sequence[SqliteFile],
    base: Path | None,
    rules: Rules,
    folder: Path,
) -> list[LinedUp]:
    """Line up the tables that the rules name, or all; none where nothing comes.

    Names that differ in case only are one name to SQLite; the base's spelling counts, else that
    of the first source.

    Args:
        sources: incoming databases.
        files: the SQLite files that hold their rows.
        base: the accumulated database; None: there is none.
        rules: which tables, and by which columns.
        folder: for copies of sources, where numbers are to become text.

    Raises:
        BadInput: the base cannot be read, no source has a table or column that the rules name, or
            a source uses a name of ours.
    """
    if not sources:
        return []
    known = tables_of(base) if base else {}
    found: dict[str, dict[int, Table]] = {}
    for number, file in enumerate(files):
        for name, table in file.tables.items():
            there = known.setdefault(fold(name), Table(name, ()))
            sent = _without_computed(table, there, sources[number])
            found.setdefault(there.name, {})[number] = sent
    spelled = {fold(name): name for name in sorted(found)}
    names = _names_of(sources, files, spelled, rules)
    paths = [file.path for file in files]
    tables = [LinedUp(name, found[name], sources, paths, rules, folder) for name in names]
    columns = set[str]().union(*(table.table.by_name for table in tables))
    where = ", ".join(names)
    if rules.id_column and fold(rules.id_column) not in columns:
        raise BadInput(f"--id-column {rules.id_column!r} is no column of {where}", "leave it out")
    unknown = [name for name in rules.key_columns if fold(name) not in columns]
    if rules.strategy == "rebase" and unknown:
        problem = f"no incoming table has the key column {unknown[0]!r}; tables: {where}"
        raise BadInput(problem, _sqlite3(sources[0], ".schema") + "   # shows what there is")
    return tables


def _sqlite3(source: Path, words: str) -> str:
    """Write the command that lets SQLite's own shell do something in a database."""
    return shlex.join(["sqlite3", str(source), words])


def _without_computed(table: Table, base: Table, source: Path) -> Table:
    """Leave out the columns that the base computes itself.

    Raises:
        BadInput: the source holds values of its own for one, or has a column with a name of ours.
    """
    alter = f"ALTER TABLE {quote(table.name)}"
    computed = {key for key, column in base.by_name.items() if column.is_computed}
    for key, column in table.by_name.items():
        if key in RESERVED:
            taken = f"{source}: table {table.name!r} has a column {key!r}, a name of ours"
            rename = f"{alter} RENAME COLUMN {quote(key)} TO {quote(key + '_')}"
            raise BadInput(taken, _sqlite3(source, rename))
        if key in computed and not column.is_computed:
            drop = f"{alter} DROP COLUMN {quote(column.name)}"
            problem = f"{source}: column {column.name!r} of table {table.name!r} holds values"
            raise BadInput(f"{problem}, and the base computes it", _sqlite3(source, drop))
    kept = [column for key, column in table.by_name.items() if key not in computed]
    return replace(table, columns=tuple(kept)) if computed else table


def _names_of(
    sources: Sequence[Path], files: Sequence[SqliteFile], spelled: Mapping[str, str], rules: Rules
) -> list[str]:
    """Find the tables that the rules name, or all, and warn of others.

    Args:
        sources: incoming databases.
        files: the SQLite files that hold their rows.
        spelled: the names of all tables, by those in small letters.
        rules: name the tables that are merged.

    Raises:
        BadInput: no source has a table that is named, or a source has none but others, as one that
            xetrack was not told a table for.
    """
    if not rules.tables:
        return [name for key, name in spelled.items() if key not in rules.left_out]
    names = set(map(fold, rules.tables))
    for source, file in zip(sources, files):
        left = [name for name in file.tables if fold(name) not in {*names, PREDICTIONS}]
        is_none_merged = len(left) == len(file.tables)
        if is_none_merged and (left == [DEFAULT] or len(sources) > 1):
            problem = f"{source} has no table of those that are merged: {', '.join(sorted(names))}"
            rename = f"ALTER TABLE {quote(left[0] if left else DEFAULT)} RENAME TO {METRICS}"
            raise BadInput(problem, _sqlite3(source, rename) + "   # if its rows are such")
        if left and not is_none_merged:
            warn(f"{source}: not merged: {', '.join(left)}")
    optional = {EVENTS} if len(names) > 1 else set()  # not every run logs
    for name in rules.tables:
        if fold(name) not in spelled.keys() | optional:
            problem = f"table {name!r} is in none of the {len(sources)} incoming databases"
            raise BadInput(f"{problem}; they have: {', '.join(spelled.values()) or 'no tables'}")
    return [spelled[key] for key in map(fold, rules.tables) if key in spelled]
