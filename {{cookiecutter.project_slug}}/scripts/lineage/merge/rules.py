"""The rules of merge and rebase, as SQL: which incoming rows come, which base rows go, conflicts.

Two relations of one engine are given: `base`, what has accumulated, and `incoming`, the sources
lined up. Whole statements of SQL make from them, in this order,

    chosen     one incoming row for each identity: the one that wins over the others
    met        base rows beside the chosen rows of their identity
    leaving    numbers of the base rows that go
    arriving   the chosen rows that come in
    differing  pairs of numbers of rows with one identity and different contents
    conflicts  those of them that a merge has to settle; under rebase, that keep a base row

Nothing is written here. NULL equals NULL; joins compare keys that way, and NOT IN only compares
`lineage row`, a number that every row of either side has.
"""

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lineage.core.errors import BadInput
from lineage.merge.plan import Plan
from lineage.merge.relations import Relations
from lineage.tables.parquet_types import CAST_OPTION, CAST_PARAM
from lineage.tables.sql import fold, quote_all, same

if TYPE_CHECKING:  # pydantic takes long to load, and merges by hand need no params
    from lineage.core.params import Merge

REPLACES = {
    "fail": "FALSE",
    "base": "FALSE",
    "incoming": "NOT is_equal",
    "newest": "NOT is_equal AND is_later",
}
"""By `on_conflict`: the condition that an incoming row takes the place of the base row it meets."""


@dataclass(frozen=True)
class Rules:
    """How files are merged.

    Attributes:
        strategy: `merge` or `rebase`.
        key_columns: what rebase replaces by; for parquet also a row's identity (none: all values).
        id_column: identity of tables without a primary key; None: all values of a row.
        tables: names; empty: every table that a source has.
        left_out: tables that are not merged although a source has them.
        on_conflict: under merge, which row wins: `fail`, `base`, `incoming` or `newest`.
        dry_run: only work out what would happen; conflicts are counted, not refused.
        ancestors: by source, the database that it began as a copy of; rows from there are no news.
        cast_text: numbers become text where other files hold text in the column.
        layout: of the output for parquet: `file` or `parts`; by hand, None: as what is there.
        key_option: where key columns are chosen, as messages call it.
    """

    strategy: str
    key_columns: tuple[str, ...] = ()
    id_column: str | None = None
    tables: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    on_conflict: str = "fail"
    dry_run: bool = False
    ancestors: dict[Path, Path] = field(default_factory=dict)
    cast_text: bool = False
    layout: str | None = None
    key_option: str = "--key-columns"

    @property
    def cast_option(self) -> str:
        """How numbers are let become text, as messages call it."""
        return CAST_OPTION if self.key_option.startswith("--") else CAST_PARAM

    def require_key_columns(self) -> None:
        """Raise `BadInput` where a rebase has none."""
        if self.strategy == "rebase" and not self.key_columns:
            raise BadInput(
                "rebase needs key columns: what decides which rows are replaced?",
                f"set {self.key_option}",
            )

    def settle(self, plan: Plan) -> None:
        """Raise `Refused` where a plan has conflicts that the rules do not settle."""
        if not self.dry_run and (self.strategy == "rebase" or self.on_conflict == "fail"):
            plan.refuse_conflicts(self.key_option)

    @property
    def options(self) -> str:
        """The options of `merge_artifacts.py` that decide about rows in the same way."""
        options = f"--strategy {self.strategy} --on-conflict {self.on_conflict}"
        if self.key_columns:
            options += f" --key-columns {shlex.join(self.key_columns)}"
        if self.tables:
            options += f" --table {shlex.join(self.tables)}"
        return options


def rules_for_data(params: "Merge") -> Rules:
    """Read the rules for training data from the section `merge` of params.yaml."""
    return Rules(
        params.data_strategy,
        tuple(params.data_key_columns),
        on_conflict=params.data_on_conflict,
        cast_text=params.cast == "text",
        layout=params.data_layout,
        key_option="merge.data_key_columns",
    )


def rules_for_results(params: "Merge") -> Rules:
    """Read the rules for results from the section `merge` of params.yaml."""
    keys = tuple(params.key_columns) if params.strategy == "rebase" else ()
    return Rules(
        params.strategy,
        keys,
        tables=tuple(params.tables),
        on_conflict=params.on_conflict,
        cast_text=params.cast == "text",
        key_option="merge.key_columns",
    )


def merge_or_rebase(relations: Relations, rules: Rules) -> Plan:
    """Work out what merging or rebasing `incoming` into `base` does; makes `leaving`, `arriving`.

    Args:
        relations: where both relations are.
        rules: strategy, key columns, which row wins. A `dry_run` counts conflicts only.

    Returns:
        the counts.

    Raises:
        BadInput: `newest` without a column `timestamp`, or one that cannot decide.
        Refused: there are conflicts that the rules do not settle.
    """
    if rules.strategy == "merge":
        plan = merge(relations, rules.on_conflict)
    else:
        plan = rebase(relations, rules.key_columns)
    rules.settle(plan)
    return plan


def merge(relations: Relations, on_conflict: str) -> Plan:
    """Append the incoming rows whose identity the base lacks.

    A base row is only touched where an incoming row of its identity has other contents, and
    `on_conflict` lets that one win: `incoming` always, `newest` by the later `timestamp`.
    """
    there = set(map(fold, relations.columns))
    if on_conflict == "newest" and "timestamp" not in there:
        problem = f"{relations.name}: on_conflict: newest needs a column 'timestamp'"
        raise BadInput(problem, "choose base or incoming")
    choose(relations, on_conflict)
    meet(relations, REPLACES[on_conflict])
    relations.run("CREATE TEMP TABLE leaving AS SELECT base_row FROM met WHERE replaces")
    plan = arrive(relations)
    relations.run("CREATE TEMP VIEW conflicts AS FROM differing")
    relations.describe_conflicts(plan)
    if plan.conflicts and on_conflict == "newest" and "timestamp" in map(fold, relations.identity):
        problem = f"{relations.name}: newest cannot decide: timestamp is in the identity"
        raise BadInput(problem, "choose base or incoming")
    new = plan.added - plan.replaced
    plan.present = relations.count("incoming") - new - plan.conflicts
    return plan


def rebase(relations: Relations, key_columns: tuple[str, ...]) -> Plan:
    """Replace the base rows whose key columns all equal those of an incoming row.

    Of two incoming rows with one identity the later wins. A base row that equals an incoming row
    stays where it is. A copy of the base only replaces rows that it had from there.
    """
    choose(relations, "incoming")
    meet(relations, "NOT is_equal")
    relations.run(f"""
        CREATE TEMP TABLE leaving AS
        SELECT DISTINCT base."lineage row" AS base_row
        FROM base
        JOIN (SELECT DISTINCT {quote_all(key_columns)}, "lineage source" FROM incoming) AS named
          ON {same("base", "named", key_columns)}
        WHERE base."lineage row" NOT IN (SELECT base_row FROM met WHERE is_equal)
          AND {relations.may_replace}
    """)
    plan = arrive(relations)
    plan.strategy = "rebase"
    relations.run("""
        CREATE TEMP VIEW conflicts AS
        SELECT 'base' AS there, base_row AS there_row, incoming_row FROM met
        WHERE NOT is_equal AND base_row NOT IN (SELECT base_row FROM leaving)
    """)
    relations.describe_conflicts(plan)
    if relations.repeats:
        plan.overridden = relations.count(f"""
            chosen JOIN incoming ON {same("chosen", "incoming", relations.identity)}
            WHERE NOT ({same("chosen", "incoming", relations.columns)})
        """)
    taken = plan.added + plan.overridden + plan.conflicts
    plan.present = relations.count("incoming") - taken
    return plan


def choose(relations: Relations, winner: str) -> None:
    """Make `chosen`, one incoming row for each identity.

    Args:
        relations: with `incoming`.
        winner: which row wins over others of its identity: `base` (the first), `newest` (by
            `timestamp`), else the last.
    """
    identity = quote_all(relations.identity)
    if not relations.repeats:
        relations.run("CREATE TEMP VIEW chosen AS SELECT * FROM incoming")
        return
    order = '"lineage row" ASC' if winner == "base" else '"lineage row" DESC'
    if winner == "newest":
        order = f"{relations.time('incoming')} DESC NULLS LAST, {order}"
    relations.run(f"""
        CREATE TEMP TABLE chosen AS
        SELECT * FROM incoming
        QUALIFY row_number() OVER (PARTITION BY {identity} ORDER BY {order}) = 1
    """)


def meet(relations: Relations, replaces: str) -> None:
    """Make `met`, the base rows beside the chosen rows of their identity.

    Args:
        relations: with `base` and `chosen`.
        replaces: condition over `is_equal` and `is_later` by which the chosen row wins.
    """
    is_later = "NULL"
    if "is_later" in replaces:
        then = relations.time("base")
        is_later = f"coalesce({relations.time('chosen')} > {then}, {then} IS NULL)"
    relations.run(f"""
        CREATE TEMP TABLE met AS
        SELECT base_row, incoming_row, is_equal, {replaces} AS replaces
        FROM (
            SELECT base."lineage row" AS base_row, chosen."lineage row" AS incoming_row,
                   {relations.equal("chosen")} AS is_equal, {is_later} AS is_later
            FROM base JOIN chosen ON {relations.same_identity("chosen")}
        )
    """)


def arrive(relations: Relations) -> Plan:
    """Make `arriving`, the chosen rows that meet no base row, or only such as they replace.

    And `differing`, the incoming rows with other contents than the base row of their identity or,
    where there is none, than the chosen one.

    Returns:
        the counts of what arrives, leaves and differs.
    """
    relations.run("""
        CREATE TEMP TABLE arriving AS
        SELECT * FROM chosen
        WHERE "lineage row" NOT IN (SELECT incoming_row FROM met WHERE NOT replaces)
    """)
    if relations.repeats:
        relations.run(f"""
            CREATE TEMP TABLE differing AS
            SELECT 'base' AS there, base."lineage row" AS there_row,
                   incoming."lineage row" AS incoming_row
            FROM base JOIN incoming ON {relations.same_identity("incoming")}
            WHERE NOT ({relations.equal("incoming")})
            UNION ALL
            SELECT 'incoming', chosen."lineage row", incoming."lineage row"
            FROM chosen JOIN incoming ON {same("chosen", "incoming", relations.identity)}
            WHERE NOT ({same("chosen", "incoming", relations.columns)})
              AND chosen."lineage row" NOT IN (SELECT incoming_row FROM met)
        """)
    else:
        relations.run("""
            CREATE TEMP VIEW differing AS
            SELECT 'base' AS there, base_row AS there_row, incoming_row FROM met WHERE NOT is_equal
        """)
    plan = relations.plan()
    plan.differing = relations.count("(SELECT DISTINCT incoming_row FROM differing)")
    return plan
