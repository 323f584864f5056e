"""The relations `base` and `incoming`, and what makes two of their rows the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import compress
from typing import Any

from lineage.merge.plan import SAMPLES, Plan
from lineage.tables.engine import memory_limit
from lineage.tables.sql import OCCURRENCE, Engine, all_of, quote, quote_all, same
from lineage.tables.sqlite_rows import NULL, decoded


@dataclass
class Relations:
    """Two relations of one engine: `base`, what has accumulated, and `incoming`, what comes.

    Both have a column `lineage row`; `incoming` has `lineage source`, too, and all `columns`.

    Attributes:
        engine: where they are.
        name: of the table or file, for messages.
        columns: the incoming columns; `base` has them all.
        identity: the columns that make two rows the same row.
        base_rows: how many rows the base has; relation `base` may hold only those that matter.
        filled: columns of the identity that are known to hold no NULL in `incoming`.
        lacking: by column, the numbers of the sources that do not have it: nothing to compare.
        may_replace: the condition that row `named` of `incoming` may replace row `base`.
        is_coded: values are codes of `sqlite_rows`.
        numbers: columns whose codes stand for numbers, and are ordered as such.
        noted: what differs beside rows, as attributes of `Plan`.
    """

    engine: Engine
    name: str
    columns: Sequence[str]
    identity: Sequence[str]
    base_rows: int = 0
    filled: Sequence[str] = ()
    lacking: dict[str, list[int]] = field(default_factory=dict)
    may_replace: str = "TRUE"
    is_coded: bool = False
    numbers: Sequence[str] = ()
    noted: dict[str, Any] = field(default_factory=dict)

    def run(self, statement: str) -> None:
        """Execute a statement."""
        self.engine.execute(statement)

    def count(self, rows: str) -> int:
        """Count the rows of what may stand behind FROM."""
        return int(self.engine.execute(f"SELECT count(*) FROM {rows}").fetchall()[0][0])

    def plan(self) -> Plan:
        """Make the plan of a merge from what arrives and what leaves."""
        plan = Plan(self.name, **self.noted)
        self.count_changes(plan)
        return plan

    def count_changes(self, plan: Plan) -> None:
        """Count what arrives and what leaves."""
        plan.added = self.count("arriving")
        plan.replaced = self.count("leaving")
        plan.rows = self.base_rows + plan.added - plan.replaced

    def without_null(self, relation: str, columns: Sequence[str]) -> list[str]:
        """Find the columns of a relation that hold no NULL.

        None are named where memory is short: DuckDB needs more of it for the faster join by `=`.
        """
        if memory_limit():
            return []
        counts = ", ".join(f"count({quote(name)}) = count(*)" for name in columns)
        [are_full] = self.engine.execute(f"SELECT {counts} FROM {relation}").fetchall()
        return list(compress(columns, are_full))

    def note_columns(self, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        """Note which columns are new, missing, or of a wider type than before, if there is a base.

        Args:
            before: names and types of the base's columns.
            after: of the columns that come, as the result has them.
        """
        if before:
            wider = [name for name in after if before.get(name, after[name]) != after[name]]
            self.noted |= {
                "new_columns": [name for name in after if name not in before],
                "missing_columns": [name for name in before if name not in after],
                "widened": [f"{name} {before[name]} → {after[name]}" for name in wider],
            }

    @cached_property
    def repeats(self) -> bool:
        """Whether an identity occurs more than once in `incoming`."""
        identity = quote_all(self.identity)
        repeated = f"SELECT 1 FROM incoming GROUP BY {identity} HAVING count(*) > 1 LIMIT 1"
        return self.count(f"({repeated})") > 0

    def same_identity(self, relation: str) -> str:
        """Write the condition that a row of `base` and one of `relation` have one identity."""
        return same("base", relation, self.identity, self.filled)

    def equal(self, relation: str) -> str:
        """Write the condition that a row of `base` and one of `relation` have the same contents.

        Columns that the source of the incoming row does not have are not compared.
        """
        conditions = []
        for column in self.columns:
            condition = same("base", relation, [column])
            sources = ", ".join(map(str, self.lacking.get(column, ())))
            if sources:
                condition = f"({relation}.{quote('lineage source')} IN ({sources}) OR {condition})"
            conditions.append(condition)
        return all_of(conditions)

    def time(self, relation: str) -> str:
        """Write the expression that orders rows of a relation in time; NULL comes first."""
        column = f"{relation}.timestamp"
        if not self.is_coded:
            return column
        number = f"TRY_CAST(TRY(decode({column})) AS DOUBLE)"
        return f"CASE WHEN {column} <> {NULL} THEN row({number}, {column}) END"

    def order(self, relation: str) -> str:
        """Write what rows of a relation are ordered by: their identity, numbers by size."""
        terms = []
        for column in self.identity:
            name = f"{relation}.{quote(column)}"
            if column in self.numbers:
                terms.append(f"TRY_CAST(TRY(decode({name})) AS DOUBLE)")
            terms.append(name)
        return ", ".join(terms)

    def tell_equal_rows_apart(self) -> None:
        """Give rows without a key their occurrence: two equal rows of one file are two rows."""
        values = quote_all(self.columns)
        for relation, file in (("incoming", ', "lineage source"'), ("base", "")):
            self.run(f"""
                CREATE OR REPLACE TEMP TABLE {relation} AS
                SELECT *, row_number() OVER (
                    PARTITION BY {values}{file} ORDER BY "lineage row"
                ) AS "{OCCURRENCE}"
                FROM {relation}
            """)
        self.identity = [*self.identity, OCCURRENCE]
        self.__dict__.pop("repeats", None)

    def describe_conflicts(self, plan: Plan) -> None:
        """Count the rows of `conflicts` (there, there_row, incoming_row); show the first.

        Of two rows of `incoming` the one that comes in, `there_row`, may be the later.
        """
        plan.conflicts = self.count("(SELECT DISTINCT incoming_row FROM conflicts)")
        if not plan.conflicts:
            return
        [(there,)] = self.engine.execute("SELECT min(there) FROM conflicts").fetchall()
        order = f"{self.order('incoming')}, earlier_row, later_row"
        rows = self.engine.execute(f"""
            WITH samples AS (
                SELECT if(there = 'base', there_row, least(there_row, incoming_row)) AS earlier_row,
                       if(there = 'base', incoming_row, greatest(there_row, incoming_row))
                       AS later_row
                FROM conflicts JOIN incoming ON incoming."lineage row" = incoming_row
                WHERE there = '{there}'
                ORDER BY {order}
                LIMIT {SAMPLES}
            )
            SELECT {quote_all(self.columns, "earlier")}, {quote_all(self.columns, "incoming")}
            FROM samples
            JOIN {there} AS earlier ON earlier."lineage row" = earlier_row
            JOIN incoming ON incoming."lineage row" = later_row
            ORDER BY {order}
        """).fetchall()
        plan.samples = list(map(self._sample, rows))

    def _sample(self, row: Sequence[Any]) -> str:
        """Write one conflict: the identity, then the columns that differ, as `v: 1 | 2`."""
        values = list(map(decoded, row)) if self.is_coded else row
        named = dict(zip(self.columns, values))
        key = ", ".join(f"{name}={named[name]!r}" for name in self.identity if name in named)
        pairs = zip(self.columns, values, values[len(self.columns) :])
        changed = [f"{name}: {old!r} | {new!r}" for name, old, new in pairs if old != new]
        return f"  {key} — {', '.join(changed[:SAMPLES])}"
