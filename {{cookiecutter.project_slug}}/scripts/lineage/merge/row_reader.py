"""Rows of one table, read into the relations `base` and `incoming`: keys first."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lineage.merge.lined_up import LinedUp
from lineage.merge.relations import Relations
from lineage.merge.rules import Rules
from lineage.tables.sql import Engine, fold, quote
from lineage.tables.sqlite_files import Table, affinity
from lineage.tables.sqlite_rows import (
    NO_VALUE,
    Reading,
    coded,
    make_relation,
    read_codes,
    where_values_occur,
)


class RowReader:
    """Reads rows of one table into the relations `base` and `incoming`, keys first.

    Args:
        engine: where the relations are made.
        output: the copy of the base, with all columns already.
        incoming: the sources' tables.
        table: the table of the copy.
    """

    def __init__(self, engine: Engine, output: Path, incoming: LinedUp, table: Table) -> None:
        self.engine = engine
        self.output = output
        self.incoming = incoming
        self.table = table
        self.kinds = {fold(column.name): affinity(column.type) for column in table.columns}

    def read(
        self, identity: Sequence[str], rules: Rules, base_rows: int, is_copy: bool
    ) -> Relations:
        """Read what is needed to decide; whole rows only where an incoming row is not simply new.

        Args:
            identity: columns of the identity; empty: all incoming columns.
            rules: strategy and key columns.
            base_rows: how many rows the base has.
            is_copy: whole rows are needed, to tell which of them a copy has from its origin.
        """
        columns = self.incoming.table.column_names
        keys = list(rules.key_columns) if rules.strategy == "rebase" else []
        known = list(identity or columns)
        needed = [*known, *keys]
        if rules.on_conflict == "newest":
            needed += [name for name in columns if fold(name) == "timestamp"]
        relations = Relations(
            self.engine,
            self.incoming.name,
            columns,
            known,
            base_rows,
            lacking=self.incoming.lacking(),
            is_coded=True,
            numbers=self.numbers(known),
        )
        self.read_incoming(columns if is_copy else needed, identity)
        maybe_met = [known[0], *keys[:1]]  # a prefilter, one column each: the joins compare all
        self.read_base(maybe_met, identity)
        is_simply_new = not (is_copy or relations.count("base") or relations.repeats)
        if is_simply_new:
            relations.columns = list(dict.fromkeys(needed))  # there is nothing else to compare
        elif not is_copy:
            self.read_incoming(columns, identity)
        return relations

    def numbers(self, columns: Sequence[str]) -> list[str]:
        """Name those columns whose values are numbers."""
        return [name for name in columns if self.kinds[fold(name)] in ("number", "real")]

    def read_incoming(self, columns: Sequence[str], identity: Sequence[str]) -> None:
        """Line the rows of all sources up in relation `incoming`, by the names of the columns."""
        make_relation(self.engine, "incoming", columns)
        readings = [
            self.reading(self.incoming.files[number], table, columns, identity, number)
            for number, table in self.incoming.found.items()
        ]
        read_codes(self.engine, readings, "incoming", renumber=True)

    def read_base(self, columns: Sequence[str], identity: Sequence[str]) -> None:
        """Read the base rows that incoming rows may meet, by their values in some columns."""
        names = self.table.column_names
        make_relation(self.engine, "base", names)
        reading = self.reading(self.output, self.table, names, identity)
        where = where_values_occur(self.engine, columns)
        read_codes(self.engine, [replace(reading, where=where)], "base")

    def reading(
        self,
        file: Path,
        table: Table,
        columns: Sequence[str],
        identity: Sequence[str] = (),
        number: int = 0,
    ) -> Reading:
        """Say how some columns of a table are read as codes; one that it lacks is NULL.

        Values are written as the base's column holds them: `1` and `1.0` are one value of a REAL
        column, and of any key.
        """
        there = {fold(name): name for name in table.column_names}
        keys = set(map(fold, identity))
        codes = {}
        for name in columns:
            key = fold(name)
            kind = self.kinds.get(key, "any")
            if kind == "any" and key in keys:
                kind = "number"
            codes[name] = coded(quote(there[key]), kind) if key in there else NO_VALUE
        return Reading(file, table, codes, number)
