"""One table in a merge of databases: its rows as relations for `rules`, carried into the base."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lineage.merge.lined_up import LinedUp
from lineage.merge.relations import Relations
from lineage.merge.rules import Rules
from lineage.tables.sql import Engine, fold, quote, quote_all, text
from lineage.tables.sqlite_files import Table, affinity, count_rows
from lineage.tables.sqlite_reading import attached
from lineage.tables.sqlite_rows import (
    NO_VALUE,
    Reading,
    coded,
    make_relation,
    read_codes,
    where_values_occur,
)


@dataclass(frozen=True)
class TableMerge:
    """One table of several databases that is to be merged into a copy of the base.

    Attributes:
        engine: a connection to DuckDB for its relations.
        target: the copy of the base, in autocommit mode.
        output: the file of the copy.
        incoming: the table as the sources have it.
        rules: those that apply to it.
        identity: columns that make two rows the same row; empty: all incoming ones.
        before: the table as the base had it; None: it had none.
        table: as the copy has it, with all columns already.
    """

    engine: Engine
    target: sqlite3.Connection
    output: Path
    incoming: LinedUp
    rules: Rules
    identity: tuple[str, ...]
    before: Table | None
    table: Table

    @cached_property
    def kinds(self) -> dict[str, str]:
        """By the folded name of a column: which values it keeps apart, see `affinity`."""
        return {key: affinity(column.type) for key, column in self.table.by_name.items()}

    @cached_property
    def defaults(self) -> list[str]:
        """The columns of the copy that have a default."""
        found = self.target.execute(f"""
            SELECT name FROM pragma_table_info({text(self.table.name)}, 'main')
            WHERE dflt_value IS NOT NULL
        """)
        return [name for (name,) in found]

    def read(self, is_copy: bool) -> Relations:
        """Read relations `base` and `incoming`, keys first.

        Whole rows are read only where an incoming row is not simply new.

        Args:
            is_copy: whole rows are needed, to tell which of them a copy has from its origin.
        """
        columns = self.incoming.table.column_names
        keys = self.rules.key_columns if self.rules.strategy == "rebase" else ()
        known = list(self.identity or columns)
        deciding = [*keys, *known]
        if self.rules.on_conflict == "newest":
            deciding += [name for name in columns if fold(name) == "timestamp"]
        needed = [*{fold(name): name for name in deciding}.values()]
        relations = Relations(
            self.engine,
            self.incoming.name,
            columns,
            known,
            count_rows(self.target, f"main.{quote(self.incoming.name)}"),
            is_coded=True,
            numbers=self.numbers(known),
        )
        found = self.incoming.found
        for name in columns:
            lacking = [number for number, there in found.items() if fold(name) not in there.by_name]
            relations.lacking[name] = lacking
        self.read_incoming(columns if is_copy else needed)
        self.read_base([known[0], *keys[:1]])  # a prefilter, one column each: the joins compare all
        is_simply_new = not (is_copy or relations.count("base") or relations.repeats)
        if is_simply_new:
            relations.columns = needed  # there is nothing else to compare
        elif not is_copy:
            self.read_incoming(columns)
        return relations

    def numbers(self, columns: Sequence[str]) -> list[str]:
        """Name those columns whose values are numbers."""
        return [name for name in columns if self.kinds[fold(name)] in ("number", "real")]

    def read_incoming(self, columns: Sequence[str]) -> None:
        """Line the rows of all sources up in relation `incoming`, by the names of the columns."""
        make_relation(self.engine, "incoming", columns)
        files = self.incoming.files
        readings = [
            self.reading(files[number], table, columns, number)
            for number, table in self.incoming.found.items()
        ]
        read_codes(self.engine, readings, "incoming", renumber=True)

    def read_base(self, columns: Sequence[str]) -> None:
        """Read the base rows that incoming rows may meet, by their values in some columns."""
        names = self.table.column_names
        make_relation(self.engine, "base", names)
        where = where_values_occur(self.engine, columns)
        reading = self.reading(self.output, self.table, names)._replace(where=where)
        read_codes(self.engine, [reading], "base")

    def reading(self, file: Path, table: Table, columns: Sequence[str], number: int = 0) -> Reading:
        """Say how some columns of a table are read as codes; one that it lacks is NULL.

        Values are written as the base's column holds them: `1` and `1.0` are one value of a REAL
        column, and of any key.
        """
        keys = set(map(fold, self.identity))
        codes = dict.fromkeys(columns, NO_VALUE)
        for name in columns:
            key = fold(name)
            kind = self.kinds.get(key, "any")
            if kind == "any" and key in keys:
                kind = "number"
            if key in table.by_name:
                codes[name] = coded(quote(table.by_name[key].name), kind)
        return Reading(file, table, codes, number)


def carry(merge: TableMerge, relations: Relations) -> int:
    """Delete the rows that leave, and insert those that arrive, by row number.

    Sources follow each other in the order of their first keys, and each in the order of its keys,
    so the bytes do not depend on the order in which sources are listed.

    Args:
        merge: the table, in the copy of the base and in the sources.
        relations: with `leaving` and `arriving`.

    Returns:
        how many rows were written.

    Raises:
        BadInput: a source cannot be read.
    """
    engine = relations.engine
    target = merge.target
    table = merge.table
    [(leaving,)] = engine.execute("SELECT to_json(list(base_row)) FROM leaving").fetchall()
    if leaving:
        chosen = f"{table.row_alias} IN (SELECT value FROM json_each(?))"
        target.execute(f"DELETE FROM main.{quote(table.name)} WHERE {chosen}", (leaving,))
    order = relations.order("arriving")
    arriving = engine.execute(f"""
        WITH ordered AS (
            SELECT "lineage source" AS source, "lineage file row" AS file_row
            FROM arriving ORDER BY {order}
        ),
        placed AS (SELECT *, row_number() OVER () AS place FROM ordered)
        SELECT source, to_json(list(file_row ORDER BY place)) FROM placed
        GROUP BY source
        ORDER BY min(place)
    """).fetchall()
    arrived = 0
    for source, rows in arriving:
        with attached(target, merge.incoming.files[source]):
            insert = _insert(merge, merge.incoming.found[source])
            arrived += target.execute(insert, (rows,)).rowcount
    return arrived


def _insert(merge: TableMerge, source: Table) -> str:
    """Write the statement that inserts rows of `source`, by a JSON list of their numbers.

    Columns that the source lacks are NULL: a default would be a value that nobody sent.

    Args:
        merge: the table.
        source: the table as the attached source has it.
    """
    table = merge.table
    columns = [table.by_name[key].name for key in source.by_name]
    absent = [name for name in merge.defaults if fold(name) not in source.by_name]
    values = ", ".join([quote_all(source.column_names, "row"), *["NULL"] * len(absent)])
    return f"""
        INSERT INTO main.{quote(table.name)} ({quote_all([*columns, *absent])})
        SELECT {values}
        FROM json_each(?) AS chosen
        CROSS JOIN source.{quote(source.name)} AS row ON row.{source.row_alias} = chosen.value
    """
