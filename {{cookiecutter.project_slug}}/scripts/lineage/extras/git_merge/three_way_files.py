"""Three versions of a file become one: of a results database, or of the training data."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lineage.core.errors import BadInput
from lineage.extras.git_merge.three_way import Conflict, Versions, changed_columns, compare_versions
from lineage.merge.data import DataRelations, check_columns
from lineage.merge.data_files import write_rows
from lineage.merge.databases import carry_rows, open_tables
from lineage.merge.plan import Plan
from lineage.merge.rules import Rules
from lineage.merge.table_merge import TableMerge
from lineage.tables.arrow_metadata import merged_metadata
from lineage.tables.engine import open_engine
from lineage.tables.parquet_files import Columns, Schema, numbered_rows, read_schemas
from lineage.tables.parquet_types import common_columns, exact_values
from lineage.tables.sources import add_sources, arrive, read_sources
from lineage.tables.sql import EXACT, Engine, fold, quote, text
from lineage.tables.sqlite_files import tables_of
from lineage.tables.sqlite_reading import attached
from lineage.tables.sqlite_rows import make_relation, read_codes
from lineage.tracked.cache import copy_out


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
            carry_rows(table, versions, versions.plan())
    add_sources(output, read_sources(theirs))
    return conflicts


def _read_versions(table: TableMerge, ancestor: Path | None) -> Versions:
    """Read the three versions of a table, each value as a code."""
    incoming = table.incoming
    mine = table.table
    known = [name for name in mine.column_names if fold(name) in incoming.table.by_name]
    identity = table.identity or tuple(known)
    table = replace(table, identity=identity)
    for side in ("ancestor", "ours", "theirs"):
        make_relation(table.engine, side, mine.column_names)
    readings = {
        "ours": table.reading(table.output, mine, mine.column_names),
        "theirs": table.reading(incoming.files[0], incoming.found[0], mine.column_names),
    }
    then = tables_of(ancestor).get(fold(incoming.name)) if ancestor else None
    if ancestor and then:
        readings["ancestor"] = table.reading(ancestor, then, mine.column_names)
    for side, reading in readings.items():
        read_codes(table.engine, [reading], side)
    versions = Versions(table.engine, incoming.name, known, identity, is_coded=True)
    versions.all_columns = mine.column_names
    versions.numbers = table.numbers(identity)
    versions.base_rows = versions.count("ours")
    return versions


def _take_cells(table: TableMerge, versions: Versions) -> None:
    """Let SQLite copy the cells that theirs changed into the rows of the output."""
    theirs = table.incoming.found[0]
    name = quote(table.incoming.name)
    with attached(table.target, table.incoming.files[0]):
        for column in changed_columns(versions, "NOT is_conflict"):
            [(pairs,)] = versions.engine.execute(f"""
                SELECT to_json(list([our_row, their_row])) FROM cells
                WHERE name = {text(column)} AND NOT is_conflict
            """).fetchall()
            statement = f"""
                UPDATE main.{name} AS ours
                SET {quote(column)} = theirs.{quote(theirs.by_name[fold(column)].name)}
                FROM json_each(?) AS pair
                JOIN source.{name} AS theirs
                  ON theirs.{theirs.row_alias} = json_extract(pair.value, '$[1]')
                WHERE ours.{table.table.row_alias} = json_extract(pair.value, '$[0]')
            """
            table.target.execute(statement, (pairs,))


def merge_three_data_files(
    sides: Sequence[Path], output: Path, key_columns: Sequence[str], name: str
) -> list[Conflict]:
    """Write `output`: our training data, with what theirs added, changed and dropped.

    Args:
        sides: our version, theirs, and the common one if there is one; each may be a parquet file
            or a folder of parts.
        output: a path that does not exist, written as ours is: of parts those without a change
            stay. It is not written where there are conflicts.
        key_columns: what makes two rows the same row; empty: all their values.
        name: what messages call the data.

    Returns:
        every cell that both sides changed, to different values.

    Raises:
        BadInput: a file cannot be read, lacks a key column, or has a column that does not fit.
        Refused: the output cannot be written.
    """
    ours, theirs, *_ = sides
    with open_engine() as engine:
        schemas = read_schemas(engine, sides)
        columns = common_columns(schemas)
        versions = _data_versions(engine, schemas, columns, key_columns)
        versions.name = name
        conflicts = compare_versions(versions)
        changes = sum(map(versions.count, ("cells", "leaving", "arriving")))
        merged = read_sources(ours)
        arriving = read_sources(theirs)
        if not changes and arrive(merged, arriving) == merged:
            copy_out(ours, output)
        elif not conflicts:
            mine = _of_side(schemas, 0)
            relations = DataRelations(engine, name, versions.columns, versions.identity)
            relations.written = columns
            relations.metadata, _ = merged_metadata(engine, mine, schemas[len(mine) :], columns)
            relations.base = mine
            relations.merged = merged
            relations.is_parts = ours.is_dir()
            layout = "parts" if relations.is_parts else "file"
            write_rows(relations, _plan_rows(versions), output, arriving, layout)
        return conflicts


def _of_side(schemas: Sequence[Schema], number: int) -> list[Schema]:
    """Pick the file of one version, or its parts."""
    return [schema for schema in schemas if schema.source == number]


def _data_versions(
    engine: Engine, schemas: Sequence[Schema], columns: Columns, key_columns: Sequence[str]
) -> Versions:
    """Make the relations of three versions: ours, theirs, and the common one."""
    keys = check_columns(engine, schemas, columns, key_columns)
    theirs = _of_side(schemas, 1)[0].columns
    known = [column for column in columns if column in theirs]
    for name in known:
        if keys and "INTERVAL" in columns[name]:
            problem = f"column {name!r} is {columns[name]}, of which cells cannot be compared"
            raise BadInput(problem)  # git_merge_driver.py says how one side is taken whole
    exact = exact_values({name: columns[name] for name in known})
    for number, side in enumerate(("ours", "theirs", "ancestor")):
        rows = numbered_rows(_of_side(schemas, number), columns)
        values = f'SELECT *, {exact} AS "lineage exact" FROM ({rows})'
        engine.execute(f"CREATE TEMP VIEW {side} AS {values}")
    engine.execute("CREATE TEMP VIEW base_rows AS SELECT * FROM ours")
    identity = keys or [*known, EXACT]
    versions = Versions(engine, "", known, identity, all_columns=list(columns))
    versions.base_rows = versions.count("ours")
    return versions


def _plan_rows(versions: Versions) -> Plan:
    """Make `patched`, our rows with the cells that theirs changed, which take our rows' places."""
    plan = versions.plan()
    versions.run("""
        CREATE TEMP TABLE patched AS
        SELECT * FROM ours WHERE "lineage row" IN (SELECT our_row FROM cells)
    """)
    for column in changed_columns(versions):
        versions.run(f"""
            UPDATE patched SET {quote(column)} = theirs.{quote(column)}
            FROM cells JOIN theirs ON theirs."lineage row" = their_row
            WHERE our_row = patched."lineage row" AND cells.name = {text(column)}
        """)
    versions.run('INSERT INTO leaving SELECT "lineage row" FROM patched')
    plan.replaced = versions.count("leaving")
    return plan
