"""Which tables and columns several databases have, lined up by name; no row is read here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lineage.core.errors import BadInput
from lineage.core.paths import EVENTS
from lineage.merge.rules import Rules
from lineage.tables.as_sqlite import SqliteFile
from lineage.tables.sql import RESERVED, fold
from lineage.tables.sqlite_files import Column, Table, describe_tables, open_read_only

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
    """

    name: str
    found: Mapping[int, Table]
    sources: Sequence[Path]
    files: list[Path]
    columns: dict[str, Column] = field(default_factory=dict)
    types: dict[str, set[str]] = field(default_factory=dict)

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
    spelled: dict[str, str] = {}
    found: Found = {}
    if base is not None:
        with open_read_only(base) as connection:
            spelled = {fold(name): name for name in describe_tables(connection)}
    for number, file in enumerate(files):
        for name, table in file.tables.items():
            taken = RESERVED & set(map(fold, table.column_names))
            if taken:
                problem = f"{sources[number]}: table {name!r} has a column {min(taken)!r}"
                raise BadInput(f"{problem}, a name of ours", "rename it")
            found.setdefault(spelled.setdefault(fold(name), name), {})[number] = table
    return found


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
    for name in rules.tables:
        is_optional = fold(name) == EVENTS and len(rules.tables) > 1  # not every run logs
        if fold(name) not in spelled and not is_optional:
            problem = f"table {name!r} is in none of the {len(sources)} incoming databases"
            raise BadInput(f"{problem}; they have: {known}")
    names = sorted(name for name in found if fold(name) not in rules.left_out)
    if rules.tables:
        names = [spelled[fold(name)] for name in rules.tables if fold(name) in spelled]
    tables = [LinedUp(name, found.get(name, {}), sources, files) for name in names]
    columns = set[str]()
    for table in tables:
        columns |= table.columns.keys()
    if rules.id_column and fold(rules.id_column) not in columns:
        where = ", ".join(names)
        raise BadInput(f"--id-column {rules.id_column!r} is no column of {where}", "leave it out")
    unknown = [name for name in rules.key_columns if fold(name) not in columns]
    if rules.strategy == "rebase" and unknown:
        problem = f"no incoming table has the key column {unknown[0]!r}; tables: {known}"
        raise BadInput(problem, "name one that they have")
    return tables
