"""The loop of a merge by hand over tables of databases; `lined_up` says which, by which key."""

from collections.abc import Sequence
from pathlib import Path

from lineage.merge.databases import carry_rows, open_tables, union_all_by_name
from lineage.merge.plan import Plan
from lineage.merge.rules import Rules, merge_or_rebase


def merge_databases(
    base: Path | None,
    sources: Sequence[Path],
    output: Path,
    rules: Rules,
    is_proven: bool = False,
) -> list[Plan]:
    """Write `output`: the base's tables, with the rows of the sources merged or rebased in.

    Args:
        base: the accumulated database; None: start empty.
        sources: incoming databases, SQLite or DuckDB, in the order in which the later wins.
        output: a path that does not exist.
        rules: strategy, keys, tables.
        is_proven: see `open_tables`.

    Returns:
        one `Plan` per table; all empty when `output` holds what `base` holds.

    Raises:
        BadInput: a source is no database, no source has a named table, a column does not fit.
        Refused: a conflict; or the output cannot be written.
    """
    plans = []
    with open_tables(base, sources, output, rules, is_proven) as tables:
        for table in tables:
            relations = union_all_by_name(table)
            plan = merge_or_rebase(relations, table.rules)
            carry_rows(table, relations, plan)
            plans.append(plan)
    return plans
