"""Merge and rebase for training data (parquet), by DuckDB.

Files are lined up with UNION ALL BY NAME. What already has an order is never sorted: the base is written as it lies,
and only the new rows are ordered by their identity, so that the same inputs give the same bytes at the cost of a copy.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from lineage.core.errors import BadInput, Refused
from lineage.merge.rules import ARRIVING, Plan, Rules, Sides, plan
from lineage.tables import parquet_files as files
from lineage.tables.arrow_metadata import merged_metadata
from lineage.tables.sql import NUMBER, SOURCE, Engine, fold, quote, quote_all


def merge_data(
    base: Sequence[Path], sources: Sequence[Path], output: Path, rules: Rules, name: str
) -> Plan:
    """Write `output`: the base's rows, with the rows of the sources merged or rebased in.

    Args:
        base: the accumulated parquet file, or several whose rows follow each other; none: start empty.
        sources: incoming parquet files, in the order in which the later wins under rebase.
        output: a path that does not exist.
        rules: strategy and key columns.
        name: what messages call the data.
    Returns:
        what changed.
    Raises:
        BadInput: a source is not parquet, lacks a key column, or has a column whose type does not fit.
        Refused: a conflict, see `merge_plan.plan`; or the output cannot be written.
    """
    with files.open_engine() as connection:
        schemas = files.read_schemas(connection, [*base, *sources])
        known, incoming = schemas[: len(base)], schemas[len(base) :]
        before = files.common_columns(known, rules.cast_text)
        ordered = sorted(
            incoming, key=lambda schema: list(schema.columns)
        )  # whatever order they are given in
        columns = files.common_columns([*known, *ordered], rules.cast_text)
        spelled = {fold(column): column for column in columns}
        keys = [spelled.get(fold(key), key) for key in rules.key_columns]
        if rules.strategy == "rebase" and not rules.key_columns:
            problem = "rebase needs key columns: what decides which rows are replaced?"
            raise BadInput(problem, "set merge.data_key_columns")
        for schema in schemas:
            files.require_columns(schema, keys)
            files.check_exact(connection, schema, columns)
        metadata = merged_metadata(connection, known, incoming, columns)
        _load(connection, incoming, columns)
        _load_base(connection, known, columns)
        compared = [
            column for column in columns if any(column in schema.columns for schema in incoming)
        ]
        identity = keys or compared
        filled = _without_null(connection, identity)
        sides = Sides(
            connection, name, "temp.base", "temp.incoming", compared, identity, filled=filled
        )
        sides.lacking = {
            c: [n for n, schema in enumerate(incoming) if c not in schema.columns] for c in compared
        }
        result = plan(sides, rules.strategy, keys, rules.on_conflict)
        result.new_columns = [name for name in columns if known and name not in before]
        result.missing_columns = [name for name in before if name not in compared]
        result.widened = [
            f"{name} {kind} → {columns[name]}"
            for name, kind in before.items()
            if kind != columns[name]
        ]
        if rules.dry_run:
            return result
        if rules.strategy == "rebase" or rules.on_conflict == "fail":
            result.refuse_conflicts()
        stays = f"SELECT {quote_all(columns)} FROM temp.base"
        if result.leaves and result.replaced:
            stays += f" WHERE {NUMBER} NOT IN ({result.leaves}) ORDER BY {NUMBER}"
        query = f"SELECT * FROM ({stays}) UNION ALL BY NAME SELECT * FROM {ARRIVING}"
        _write(connection, query, output, name, metadata)
        _verify(connection, output, result, identity)
        return result


def _write(
    connection: Engine, query: str, output: Path, name: str, metadata: Mapping[str, str]
) -> None:
    import duckdb

    try:
        connection.execute(files.copy_statement(query, output, metadata))
    except duckdb.IOException as error:
        nested = re.search(r'"exception_message":"(.*?)(?<!\\)"', str(error))
        reason = nested.group(1) if nested else str(error).splitlines()[0]
        remedy = "df -h .   # is the disk full?"
        raise Refused(f"{name} cannot be written, and is as it was: {reason}", remedy) from error


def _verify(connection: Engine, output: Path, result: Plan, identity: Sequence[str]) -> None:
    """Read the written file back: so many rows, and the keys of those that came in, by checksum."""
    keys = f"SELECT count(*), sum(hash({quote_all(identity)}))"
    arrived = f"{keys} FROM {files.scan(output, numbered=True)} WHERE file_row_number >= {result.rows - result.added}"
    if (
        connection.execute(arrived).fetchone()
        != connection.execute(f"{keys} FROM {ARRIVING}").fetchone()
    ):
        raise result.not_written()


def write_new_rows(file: Path, ancestor: Path, output: Path) -> None:
    """Write the rows of a parquet file that an earlier version of it lacks, ordered by their values."""
    with files.open_engine() as connection:
        schemas = files.read_schemas(connection, [file, ancestor])
        columns = files.common_columns(schemas)
        new, old = (
            f"SELECT * EXCLUDE ({NUMBER}) FROM (SELECT {files.numbered_rows(one, columns)})"
            for one in schemas
        )
        metadata = merged_metadata(connection, schemas, (), columns)
        _write(connection, f"{new} EXCEPT ALL {old} ORDER BY ALL", output, str(file), metadata)


def _load(connection: Engine, schemas: Sequence[files.Schema], columns: dict[str, str]) -> None:
    """Make table `incoming` from files, each row with the number of its source and one of its own."""
    for number, schema in enumerate(
        schemas
    ):  # a UNION ALL of a thousand files takes DuckDB seconds to read
        into = "INSERT INTO temp.incoming" if number else "CREATE TEMP TABLE incoming AS"
        rows = files.numbered_rows(schema, columns, number)
        connection.execute(f"{into} SELECT {number}::INTEGER AS {quote(SOURCE)}, {rows}")


def _without_null(connection: Engine, columns: Sequence[str]) -> list[str]:
    """Those of the columns that hold no NULL in table `incoming`; none where memory is short, since DuckDB needs more for them."""
    if files.memory_limit():
        return []
    counts = ", ".join(f"count({quote(column)})" for column in columns)
    [rows, *filled] = connection.execute(
        f"SELECT count(*), {counts} FROM temp.incoming"
    ).fetchall()[0]
    return [column for column, count in zip(columns, filled) if count == rows]


def _load_base(
    connection: Engine, schemas: Sequence[files.Schema], columns: dict[str, str]
) -> None:
    """Make view `base`: the base's files, read as they lie; without one, no rows of the incoming columns."""
    parts = [
        f"SELECT {files.numbered_rows(schema, columns, number)}"
        for number, schema in enumerate(schemas)
    ]
    rows = " UNION ALL ".join(parts) or "SELECT * FROM temp.incoming WHERE false"
    connection.execute(f"CREATE TEMP VIEW base AS {rows}")
