"""Rows of one table, read into the relations `base` and `incoming`: keys first."""

from collections.abc import Sequence
from pathlib import Path

from lineage.merge.lined_up import LinedUp
from lineage.merge.relations import Relations
from lineage.merge.rules import Rules
from lineage.tables.sql import ROW, Engine, fold, quote
from lineage.tables.sqlite_files import Table, affinity, row_alias
from lineage.tables.sqlite_rows import (
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
            numbers=[name for name in known if self.kinds[fold(name)] in ("number", "real")],
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

    def read_incoming(self, columns: Sequence[str], identity: Sequence[str]) -> None:
        """Line the rows of all sources up in relation `incoming`, by the names of the columns."""
        make_relation(self.engine, "incoming", columns)
        for number, table in self.incoming.found.items():
            file = self.incoming.files[number]
            statement = self.select(table, columns, identity)
            read_codes(self.engine, file, statement, "incoming", number)

    def read_base(self, columns: Sequence[str], identity: Sequence[str]) -> None:
        """Read the base rows that incoming rows may meet, by their values in some columns."""
        make_relation(self.engine, "base", self.table.column_names)
        statement = self.select(self.table, self.table.column_names, identity)
        where = where_values_occur(self.engine, columns)
        read_codes(self.engine, self.output, f"{statement} WHERE {where}", "base")

    def select(self, table: Table, columns: Sequence[str], identity: Sequence[str]) -> str:
        """Write the statement that reads some columns of a table as codes, those that it has.

        Values are written as the base's column holds them: `1` and `1.0` are one value of a REAL
        column, and of any key.
        """
        there = {fold(name): name for name in table.column_names}
        keys = set(map(fold, identity))
        values = []
        for name in dict.fromkeys(columns):
            key = fold(name)
            if key not in there:
                continue
            kind = self.kinds.get(key, "any")
            if kind == "any" and key in keys:
                kind = "number"
            values.append(f"{coded(quote(there[key]), kind)} AS {quote(name)}")
        number = row_alias(table)
        return f"SELECT {number} AS {quote(ROW)}, {', '.join(values)} FROM {quote(table.name)}"
