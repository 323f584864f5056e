"""Find rows that are training and test data: refuse them, leave them out, or let them stay."""

from collections.abc import Sequence
from pathlib import Path

from lineage.core.errors import Refused
from lineage.core.paths import TEST_DATA
from lineage.merge.data import DataRelations
from lineage.merge.plan import Plan
from lineage.tables.parquet_files import Schema, read_schemas, scan
from lineage.tables.sql import fold, quote, quote_all, same

REMEDY = (
    "sed -i 's/data_test_overlap: fail/data_test_overlap: exclude/' params.yaml"
    f"   # no training on them; or put other rows into {TEST_DATA}"
)


def keep_apart(relations: DataRelations, plan: Plan, test: Path, choice: str) -> str:
    """Find the rows of the merged training data that are test items, and do with them as asked.

    A row is a test item if its key is that of one, as far as the test data have its columns; where
    there is no key, if it equals one in all columns that both have.

    Args:
        relations: with `leaving` and `arriving`, from `merge_or_rebase`; `exclude` changes both.
        plan: the counts, which `exclude` changes, too.
        test: the test data, a file or a folder of parts.
        choice: `fail`, `exclude` or `allow`.

    Returns:
        what to add to the line of the merge; empty where no row is in both.

    Raises:
        BadInput: the test data are not parquet.
        Refused: rows are in both, and the choice is `fail`.
    """
    files = read_schemas(relations.engine, [test])
    there = set(map(fold, files[0].columns))
    key = [name for name in relations.identity if fold(name) in there]
    columns = key or [name for name in relations.written if fold(name) in there]
    samples = columns and _find(relations, files, columns)
    if not samples:
        return ""
    by = ", ".join(columns)
    found = f"{relations.count('in_both')} rows are in {TEST_DATA}, too (by {by:.60})"
    if choice == "fail":
        problem = f"{relations.name}: {found}; a model would be tested on what it has learned:"
        raise Refused("\n  ".join([problem, *samples]), REMEDY)
    if choice == "allow":
        return f"; {found}, and stay"
    relations.run('INSERT INTO leaving SELECT "lineage row" FROM in_both WHERE is_base')
    relations.run("""
        DELETE FROM arriving
        WHERE "lineage row" IN (SELECT "lineage row" FROM in_both WHERE NOT is_base)
    """)
    relations.count_changes(plan)
    return f"; {found}, and left out"


def _find(relations: DataRelations, files: Sequence[Schema], columns: list[str]) -> list[str]:
    """Make `in_both`, the rows that stay or arrive and are test items; show the first."""
    kinds = relations.written
    values = [f"TRY_CAST({quote(name)} AS {kinds[name]}) AS {quote(name)}" for name in columns]
    names = quote_all(columns)
    relations.run(f"""
        CREATE TEMP TABLE test AS
        SELECT {", ".join(values)} FROM {scan([schema.file for schema in files])}
    """)
    filled = relations.without_null("test", columns)
    relations.run(f"""
        CREATE TEMP TABLE in_both AS
        WITH train AS (
            SELECT "lineage row", TRUE AS is_base, {names} FROM base_rows
            WHERE "lineage row" NOT IN (SELECT base_row FROM leaving)
            UNION ALL
            SELECT "lineage row", FALSE, {names} FROM arriving
        )
        SELECT train.* FROM train SEMI JOIN test ON {same("train", "test", columns, filled)}
    """)
    shown = f"SELECT left(concat_ws(', ', {names}), 90) FROM in_both ORDER BY {names} LIMIT 5"
    return [row for [row] in relations.engine.execute(shown).fetchall()]
