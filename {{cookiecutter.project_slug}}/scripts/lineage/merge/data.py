"""Merge and rebase for training data (parquet), by DuckDB.

What already has an order is never sorted: the base is written as it lies, then the new rows,
ordered by their identity. So the same inputs give the same bytes, at the cost of a copy.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lineage.core.errors import BadInput, Refused
from lineage.core.paths import INCOMING_DATA
from lineage.merge.plan import Plan
from lineage.merge.relations import Relations
from lineage.merge.rules import Rules, merge_or_rebase
from lineage.tables.arrow_metadata import merged_metadata
from lineage.tables.engine import memory_limit, open_engine
from lineage.tables.parquet_files import (
    Columns,
    Schema,
    check_exact,
    common_columns,
    copy_statement,
    numbered_rows,
    read_schemas,
    require_columns,
    scan,
)
from lineage.tables.sources import Sources, arrive, as_metadata, read_sources
from lineage.tables.sql import ROWS_PER_FILE, Engine, fold, quote, quote_all

FILES_AT_ONCE = 50
"""So many files are lined up by one statement; one of a thousand takes DuckDB seconds to plan."""


@dataclass
class DataRelations(Relations):
    """The relations `base` and `incoming` of parquet files.

    Attributes:
        written: names and types of all columns of the result.
        metadata: of the result: what Arrow and pandas noted about the columns.
        base: the files of the base.
    """

    written: Columns = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    base: Sequence[Schema] = ()


def merge_data(
    base: Sequence[Path],
    sources: Sequence[Path],
    output: Path,
    rules: Rules,
    name: str,
    arriving: Sources | None = None,
) -> Plan:
    """Write `output`: the base's rows, with the rows of the sources merged or rebased in.

    Args:
        base: the accumulated file, or several whose rows follow each other; none: start empty.
        sources: incoming files, in the order in which the later wins under rebase.
        output: a path that does not exist.
        rules: strategy and key columns.
        name: what messages call the data.
        arriving: the sources, for the record of what was merged.

    Returns:
        what changed.

    Raises:
        BadInput: a source is not parquet, lacks a key column, or has a column that does not fit.
        Refused: a conflict; or the output cannot be written.
    """
    with open_engine() as engine:
        relations = union_all_by_name(engine, base, sources, rules, name)
        plan = merge_or_rebase(relations, rules)
        if not rules.dry_run:
            write_rows(relations, plan, output, arriving)
        return plan


def union_all_by_name(
    engine: Engine, base: Sequence[Path], sources: Sequence[Path], rules: Rules, name: str
) -> DataRelations:
    """Make the relations `base` and `incoming` from files, lined up by the names of their columns.

    Args and errors: as in `merge_data`. Without sources nothing arrives.
    """
    _check([*base, *sources], rules, name)
    schemas = read_schemas(engine, [*base, *sources])
    known = schemas[: len(base)]
    incoming = schemas[len(base) :]
    in_order = sorted(incoming, key=lambda schema: list(schema.columns))  # whatever order is given
    columns = common_columns([*known, *in_order], rules.cast_text)
    spelled = {fold(column): column for column in columns}
    keys = [spelled.get(fold(key), key) for key in rules.key_columns]
    for schema in schemas:
        require_columns(schema, keys)
        check_exact(engine, schema, columns)
    there = set[str]().union(*(schema.columns for schema in incoming or known))
    compared = [name for name in columns if name in there]
    relations = DataRelations(engine, name, compared, keys or compared, written=columns, base=known)
    relations.metadata = merged_metadata(engine, known, incoming, columns)
    _make_incoming(engine, incoming, columns)
    _make_base(engine, known, columns)
    relations.base_rows = relations.count("base")
    relations.filled = _without_null(relations)
    relations.lacking = {column: _lacking(incoming, column) for column in compared}
    _note_columns(relations, common_columns(known, rules.cast_text))
    if not keys and (rules.strategy == "rebase" or _repeats(relations)):
        relations.tell_equal_rows_apart()
    return relations


def _check(files: Sequence[Path], rules: Rules, name: str) -> None:
    """Raise `BadInput` where there is nothing to merge or to merge it into, or nothing decides."""
    if not files:
        problem = f"{INCOMING_DATA}/ holds no .parquet file, and there is no {name} yet"
        raise BadInput(problem, f"drop a batch into {INCOMING_DATA}/")
    if rules.strategy == "rebase" and not rules.key_columns:
        problem = "rebase needs key columns: what decides which rows are replaced?"
        raise BadInput(problem, f"set {rules.key_option}")


def _lacking(schemas: Sequence[Schema], column: str) -> list[int]:
    """Find the numbers of the files without a column."""
    return [number for number, schema in enumerate(schemas) if column not in schema.columns]


def _make_incoming(engine: Engine, schemas: Sequence[Schema], columns: Columns) -> None:
    """Make table `incoming`: each row with the number of its file, and one of its own."""
    declared = ", ".join(f"{quote(name)} {kind}" for name, kind in columns.items())
    engine.execute(f"""
        CREATE TEMP TABLE incoming ("lineage source" INTEGER, "lineage row" BIGINT, {declared})
    """)
    for start in range(0, len(schemas), FILES_AT_ONCE):
        files = [
            f"""
            SELECT {number} AS "lineage source",
                   file_row_number + {number * ROWS_PER_FILE} AS "lineage row",
                   * EXCLUDE (file_row_number)
            FROM {scan(schema.path, numbered=True)}"""
            for number, schema in enumerate(schemas[start : start + FILES_AT_ONCE], start)
        ]
        rows = " UNION ALL BY NAME ".join(files)
        engine.execute(f"INSERT INTO incoming BY NAME {rows}")


def _make_base(engine: Engine, schemas: Sequence[Schema], columns: Columns) -> None:
    """Make view `base_rows`, the files of the base as they lie, and view `base` of it."""
    files = [numbered_rows(schema, columns, number) for number, schema in enumerate(schemas)]
    rows = " UNION ALL ".join(files)
    if not files:
        rows = 'SELECT * EXCLUDE ("lineage source") FROM incoming WHERE FALSE'
    engine.execute(f"CREATE TEMP VIEW base_rows AS {rows}")
    engine.execute("CREATE TEMP VIEW base AS SELECT * FROM base_rows")


def _without_null(relations: Relations) -> list[str]:
    """Find the identity columns without a NULL in `incoming`.

    None are named where memory is short: DuckDB needs more of it for the faster join by `=`.
    """
    if memory_limit():
        return []
    counts = ", ".join(f"count({quote(column)})" for column in relations.identity)
    [row] = relations.engine.execute(f"SELECT count(*), {counts} FROM incoming").fetchall()
    pairs = zip(relations.identity, row[1:])
    return [column for column, count in pairs if count == row[0]]


def _repeats(relations: Relations) -> bool:
    """Tell whether a file holds two equal rows."""
    values = quote_all(relations.columns)
    repeated = f'SELECT 1 FROM incoming GROUP BY "lineage source", {values} HAVING count(*) > 1'
    return relations.count(f"({repeated} LIMIT 1)") > 0


def _note_columns(relations: DataRelations, before: Columns) -> None:
    """Note which columns are new, missing, or of a wider type than those of the base."""
    for name, kind in relations.written.items():
        old = before.get(name)
        if old is None and before:
            relations.new_columns.append(name)
        if old is not None and name not in relations.columns:
            relations.missing_columns.append(name)
        if old not in (None, kind):
            relations.widened.append(f"{name} {old} → {kind}")


def write_rows(
    relations: DataRelations, plan: Plan, output: Path, arriving: Sources | None = None
) -> None:
    """Write the base rows that stay, as they lie, and then those that arrive, by identity.

    Args:
        relations: with `leaving` and `arriving`, from `merge_or_rebase`.
        plan: the counts.
        output: a path that does not exist.
        arriving: as in `merge_data`.

    Raises:
        Refused: the file cannot be written, or other rows are read back than were written.
    """
    columns = quote_all(relations.written)
    stays = f"SELECT {columns} FROM base_rows"
    if plan.replaced:
        stays += """
            WHERE "lineage row" NOT IN (SELECT base_row FROM leaving)
            ORDER BY "lineage row"
        """
    comes = f"SELECT {columns} FROM arriving ORDER BY {relations.order('arriving')}"
    rows = f"SELECT * FROM ({stays}) UNION ALL BY NAME SELECT * FROM ({comes})"
    record: Sources = {}
    for schema in relations.base:
        record |= read_sources(schema.path)
    metadata = {**relations.metadata, **as_metadata(arrive(record, arriving or {}))}
    copy_rows(relations.engine, rows, output, relations.name, metadata)
    keys = [name for name in relations.identity if name in relations.written]
    checksum = f"SELECT count(*), sum(hash({quote_all(keys)}))"
    before = plan.rows - plan.added
    written = f"{scan(output, numbered=True)} WHERE file_row_number >= {before}"
    found = relations.engine.execute(f"{checksum} FROM {written}").fetchall()
    if found != relations.engine.execute(f"{checksum} FROM arriving").fetchall():
        raise plan.not_written()


def copy_rows(
    engine: Engine, rows: str, output: Path, name: str, metadata: Mapping[str, str]
) -> None:
    """Write the rows of a query to a parquet file.

    Raises:
        Refused: it cannot be written; says why, in DuckDB's words.
    """
    import duckdb

    try:
        engine.execute(copy_statement(rows, output, metadata))
    except duckdb.IOException as error:
        nested = re.search(r'"exception_message":"(.*?)(?<!\\)"', str(error))
        reason = nested.group(1) if nested else str(error).splitlines()[0]
        problem = f"{name} cannot be written, and is as it was: {reason}"
        raise Refused(problem, "ls -ld . && df -h .   # is it writable, is there space?") from error
