"""What merge and rebase mean, for tables of any engine: one side `base`, one side `incoming`, SQL in between.

Both engines (SQLite for results, DuckDB for parquet) read the same standard SQL, so each rule is written once. Joins, not
NOT IN over keys or correlated subqueries: NULL equals NULL, and either engine finds an index by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from lineage.errors import BadInput, Refused
from lineage.sql import quote, quote_all, same

SOURCE, ROW = "lineage source", "lineage row"
"""Columns of the incoming side that say where a row comes from: number of the source, place in it."""

KEPT, KEYS, THERE = "temp.lineage_kept", "temp.lineage_keys", "temp.lineage_there"
SAMPLES = 5


class Engine(Protocol):
    """A connection to SQLite or DuckDB."""

    def execute(self, query: str, /) -> Any: ...


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

    def count(self, rows: str) -> int:
        """Count the rows of a FROM clause."""
        return int(self.engine.execute(f"SELECT count(*) {rows}").fetchone()[0])


@dataclass
class Plan:
    """What happens to one table or data file; counts are rows.

    Attributes:
        name: the table, or the data file.
        added: incoming rows that come in, those that take the place of base rows included.
        replaced: base rows that go.
        present: incoming rows that are there already.
        overridden: incoming rows whose identity a later source has too, with other contents (rebase only).
        conflicts: incoming rows with the identity of another row and different contents.
        samples: the first conflicts, as lines.
        new_columns: columns that the base lacks.
        missing_columns: columns of the base that no incoming row has.
        widened: columns whose type changes, as `name OLD → NEW`.
        leaves: query for the numbers of the base rows that go; None: none goes.
        arrives: query for the rows that come, in the order of their identity.
    """

    name: str
    added: int = 0
    replaced: int = 0
    present: int = 0
    overridden: int = 0
    conflicts: int = 0
    samples: list[str] = field(default_factory=list)
    new_columns: list[str] = field(default_factory=list)
    missing_columns: list[str] = field(default_factory=list)
    widened: list[str] = field(default_factory=list)
    leaves: str | None = None
    arrives: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.replaced or self.new_columns or self.widened)

    def line(self) -> str:
        """One line: +added ~replaced =already there !conflicts, new columns, type changes."""
        parts = [f"{self.name}: +{self.added} ~{self.replaced} ={self.present} !{self.conflicts}"]
        parts += [f"new columns: {', '.join(self.new_columns)}"] if self.new_columns else []
        parts += [f"wider types: {', '.join(self.widened)}"] if self.widened else []
        parts += [f"{self.overridden} incoming rows gave way to a later source"] if self.overridden else []
        return ", ".join(parts)

    def summary(self) -> dict[str, Any]:
        """The counts and columns, for JSON."""
        return {name: value for name, value in asdict(self).items() if name not in ("leaves", "arrives")}

    def refuse_conflicts(self) -> None:
        """Raise `Refused` when there are conflicts; shows up to five."""
        if self.conflicts:
            raise Refused(
                f"{self.name}: {self.conflicts} incoming rows have the identity of another row and different contents"
                " (there | incoming):\n" + "\n".join(self.samples),
                "correct the incoming file, or choose which wins (on_conflict: base, incoming or newest), or rebase",
            )


def recommend(plans: Sequence[Plan]) -> str:
    """Say which strategy fits, from a plan made with `merge`, and why."""
    conflicts, added = sum(plan.conflicts for plan in plans), sum(plan.added for plan in plans)
    for plan in plans:
        if plan.new_columns and plan.missing_columns:
            old, new = ", ".join(plan.missing_columns), ", ".join(plan.new_columns)
            return f"rebase: {plan.name} seems to have renamed {old} to {new}; merge would keep both, each half empty"
    if conflicts:
        return f"rebase: {conflicts} incoming rows have known keys and changed values, which merge would not take"
    return f"merge: the {added} rows that come are new" if added else "neither: everything is there already"


def plan(sides: Sides, strategy: str, keys: Sequence[str], on_conflict: str = "fail") -> Plan:
    """Work out what merging or rebasing the incoming side would do. Nothing of the base is touched.

    Args:
        sides: the tables. `KEPT`, `KEYS` and `THERE` are made anew.
        strategy: `merge` (base rows stay; conflicts go by `on_conflict`) or `rebase` (base rows whose keys all equal an
            incoming row's are replaced; of two incoming rows with one identity, the later source wins).
        keys: what rebase replaces by.
        on_conflict: `fail`, `base`, `incoming` or `newest` (by the column `timestamp`).
    Raises:
        BadInput: `newest` without a column `timestamp`.
    """
    if on_conflict == "newest" and "timestamp" not in sides.columns:
        raise BadInput(f"{sides.name}: on_conflict: newest needs a column 'timestamp'", "choose base or incoming")
    kept = _settle(sides, "incoming" if strategy == "rebase" else on_conflict)
    equal, pair = same("a", "b", sides.columns), sides.beside(sides.base, kept)
    later = "b.timestamp > a.timestamp" if on_conflict == "newest" else "TRUE"
    sides.engine.execute(
        f"CREATE TEMP TABLE lineage_there AS SELECT a.{sides.row} AS base_row, b.rowid AS kept_row, {equal} AS is_equal,"
        f" {later} AS is_later {pair}"
    )
    result = Plan(sides.name)
    if strategy == "rebase":
        sides.engine.execute(
            f"CREATE TEMP TABLE lineage_keys AS SELECT DISTINCT {quote_all(keys)} FROM {sides.incoming}"
        )
        matching = f"SELECT a.{sides.row} FROM {sides.base} a JOIN {KEYS} k ON {same('a', 'k', keys)}"
        stays = f"SELECT base_row FROM {THERE} WHERE is_equal"
        result.leaves = f"{matching} WHERE a.{sides.row} NOT IN ({stays})"
        comes = f"FROM {kept} b WHERE b.rowid NOT IN (SELECT kept_row FROM {THERE} WHERE is_equal)"
        if kept == KEPT:
            result.overridden = sides.count(f"{sides.beside(kept, sides.incoming)} WHERE NOT ({equal})")
        blocked = f"FROM {THERE} WHERE base_row NOT IN ({matching})"  # another key, but the same identity
        if sides.count(blocked):
            _add_conflicts(result, sides, pair, f"a.{sides.row} NOT IN ({matching})")
    else:
        comes = f"FROM {kept} b WHERE b.rowid NOT IN (SELECT kept_row FROM {THERE})"
        if on_conflict in ("incoming", "newest"):
            won = f"FROM {THERE} WHERE NOT is_equal AND is_later"
            result.leaves = f"SELECT base_row {won}"
            comes += f" OR b.rowid IN (SELECT kept_row {won})"
        if sides.count(f"FROM {THERE} WHERE NOT is_equal"):
            _add_conflicts(result, sides, pair, f"NOT ({equal})")
        elif kept == KEPT:
            _add_conflicts(result, sides, sides.beside(kept, sides.incoming), f"NOT ({equal})")
    result.arrives = f"SELECT {quote_all(sides.columns)} {comes} ORDER BY {quote_all(sides.identity)}"
    result.added = sides.count(comes)
    result.present = sides.count(f"FROM {kept}") - result.added
    result.replaced = sides.count(f"FROM ({result.leaves}) AS gone") if result.leaves else 0
    return result


def _settle(sides: Sides, winner: str) -> str:
    """Return the table that holds one incoming row per identity: the incoming side itself, or `KEPT` made from it."""
    for table in (KEPT, KEYS, THERE):
        sides.engine.execute(f"DROP TABLE IF EXISTS {table}")
    identity = quote_all(sides.identity)
    repeated = f"FROM (SELECT 1 FROM {sides.incoming} GROUP BY {identity} HAVING count(*) > 1 LIMIT 1)"
    if not sides.count(repeated):
        return sides.incoming
    order = {
        "base": f"{quote(SOURCE)}, {quote(ROW)}",
        "newest": f"timestamp DESC, {quote(SOURCE)} DESC, {quote(ROW)} DESC",
    }.get(winner, f"{quote(SOURCE)} DESC, {quote(ROW)} DESC")
    ranked = (
        f"SELECT *, row_number() OVER (PARTITION BY {identity} ORDER BY {order}) AS lineage_rank FROM {sides.incoming}"
    )
    sides.engine.execute(f"CREATE TEMP TABLE lineage_kept AS SELECT * FROM ({ranked}) AS ranked WHERE lineage_rank = 1")
    return KEPT


def _add_conflicts(result: Plan, sides: Sides, pair: str, condition: str) -> None:
    """Count the rows of `pair` that meet `condition`, and describe the first ones."""
    count = sides.count(f"{pair} WHERE {condition}")
    result.conflicts += count
    if not count or result.samples:
        return
    both = ", ".join(f"a.{quote(column)}, b.{quote(column)}" for column in sides.columns)
    order = ", ".join(f"a.{quote(column)}" for column in sides.identity)
    rows = sides.engine.execute(f"SELECT {both} {pair} WHERE {condition} ORDER BY {order} LIMIT {SAMPLES}").fetchall()
    for row in rows:
        values = {column: (row[2 * place], row[2 * place + 1]) for place, column in enumerate(sides.columns)}
        key = ", ".join(f"{column}={values[column][0]!r}" for column in sides.identity)
        changed = [f"{column}: {a!r} | {b!r}" for column, (a, b) in values.items() if a != b][:SAMPLES]
        result.samples.append(f"  {key} — {', '.join(changed)}")
