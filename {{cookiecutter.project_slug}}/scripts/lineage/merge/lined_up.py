"""Which tables and columns several databases have, lined up by name; no row is read here."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lineage.core.console import warn
from lineage.core.errors import BadInput
from lineage.core.paths import EVENTS, METRICS
from lineage.merge.rules import Rules
from lineage.tables.as_sqlite import SqliteFile
from lineage.tables.parquet_types import CAST_OPTION
from lineage.tables.sql import RESERVED, fold, quote
from lineage.tables.sqlite_files import (
    Column,
    Table,
    create_statement,
    describe_tables,
    open_read_only,
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
        columns: by folded name; their order does not depend on that of the sources.
        types: by folded name, every declared type that a column has in some source.
        cast_option: as in `Rules`.
    """

    name: str
    found: Mapping[int, Table]
    sources: Sequence[Path]
    files: list[Path]
    columns: dict[str, Column] = field(default_factory=dict)
    types: dict[str, set[str]] = field(default_factory=dict)
    cast_option: str = CAST_OPTION

    def __post_init__(self) -> None:
        """Line the columns up."""
        for table in sorted(self.found.values(), key=lambda table: table.column_names):
            for column in table.columns:
                self.columns.setdefault(fold(column.name), column)
                self.types.setdefault(fold(column.name), set()).add(column.type)

    @property
    def table(self) -> Table:
        """The table with the columns of all sources."""
        return Table(self.name, tuple(self.columns.values()))

    def create_statement(self) -> str:
        """Write the CREATE TABLE where there is no base yet: that of the sources if they agree.

        Otherwise, and where they compute a column, it says names, types and the key only.
        """
        made = {table.statement for table in self.found.values()}
        is_computed = any(column.is_computed for column in self.columns.values())
        [statement] = made if len(made) == 1 and not is_computed else [""]
        return statement or create_statement(self.table)

    def lacking(self) -> dict[str, list[int]]:
        """Give, by a column's name, the numbers of the sources that have the table without it."""
        missing: dict[str, list[int]] = {}
        for number, table in self.found.items():
            there = set(map(fold, table.column_names))
            for key, column in self.columns.items():
                if key not in there:
                    missing.setdefault(column.name, []).append(number)
        return missing

    def require(self, names: Sequence[str], base: Table | None = None) -> None:
        """Raise `BadInput` unless the table has some columns in every source, and in the base.

        Where one is missing, its rows would all count as NULL there.
        """
        tables = [(str(self.sources[number]), table) for number, table in self.found.items()]
        if base:
            tables.append(("the base", base))
        for place, table in tables:
            known = set(map(fold, table.column_names))
            for name in names:
                if fold(name) not in known:
                    columns = ", ".join(table.column_names)
                    problem = f"{place}: table {self.name!r} has no column {name!r}"
                    raise BadInput(f"{problem}; it has: {columns}")


def find_tables(sources: Sequence[Path], files: Sequence[SqliteFile], base: Path | None) -> Found:
    """Find the tables of all sources.

    Names that differ in case only are one name to SQLite; the base's spelling counts, else that
    of the first source.

    Raises:
        BadInput: the base cannot be read, or a source uses a name of ours.
    """
    known: dict[str, Table] = {}
    found: Found = {}
    if base is not None:
        with open_read_only(base) as connection:
            known = {fold(name): table for name, table in describe_tables(connection).items()}
    for number, file in enumerate(files):
        for name, table in file.tables.items():
            taken = RESERVED & set(map(fold, table.column_names))
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
    computed = {fold(column.name) for column in base.columns if column.is_computed}
    for column in table.columns:
        if fold(column.name) in computed and not column.is_computed:
            problem = f"column {column.name!r} of table {table.name!r} holds values"
            drop = f"ALTER TABLE {quote(table.name)} DROP COLUMN {quote(column.name)}"
            remedy = f"sqlite3 {source} '{drop}'"
            raise BadInput(f"{source}: {problem}, and the base computes it", remedy)
    kept = tuple(column for column in table.columns if fold(column.name) not in computed)
    return replace(table, columns=kept)


def line_up(
    found: Found, sources: Sequence[Path], files: list[Path], rules: Rules
) -> list[LinedUp]:
    """Line up the tables that the rules name, or all; none where nothing comes.

    Raises:
        BadInput: no source has a table or column that the rules name.
    """
    if not sources:
        return []
    spelled = {fold(name): name for name in found}
    known = ", ".join(sorted(found)) or "no tables"
    _check_left_out(found, sources, set(map(fold, rules.tables)))
    for name in rules.tables:
        is_optional = fold(name) == EVENTS and len(rules.tables) > 1  # not every run logs
        if fold(name) not in spelled and not is_optional:
            problem = f"table {name!r} is in none of the {len(sources)} incoming databases"
            raise BadInput(f"{problem}; they have: {known}")
    names = sorted(name for name in found if fold(name) not in rules.left_out)
    if rules.tables:
        names = [spelled[fold(name)] for name in rules.tables if fold(name) in spelled]
    tables = [
        LinedUp(name, found.get(name, {}), sources, files, cast_option=rules.cast_option)
        for name in names
    ]
    columns = set[str]()
    for table in tables:
        columns |= table.columns.keys()
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
