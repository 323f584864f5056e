"""What merge and rebase mean, for tables of any engine: one side `base`, one side `incoming`, SQL in between.

Both engines (SQLite for results, DuckDB for parquet) read the same standard SQL, so each rule is written once. Joins, not
NOT IN over keys or correlated subqueries: NULL equals NULL, and either engine finds an index by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lineage.core.errors import BadInput, Refused
from lineage.tables.sql import NUMBER, SOURCE, Engine, all_of, fold, quote, quote_all, same

KEPT, KEYS, THERE = "temp.lineage_kept", "temp.lineage_keys", "temp.lineage_there"
ARRIVING = "temp.lineage_arriving"
"""The rows that come in, as `plan` leaves them: the incoming columns, in the order of their identity."""

SAMPLES = 5


@dataclass(frozen=True)
class Rules:
    """How files are merged, for databases and for parquet.

    Attributes:
        strategy: `merge` or `rebase`.
        key_columns: what rebase replaces by; for parquet also the identity of a row (empty: the whole row, merge only).
        id_column: identity of tables without a primary key; None: the whole row.
        tables: names; empty: every table that a source has.
        on_conflict: under merge: `fail`, `base`, `incoming` or `newest`.
        dry_run: only work out what would happen; conflicts are counted, not refused.
        ancestors: for a source, the database that it began as a copy of; its rows do not count as incoming.
        cast_text: numbers become text where other files hold text in the column.
    """

    strategy: str
    key_columns: tuple[str, ...] = ()
    id_column: str | None = None
    tables: tuple[str, ...] = ()
    on_conflict: str = "fail"
    dry_run: bool = False
    ancestors: Mapping[Path, Path] = field(default_factory=dict)
    cast_text: bool = False


@dataclass
class Sides:
    """Two tables to merge.

    Attributes:
        engine: where both are.
        name: of the table or file, for messages.
        base: quoted name of the accumulated side; it has every column of the other.
        incoming: quoted name of the other side, with the columns `SOURCE` and `ROW`.
        columns: the incoming columns.
        identity: the columns that make two rows the same row.
        row: what numbers the rows of the base, in SQL.
        filled: columns of the identity that are known to hold no NULL on the incoming side.
        lacking: by column, the numbers of the sources that do not have it; there is nothing to compare for their rows.
        copies: numbers of the sources that began as copies of the base.
        replaceable: table of `source` and `base_row`: what rebase may replace for a copy, since it has not changed since then.
    """

    engine: Engine
    name: str
    base: str
    incoming: str
    columns: Sequence[str]
    identity: Sequence[str]
    row: str = NUMBER
    filled: Sequence[str] = ()
    lacking: Mapping[str, Sequence[int]] = field(default_factory=dict)
    copies: Sequence[int] = ()
    replaceable: str = ""

    @property
    def equal(self) -> str:
        """Row `a` of the base and row `b` of the incoming side have the same contents, as far as the source of `b` has columns."""
        conditions = []
        for column in self.columns:
            numbers = ", ".join(map(str, self.lacking.get(column, ())))
            lacks = f"b.{quote(SOURCE)} IN ({numbers}) OR " if numbers else ""
            conditions.append(f"({lacks}{same('a', 'b', [column])})")
        return all_of(conditions)

    def beside(self, left: str, right: str) -> str:
        """Rows `a` of one table beside the rows `b` of another that have the same identity."""
        return f"FROM {left} a JOIN {right} b ON {same('a', 'b', self.identity, self.filled)}"

    def count(self, rows: str) -> int:
        """Count the rows of a FROM clause."""
        return int(self.engine.execute(f"SELECT count(*) {rows}").fetchone()[0])


@dataclass
class Plan:
    """What happens to one table or data file; counts are rows.

    Attributes:
        name: the table, or the data file.
        rows: how many there are in the end.
        added: incoming rows that come in, those that take the place of base rows included.
        replaced: base rows that go.
        present: incoming rows that are there already, or come from another source too.
        overridden: incoming rows whose identity a later one has too, with other contents (rebase only).
        conflicts: incoming rows with other contents than the base's row of their identity or, where it has none, than
            the row that comes in.
        samples: the first conflicts, as lines.
        new_columns: columns that the base lacks.
        missing_columns: columns of the base that no incoming row has.
        widened: columns whose type changes, as `name OLD → NEW`.
        leaves: query for the numbers of the base rows that go; None: none goes.
    """

    name: str
    rows: int = 0
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

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.replaced or self.new_columns or self.widened)

    def line(self) -> str:
        """One line: +added ~replaced =already there !conflicts, new columns, type changes."""
        parts = [f"{self.name}: +{self.added} ~{self.replaced} ={self.present} !{self.conflicts}"]
        parts += [f"new columns: {', '.join(self.new_columns)}"] if self.new_columns else []
        parts += [f"wider types: {', '.join(self.widened)}"] if self.widened else []
        parts += (
            [f"{self.overridden} incoming rows gave way to a later one"] if self.overridden else []
        )
        return ", ".join(parts)

    def summary(self) -> dict[str, Any]:
        """The counts and columns, for JSON."""
        return {name: value for name, value in asdict(self).items() if name != "leaves"}

    def not_written(self) -> Refused:
        """What to raise when other rows are read back than belong there."""
        return Refused(
            f"{self.name}: not the {self.rows} rows that belong there were written; the old file stays"
        )

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
    return (
        f"merge: the {added} rows that come are new"
        if added
        else "neither: everything is there already"
    )


def plan(sides: Sides, strategy: str, keys: Sequence[str], on_conflict: str = "fail") -> Plan:
    """Work out what merging or rebasing the incoming side would do. Nothing of the base is touched.

    Args:
        sides: the tables. `KEPT`, `KEYS`, `THERE` and `ARRIVING` are made anew.
        strategy: `merge` (base rows stay; conflicts go by `on_conflict`) or `rebase` (base rows whose keys all equal an
            incoming row's are replaced; of two incoming rows with one identity, the later source wins).
        keys: what rebase replaces by.
        on_conflict: `fail`, `base`, `incoming` or `newest` (by the column `timestamp`).
    Raises:
        BadInput: `newest` without a column `timestamp`, or where it is part of the identity and cannot decide.
    """
    if on_conflict == "newest" and "timestamp" not in map(fold, sides.columns):
        raise BadInput(
            f"{sides.name}: on_conflict: newest needs a column 'timestamp'",
            "choose base or incoming",
        )
    result, kept = (
        Plan(sides.name),
        _settle(sides, "incoming" if strategy == "rebase" else on_conflict),
    )
    later = (
        "b.timestamp > a.timestamp OR a.timestamp IS NULL" if on_conflict == "newest" else "TRUE"
    )
    sides.engine.execute(
        f"CREATE TEMP TABLE lineage_there AS SELECT a.{sides.row} AS base_row, b.{NUMBER} AS kept_row,"
        f" {sides.equal} AS is_equal, {later} AS is_later {sides.beside(sides.base, kept)}"
    )
    comes = (
        _rebase(result, sides, kept, keys)
        if strategy == "rebase"
        else _merge(result, sides, kept, on_conflict)
    )
    if on_conflict == "newest" and result.conflicts and "timestamp" in map(fold, sides.identity):
        raise BadInput(
            f"{sides.name}: newest cannot decide: timestamp is in the identity",
            "choose base or incoming",
        )
    rows = f"SELECT {quote_all(sides.columns)} FROM {kept} b WHERE {comes} ORDER BY {quote_all(sides.identity)}"
    sides.engine.execute(f"CREATE TEMP TABLE lineage_arriving AS {rows}")
    result.added = sides.count(f"FROM {ARRIVING}")
    result.replaced = sides.count(f"FROM ({result.leaves}) AS gone") if result.leaves else 0
    result.rows = sides.count(f"FROM {sides.base}") + result.added - result.replaced
    new = result.added if strategy == "rebase" else result.added - result.replaced
    result.present = (
        sides.count(f"FROM {sides.incoming}") - new - result.overridden - result.conflicts
    )
    return result


def _merge(result: Plan, sides: Sides, kept: str, on_conflict: str) -> str:
    """Note the conflicts, and the base rows that lose them; return the condition of the rows `b` of `kept` that come."""
    differ, repeated = f"SELECT base_row AS l, kept_row AS r FROM {THERE} WHERE NOT is_equal", ""
    if kept == KEPT:  # every row that comes counts, not only the one that is kept
        differ = f"SELECT a.{sides.row} AS l, b.{NUMBER} AS r {sides.beside(sides.base, sides.incoming)} WHERE NOT ({sides.equal})"
        repeated = f"{_repeated(sides)} AND a.{NUMBER} NOT IN (SELECT kept_row FROM {THERE})"
    _add_conflicts(result, sides, differ, (sides.base, sides.row))
    if repeated:
        _add_conflicts(result, sides, repeated, (kept, NUMBER))
    comes = f"b.{NUMBER} NOT IN (SELECT kept_row FROM {THERE})"
    if on_conflict not in ("incoming", "newest"):
        return comes
    won = f"FROM {THERE} WHERE NOT is_equal AND is_later"
    result.leaves = f"SELECT base_row {won}"
    return f"{comes} OR b.{NUMBER} IN (SELECT kept_row {won})"


def _rebase(result: Plan, sides: Sides, kept: str, keys: Sequence[str]) -> str:
    """Note what leaves the base, and what gives way or conflicts; return the condition of the rows `b` of `kept` that come."""
    matching = _matching(sides, keys)
    result.leaves = (
        f"{matching} AND a.{sides.row} NOT IN (SELECT base_row FROM {THERE} WHERE is_equal)"
    )
    result.overridden = (
        sides.count(f"FROM ({_repeated(sides)}) AS overridden") if kept == KEPT else 0
    )
    same_identity = (
        f"SELECT base_row AS l, kept_row AS r FROM {THERE} WHERE NOT is_equal"  # and another key
    )
    _add_conflicts(
        result, sides, f"{same_identity} AND base_row NOT IN ({matching})", (sides.base, sides.row)
    )
    return f"b.{NUMBER} NOT IN (SELECT kept_row FROM {THERE} WHERE is_equal)"


def _repeated(sides: Sides) -> str:
    """Query for rows `l` of `KEPT` beside other incoming rows `r` of their identity with other contents."""
    beside = sides.beside(KEPT, sides.incoming)
    return f"SELECT a.{NUMBER} AS l, b.{NUMBER} AS r {beside} WHERE NOT ({same('a', 'b', sides.columns)})"


def _matching(sides: Sides, keys: Sequence[str]) -> str:
    """Query for the numbers of the base rows that rebase may replace, to which more conditions can be added by AND."""
    sides.engine.execute(
        f"CREATE TEMP TABLE lineage_keys AS SELECT DISTINCT {quote_all(keys)}, {quote(SOURCE)} FROM {sides.incoming}"
    )
    numbers, allowed = ", ".join(map(str, sides.copies)), "TRUE"
    if numbers:
        old = f"SELECT base_row FROM {sides.replaceable} o WHERE o.source = k.{quote(SOURCE)}"
        allowed = f"(k.{quote(SOURCE)} NOT IN ({numbers}) OR a.{sides.row} IN ({old}))"
    return f"SELECT DISTINCT a.{sides.row} FROM {sides.base} a JOIN {KEYS} k ON {same('a', 'k', keys)} WHERE {allowed}"


def _settle(sides: Sides, winner: str) -> str:
    """Return the table that holds one incoming row per identity: the incoming side itself, or `KEPT` made from it."""
    for table in (KEPT, KEYS, THERE, ARRIVING):
        sides.engine.execute(f"DROP TABLE IF EXISTS {table}")
    identity = quote_all(sides.identity)
    repeated = (
        f"FROM (SELECT 1 FROM {sides.incoming} GROUP BY {identity} HAVING count(*) > 1 LIMIT 1)"
    )
    if not sides.count(repeated):
        return sides.incoming
    order = {"base": NUMBER, "newest": f"timestamp DESC, {NUMBER} DESC"}.get(
        winner, f"{NUMBER} DESC"
    )
    place = f"row_number() OVER (PARTITION BY {identity} ORDER BY {order})"
    best = f"SELECT {NUMBER} FROM (SELECT {NUMBER}, {place} AS place FROM {sides.incoming}) AS ranked WHERE place = 1"
    sides.engine.execute(
        f"CREATE TEMP TABLE lineage_kept AS SELECT * FROM {sides.incoming} WHERE {NUMBER} IN ({best})"
    )
    return KEPT


def _add_conflicts(result: Plan, sides: Sides, pairs: str, left: tuple[str, str]) -> None:
    """Count conflicts, and describe the first ones.

    Args:
        result: takes them in.
        sides: where the tables are.
        pairs: query for the numbers `l` of rows there and `r` of incoming ones.
        left: the table of the rows there, and the column that numbers them.
    """
    count = sides.count(f"FROM ({pairs}) AS conflicts")
    result.conflicts += count
    if not count or result.samples:
        return
    order = ", ".join(f"b.{quote(column)}" for column in sides.identity)
    first = f"SELECT p.l, p.r FROM ({pairs}) AS p JOIN {sides.incoming} b ON b.{NUMBER} = p.r ORDER BY {order}, p.l, p.r LIMIT {SAMPLES}"
    both = ", ".join(f"a.{quote(column)}, b.{quote(column)}" for column in sides.columns)
    numbered = f"({first}) AS f JOIN {left[0]} a ON a.{left[1]} = f.l JOIN {sides.incoming} b ON b.{NUMBER} = f.r"
    for row in sides.engine.execute(
        f"SELECT {both} FROM {numbered} ORDER BY {order}, f.l, f.r"
    ).fetchall():
        values = {
            column: (row[2 * place], row[2 * place + 1])
            for place, column in enumerate(sides.columns)
        }
        key = ", ".join(f"{column}={values[column][0]!r}" for column in sides.identity)
        changed = [f"{column}: {a!r} | {b!r}" for column, (a, b) in values.items() if a != b][
            :SAMPLES
        ]
        result.samples.append(f"  {key} — {', '.join(changed)}")
