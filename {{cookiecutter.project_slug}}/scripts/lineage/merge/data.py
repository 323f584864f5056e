"""Merge training data (parquet): DuckDB decides by `rules`, and writes the base, then new rows.

What already has an order is never sorted: the base is written as it lies, then the new rows,
ordered by their identity. So the same inputs give the same bytes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lineage.core.errors import BadInput, explain_missing
from lineage.core.paths import INCOMING_DATA
from lineage.merge.data_files import write_rows
from lineage.merge.inbox import is_other
from lineage.merge.plan import Plan
from lineage.merge.relations import Relations
from lineage.merge.rules import Rules, merge_or_rebase
from lineage.tables.arrow_metadata import merged_metadata
from lineage.tables.engine import open_engine
from lineage.tables.parquet_files import (
    Columns,
    Schema,
    distrust_statistics,
    numbered_rows,
    read_schemas,
    require_columns,
)
from lineage.tables.parquet_types import check_exact, common_columns, exact_values
from lineage.tables.sources import Sources, read_sources
from lineage.tables.sql import EXACT, ROWS_PER_FILE, Engine, fold


@dataclass
class DataRelations(Relations):
    """The relations `base` and `incoming` of parquet files.

    Attributes:
        written: names and types of all columns of the result.
        metadata: of the result: what Arrow and pandas noted about the columns.
        base: the files of the base, or its parts.
        incoming: the incoming files.
        is_parts: the base is one folder of parts.
        merged: the record of what was merged into the base.
    """

    written: Columns = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    base: Sequence[Schema] = ()
    incoming: Sequence[Schema] = ()
    is_parts: bool = False
    merged: Sources = field(default_factory=dict)

    @property
    def read_for(self) -> Mapping[Path, Path]:
        """By an incoming file: the parquet file that is read for it, most often itself."""
        return {schema.told: schema.path for schema in self.incoming}


def merge_data(
    base: Sequence[Path],
    sources: Sequence[Path],
    output: Path,
    rules: Rules,
    name: str,
    arriving: Callable[[Mapping[Path, Path]], Sources] | None = None,
) -> Plan:
    """Write `output`: the base's rows, with the rows of the sources merged or rebased in.

    Args:
        base: the accumulated file, or several whose rows follow each other; none: start empty. A
            file may be a folder of parts, here and among the sources.
        sources: incoming files, in the order in which the later wins under rebase.
        output: a path that does not exist.
        rules: strategy, key columns, layout of the output.
        name: what messages call the data.
        arriving: describes the sources, for the record of what was merged; see `as_sources`.

    Returns:
        what changed.

    Raises:
        BadInput: a source is not parquet, lacks a key column, or has a column that does not fit.
        Refused: a conflict; or the output cannot be written.
    """
    with open_engine() as engine:
        relations = line_up(engine, base, sources, rules, name)
        plan = merge_or_rebase(union_all_by_name(relations), rules)
        if not rules.dry_run:
            record = arriving(relations.read_for) if arriving else {}
            write_rows(relations, plan, output, record, rules.layout)
        return plan


def line_up(
    engine: Engine, base: Iterable[Path], sources: Sequence[Path], rules: Rules, name: str
) -> DataRelations:
    """Line the columns of files up by their names; reads no rows but those that might be rounded.

    Args and errors: as in `merge_data`. Without sources nothing arrives.
    """
    base = list(base)
    files = [*base, *sources]
    if not files:
        problem = f"{INCOMING_DATA}/ holds no .parquet file, and there is no {name} yet"
        raise BadInput(problem, f"drop a batch into {INCOMING_DATA}/")
    rules.require_key_columns()
    schemas = _read(engine, files, rules)
    known = [schema for schema in schemas if schema.source < len(base)]
    incoming = schemas[len(known) :]
    in_order = sorted(incoming, key=lambda schema: list(schema.columns))  # whatever order is given
    columns = common_columns([*known, *in_order], rules.cast_text, rules.cast_option)
    keys = check_columns(engine, schemas, columns, rules.key_columns)
    there = set[str]().union(*(schema.columns for schema in incoming or known))
    compared = [name for name in columns if name in there]
    relations = DataRelations(engine, name, compared, keys or compared, written=columns, base=known)
    relations.incoming = incoming
    relations.metadata, lost = merged_metadata(engine, known, incoming, columns)
    relations.noted["lost_notes"] = lost
    relations.is_parts = len(base) == 1 and base[0].is_dir()
    for path in base:
        relations.merged |= read_sources(path)
    for column in compared:
        lacking = {schema.source for schema in incoming if column not in schema.columns}
        relations.lacking[column] = sorted(lacking)
    before = common_columns(known, rules.cast_text)
    relations.note_columns(before, {name: columns[name] for name in compared})
    return relations


def check_columns(
    engine: Engine, schemas: Sequence[Schema], columns: Columns, key_columns: Sequence[str]
) -> list[str]:
    """Find the key columns as files spell them; raise `BadInput` where some file does not fit."""
    spelled = {fold(column): column for column in columns}
    keys = [spelled.get(fold(key), key) for key in key_columns]
    for schema in schemas:
        require_columns(schema, keys)
        check_exact(engine, schema, columns)
    return keys


def _read(engine: Engine, files: Sequence[Path], rules: Rules) -> list[Schema]:
    """Describe files; those that are no plain parquet are written anew first, by an extra."""
    others = list(filter(is_other, files))
    if not others:
        return read_schemas(engine, files)
    with explain_missing("formats", str(others[0])):
        from lineage.extras.formats.as_parquet import as_parquet
    return as_parquet(engine, files, rules.cast_text)


def union_all_by_name(relations: DataRelations) -> DataRelations:
    """Make the relations `base` and `incoming` from files whose columns are lined up."""
    make_incoming(relations, relations.incoming)
    relations.filled = relations.without_null("incoming", relations.identity)
    make_base(relations)
    if relations.identity is relations.columns and relations.repeats:
        relations.tell_equal_rows_apart()
    return relations


def make_incoming(relations: DataRelations, schemas: Sequence[Schema]) -> None:
    """Make table `incoming`: each row with the number of its source, and one of its own."""
    alike = sorted(schemas, key=lambda schema: list(schema.columns.items()))
    sources = [schema.source for schema in (*relations.base, *schemas)]  # by a file's number
    relations.run(f"""
        CREATE TEMP TABLE incoming AS
        SELECT ({sources}::INTEGER[])["lineage row" // {ROWS_PER_FILE} + 1] AS "lineage source", *
        FROM ({numbered_rows(alike, relations.written)})
    """)


def make_base(relations: DataRelations) -> None:
    """Make view `base_rows` of all files, in any order, and table `base`: the rows that come again.

    These are looked for by their identity, in which no other column is read, and then read by
    their numbers from the files that have some.
    """
    # by the first file DuckDB estimates all, and so which side of a join to keep in memory
    by_size = sorted(relations.base, key=lambda schema: -schema.file.stat().st_size)
    rows = numbered_rows(by_size, relations.written)
    distrust_statistics(relations.engine, by_size)
    relations.run(f"CREATE TEMP VIEW base_rows AS {rows}")
    relations.run("CREATE TEMP VIEW patched AS SELECT * FROM base_rows WHERE FALSE")
    relations.base_rows = relations.count("base_rows")
    relations.run(f"""
        CREATE TEMP TABLE again AS
        SELECT "lineage row" FROM base_rows AS base
        SEMI JOIN incoming ON {relations.same_identity("incoming")}
    """)
    numbers = f'SELECT DISTINCT "lineage row" // {ROWS_PER_FILE} FROM again'
    found = relations.engine.execute(numbers).fetchall()
    having = [schema for schema in relations.base if (schema.number,) in found]
    rows = numbered_rows(having, relations.written)
    relations.run(f"""
        CREATE TEMP TABLE base AS SELECT * FROM ({rows}) SEMI JOIN again USING ("lineage row")
    """)
    tell_values_apart(relations)


def tell_values_apart(relations: DataRelations) -> None:
    """Give rows a column that differs where values do that are equal to DuckDB, if any are there.

    Columns that a source lacks do not count.
    """
    lacking = relations.lacking
    compared = {name: relations.written[name] for name in relations.columns if not lacking[name]}
    exact = exact_values(compared)
    values = f"SELECT {exact} AS exact FROM incoming UNION ALL SELECT {exact} FROM base"
    if not relations.count(f"(SELECT 1 FROM ({values}) WHERE exact <> '' LIMIT 1)"):
        return
    for relation in ("incoming", "base"):
        relations.run(f"""
            CREATE OR REPLACE TEMP TABLE {relation} AS
            SELECT COLUMNS(lambda name: name <> 'lineage exact'), {exact} AS "lineage exact"
            FROM {relation}
        """)
    is_whole_row = relations.identity is relations.columns
    relations.columns = [*relations.columns, EXACT]
    if is_whole_row:
        relations.identity = relations.columns
