"""Three versions of a file become one: of a results database, or of the training data."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from lineage.merge.changes_of_copy import table_of
from lineage.merge.column_types import fit_columns
from lineage.merge.data_files import copy_rows
from lineage.merge.databases import TableMerge, carry_rows, numbered_table, open_tables
from lineage.merge.plan import Plan
from lineage.merge.row_reader import RowReader
from lineage.merge.rules import Rules
from lineage.merge.three_way import Conflict, Versions, changed_columns, compare_versions
from lineage.tables.arrow_metadata import merged_metadata
from lineage.tables.engine import open_engine
from lineage.tables.parquet_files import (
    Columns,
    Schema,
    check_exact,
    common_columns,
    numbered_rows,
    read_schemas,
    require_columns,
)
from lineage.tables.sources import add_sources, arrive, as_metadata, read_sources
from lineage.tables.sql import Engine, fold, quote, quote_all, text
from lineage.tables.sqlite_files import attached, describe_tables, row_alias
from lineage.tables.sqlite_rows import make_relation, read_codes


def merge_three_databases(
    ancestor: Path | None, ours: Path, theirs: Path, output: Path, may_drop: bool = True
) -> list[Conflict]:
    """Write `output`: our database, with what theirs added, changed and dropped.

    Args:
        ancestor: the common version; None: there is none.
        ours: our version.
        theirs: their version.
        output: a path that does not exist; of no use where there are conflicts.
        may_drop: our rows that theirs dropped go.

    Returns:
        every cell that both sides changed, to different values.

    Raises:
        BadInput: a file cannot be read, or a column does not fit.
    """
    conflicts = []
    with open_tables(ours, [theirs], output, Rules("merge")) as tables:
        for table in tables:
            versions = _read_versions(table, ancestor)
            conflicts += compare_versions(versions, may_drop)
            _take_cells(table, versions)
            carry_rows(table, versions, _plan(versions))
    add_sources(output, read_sources(theirs))
    return conflicts


def _read_versions(table: TableMerge, ancestor: Path | None) -> Versions:
    """Read the three versions of a table, each value as a code."""
    incoming = table.incoming
    fit_columns(table.target, describe_tables(table.target).get(incoming.name), incoming, None)
    mine = numbered_table(table.target, incoming.name)
    reader = RowReader(table.engine, table.output, incoming, mine)
    known = [name for name in mine.column_names if fold(name) in incoming.columns]
    identity = table.identity or known
    for side in ("ancestor", "ours", "theirs"):
        make_relation(table.engine, side, mine.column_names)
    readings = {
        "ours": reader.reading(table.output, mine, mine.column_names, identity),
        "theirs": reader.reading(incoming.files[0], incoming.found[0], mine.column_names, identity),
    }
    then = table_of(ancestor, incoming.name) if ancestor else None
    if ancestor and then:
        readings["ancestor"] = reader.reading(ancestor, then, mine.column_names, identity)
    for side, reading in readings.items():
        read_codes(table.engine, [reading], side)
    versions = Versions(table.engine, incoming.name, known, identity, is_coded=True)
    versions.all_columns = mine.column_names
    versions.numbers = reader.numbers(identity)
    versions.base_rows = versions.count("ours")
    return versions


def _plan(versions: Versions) -> Plan:
    plan = Plan(versions.name)
    plan.added = versions.count("arriving")
    plan.replaced = versions.count("leaving")
    plan.rows = versions.base_rows + plan.added - plan.replaced
    return plan


def _take_cells(table: TableMerge, versions: Versions) -> None:
    """Let SQLite copy the cells that theirs changed into the rows of the output."""
    theirs = table.incoming.found[0]
    spelled = {fold(name): quote(name) for name in theirs.column_names}
    name = quote(table.incoming.name)
    row = row_alias(numbered_table(table.target, table.incoming.name))
    with attached(table.target, table.incoming.files[0]):
        for column in changed_columns(versions, "NOT is_conflict"):
            [(pairs,)] = versions.engine.execute(f"""
                SELECT to_json(list([our_row, their_row])) FROM cells
                WHERE name = {text(column)} AND NOT is_conflict
            """).fetchall()
            statement = f"""
                UPDATE main.{name} AS ours
                SET {quote(column)} = theirs.{spelled[fold(column)]}
                FROM json_each(?) AS pair
                JOIN source.{name} AS theirs
                  ON theirs.{row_alias(theirs)} = json_extract(pair.value, '$[1]')
                WHERE ours.{row} = json_extract(pair.value, '$[0]')
            """
            table.target.execute(statement, (pairs,))


def merge_three_data_files(
    ancestor: Path | None,
    ours: Path,
    theirs: Path,
    output: Path,
    key_columns: Sequence[str],
    name: str,
) -> list[Conflict]:
    """Write `output`: our parquet file, with what theirs added, changed and dropped.

    Args:
        ancestor: the common version; None: there is none.
        ours: our version.
        theirs: their version.
        output: a path that does not exist; it is not written where there are conflicts.
        key_columns: what makes two rows the same row; empty: all their values.
        name: what messages call the data.

    Returns:
        every cell that both sides changed, to different values.

    Raises:
        BadInput: a file cannot be read, lacks a key column, or has a column that does not fit.
        Refused: the output cannot be written.
    """
    with open_engine() as engine:
        schemas = read_schemas(engine, [ours, theirs, ancestor or ours])
        columns = common_columns(schemas)
        versions = _data_versions(engine, schemas, columns, key_columns)
        versions.name = name
        if ancestor is None:
            versions.run("CREATE OR REPLACE TEMP VIEW ancestor AS SELECT * FROM ours WHERE FALSE")
        conflicts = compare_versions(versions)
        changes = sum(map(versions.count, ("cells", "leaving", "arriving")))
        merged = read_sources(ours)
        record = arrive(merged, read_sources(theirs))
        if not changes and record == merged:
            shutil.copyfile(ours, output)
        elif not conflicts:
            metadata = merged_metadata(engine, schemas[:1], schemas[1:], columns)
            metadata |= as_metadata(record)
            copy_rows(engine, _merged_rows(versions), output, name, metadata)
        return conflicts


def _data_versions(
    engine: Engine, schemas: Sequence[Schema], columns: Columns, key_columns: Sequence[str]
) -> Versions:
    """Make the relations of three files: ours, theirs, and the common version."""
    spelled = {fold(column): column for column in columns}
    keys = [spelled.get(fold(key), key) for key in key_columns]
    for side, schema in zip(("ours", "theirs", "ancestor"), schemas):
        require_columns(schema, keys)
        check_exact(engine, schema, columns)
        engine.execute(f"CREATE TEMP VIEW {side} AS {numbered_rows([schema], columns)}")
    known = [column for column in columns if column in schemas[1].columns]
    return Versions(engine, "", known, keys or known, all_columns=list(columns))


def _merged_rows(versions: Versions) -> str:
    """Write the query of our rows that stay, as they lie, and then theirs, by identity."""
    changed = changed_columns(versions)
    values = []
    joins = []
    for number, column in enumerate(versions.all_columns):
        name = quote(column)
        if column not in changed:
            values.append(f"ours.{name}")
            continue
        cell = f"cell{number}"
        taken = f"CASE WHEN {cell}.our_row IS NULL THEN ours.{name} ELSE {cell}.value END"
        values.append(f"{taken} AS {name}")
        joins.append(_join_of_cells(column, cell))
    return f"""
        SELECT * FROM (
            SELECT {", ".join(values)}
            FROM ours
            {"".join(joins)}
            WHERE ours."lineage row" NOT IN (SELECT base_row FROM leaving)
            ORDER BY ours."lineage row"
        )
        UNION ALL BY NAME SELECT * FROM (
            SELECT {quote_all(versions.all_columns)} FROM arriving
            ORDER BY {versions.order("arriving")}
        )
    """


def _join_of_cells(column: str, cell: str) -> str:
    """Write the join of our rows with the cells of a column that theirs changed."""
    return f"""
        LEFT JOIN (
            SELECT our_row, theirs.{quote(column)} AS value
            FROM cells
            JOIN theirs ON theirs."lineage row" = their_row
            WHERE cells.name = {text(column)}
        ) AS {cell} ON {cell}.our_row = ours."lineage row"
    """
