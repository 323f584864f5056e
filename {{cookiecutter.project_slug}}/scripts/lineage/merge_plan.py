"""What merge and rebase mean, for tables of any engine: one side `base`, one side `incoming`, SQL in between.

Both engines (SQLite for results, DuckDB for parquet) read the same standard SQL, so each rule is written once. Joins, not
NOT IN over keys or correlated subqueries: NULL equals NULL, and either engine finds an index by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lineage.errors import Refused
from lineage.sql import quote, quote_all, same

SOURCE, ROW = "lineage source", "lineage row"
"""Columns of the incoming side that say where a row comes from: number of the source, place in it."""

KEPT, KEYS = "temp.lineage_kept", "temp.lineage_keys"
SAMPLES = 5


class Engine(Protocol):
    """A connection to SQLite or DuckDB."""

    def execute(self, query: str, /) -> Any: ...


@dataclass
class Change:
    """What happens to one table or data file; counts are rows.

    Attributes:
        name: the table, or the data file.
        added: incoming rows that are not there yet.
        replaced: base rows that incoming rows take the place of (rebase only).
        present: incoming rows that are there already.
        overridden: incoming rows that a later source replaces (rebase only).
        new_columns: columns that the base lacks.
    """

    name: str
    added: int = 0
    replaced: int = 0
    present: int = 0
    overridden: int = 0
    new_columns: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.replaced or self.new_columns)

    def line(self) -> str:
        """One line: +added ~replaced =already there, new columns."""
        parts = f"{self.name}: +{self.added} ~{self.replaced} ={self.present}"
        if self.new_columns:
            parts += f", new columns: {', '.join(self.new_columns)}"
        if self.overridden:
            parts += f", {self.overridden} incoming rows were overridden by a later source"
        return parts


@dataclass(frozen=True)
class Sides:
    """Two tables to merge.

    Attributes:
        engine: where both are.
        name: of the table or file, for messages.
        base: quoted name of the accumulated side; it has every column of the other.
        incoming: quoted name of the other side, with the columns `SOURCE` and `ROW`.
        columns: the incoming columns.
        identity: the columns that make two rows the same row.
        row: quoted column of the base that numbers its rows.
    """

    engine: Engine
    name: str
    base: str
    incoming: str
    columns: Sequence[str]
    identity: Sequence[str]
    row: str = "rowid"

    def beside(self, left: str, right: str) -> str:
        """Rows `a` of one table beside the rows `b` of another that have the same identity."""
        return f"FROM {left} a JOIN {right} b ON {same('a', 'b', self.identity)}"

    @property
    def pair(self) -> str:
        """Base rows `a` beside the incoming rows `b` that are kept."""
        return self.beside(self.base, KEPT)

    @property
    def fresh(self) -> str:
        """Query: incoming rows whose identity the base lacks, in the order of their identity."""
        return (
            f"SELECT {quote_all(self.columns)} FROM {KEPT} WHERE rowid NOT IN (SELECT b.rowid {self.pair})"
            f" ORDER BY {quote_all(self.identity)}"
        )

    @property
    def kept(self) -> str:
        """Query: one incoming row per identity, in the order of their identity."""
        return f"SELECT {quote_all(self.columns)} FROM {KEPT} ORDER BY {quote_all(self.identity)}"

    def matching(self, keys: Sequence[str]) -> str:
        """Query: row numbers of the base rows whose keys all equal an incoming row's."""
        return f"SELECT a.{self.row} FROM {self.base} a JOIN {KEYS} k ON {same('a', 'k', keys)}"

    def count(self, query: str) -> int:
        """Run a query that returns one number."""
        return int(self.engine.execute(query).fetchone()[0])


def plan(sides: Sides, strategy: str, keys: Sequence[str]) -> Change:
    """Settle the incoming side to one row per identity (`KEPT`) and count what merging it would do.

    Args:
        sides: the tables. `KEPT` and `KEYS` are made anew.
        strategy: `merge` or `rebase`.
        keys: what rebase replaces by.
    Raises:
        Refused: under merge, one identity stands for different contents; under rebase, an incoming row has the
            identity of a base row that its keys leave in place.
    """
    change = Change(sides.name)
    different = f"NOT ({same('a', 'b', sides.columns)})"
    _settle(sides)
    repeats = sides.beside(sides.incoming, KEPT)
    if strategy == "merge":
        _refuse(sides, sides.beside(sides.base, sides.incoming), different)
        _refuse(sides, repeats, different)
        change.present = sides.count(f"SELECT count(*) {sides.pair}")
        change.added = sides.count(f"SELECT count(*) FROM {KEPT}") - change.present
        return change
    change.overridden = sides.count(f"SELECT count(*) {repeats} WHERE {different}")
    sides.engine.execute(f"CREATE TEMP TABLE lineage_keys AS SELECT DISTINCT {quote_all(keys)} FROM {KEPT}")
    _refuse(sides, sides.pair, f"NOT ({same('a', 'b', keys)})")
    change.present = sides.count(f"SELECT count(*) {sides.pair} WHERE {same('a', 'b', sides.columns)}")
    change.replaced = sides.count(f"SELECT count(*) FROM ({sides.matching(keys)})") - change.present
    change.added = sides.count(f"SELECT count(*) FROM {KEPT}") - change.present
    return change


def _settle(sides: Sides) -> None:
    """Make `KEPT`: of the incoming rows with one identity, the last of the last source."""
    latest = f"PARTITION BY {quote_all(sides.identity)} ORDER BY {quote(SOURCE)} DESC, {quote(ROW)} DESC"
    sides.engine.execute("DROP TABLE IF EXISTS temp.lineage_kept")
    sides.engine.execute("DROP TABLE IF EXISTS temp.lineage_keys")
    sides.engine.execute(
        f"CREATE TEMP TABLE lineage_kept AS SELECT * FROM"
        f" (SELECT *, row_number() OVER ({latest}) AS lineage_rank FROM {sides.incoming}) AS ranked WHERE lineage_rank = 1"
    )


def _refuse(sides: Sides, pair: str, condition: str) -> None:
    """Raise `Refused` with a count and samples when rows of `pair` meet `condition`."""
    count = sides.count(f"SELECT count(*) {pair} WHERE {condition}")
    if not count:
        return
    both = ", ".join(f"a.{quote(column)}, b.{quote(column)}" for column in sides.columns)
    order = ", ".join(f"a.{quote(column)}" for column in sides.identity)
    rows = sides.engine.execute(f"SELECT {both} {pair} WHERE {condition} ORDER BY {order} LIMIT {SAMPLES}").fetchall()
    samples = []
    for row in rows:
        values = {column: (row[2 * place], row[2 * place + 1]) for place, column in enumerate(sides.columns)}
        key = ", ".join(f"{column}={values[column][0]!r}" for column in sides.identity)
        changed = [f"{column}: {a!r} | {b!r}" for column, (a, b) in values.items() if a != b][:SAMPLES]
        samples.append(f"  {key} — {', '.join(changed)}")
    raise Refused(
        f"{sides.name}: {count} incoming rows have the identity of another row and different contents"
        " (there | incoming):\n" + "\n".join(samples),
        "correct the incoming file, or choose rebase, to replace what matches",
    )
