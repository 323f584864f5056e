"""Merge and rebase for training data (parquet), by DuckDB.

Files are lined up with UNION ALL BY NAME. What already has an order is never sorted: the base is written as it lies,
and only the new rows are ordered by their identity, so that the same inputs give the same bytes at the cost of a copy.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from lineage.errors import BadInput, Refused
from lineage.merge_plan import ROW, SOURCE, Plan, Sides, plan
from lineage.sql import quote, quote_all, text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
UNSIGNED = ("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")
FLOATS = ("FLOAT", "DOUBLE")
ROWS_PER_FILE = 1 << 40
"""More than any file has, so that the rows of several base files have numbers of their own."""


@dataclass(frozen=True)
class DataRules:
    """How data files are merged.

    Attributes:
        strategy: `merge` or `rebase`.
        key_columns: identity of a row; empty: the whole row (merge only).
        on_conflict: under merge: `fail`, `base`, `incoming` or `newest`.
        dry_run: only work out what would happen; conflicts are counted, not refused.
        cast_text: numbers become text where other files hold text in the column.
    """

    strategy: str
    key_columns: tuple[str, ...] = ()
    on_conflict: str = "fail"
    dry_run: bool = False
    cast_text: bool = False


@dataclass(frozen=True)
class Schema:
    """Column names and DuckDB types of one parquet file."""

    path: Path
    columns: dict[str, str]


def merge_data(base: Sequence[Path], sources: Sequence[Path], output: Path, rules: DataRules, name: str) -> Plan:
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
    with _engine() as connection:
        incoming = [_schema(connection, path) for path in sources]
        known = [_schema(connection, path) for path in base]
        before = _common_columns(known, rules.cast_text)
        columns = _common_columns([*known, *incoming], rules.cast_text)
        if rules.strategy == "rebase" and not rules.key_columns:
            raise BadInput(
                "rebase needs key columns: what decides which rows are replaced?", "set merge.data_key_columns"
            )
        for schema in [*known, *incoming]:
            _require_columns(schema, rules.key_columns)
        _load(connection, incoming, columns)
        _load_base(connection, known, columns)
        compared = [column for column in columns if any(column in schema.columns for schema in incoming)]
        identity = list(rules.key_columns) or compared
        sides = Sides(connection, name, "temp.base", "temp.incoming", compared, identity, quote(ROW))
        result = plan(sides, rules.strategy, rules.key_columns, rules.on_conflict)
        result.new_columns = [name for name in columns if known and name not in before]
        result.missing_columns = [name for name in before if name not in compared]
        result.widened = [f"{name} {kind} → {columns[name]}" for name, kind in before.items() if kind != columns[name]]
        if rules.dry_run:
            return result
        if rules.strategy == "rebase" or rules.on_conflict == "fail":
            result.refuse_conflicts()
        stays = f"SELECT {quote_all(columns)} FROM temp.base"
        if result.leaves and result.replaced:
            stays += f" WHERE {quote(ROW)} NOT IN ({result.leaves}) ORDER BY {quote(ROW)}"
        connection.execute(f"CREATE TEMP TABLE arriving AS {result.arrives}")
        query = f"SELECT * FROM ({stays}) UNION ALL BY NAME SELECT * FROM temp.arriving"
        kept = sides.count("FROM temp.base") - result.replaced
        _write(connection, query, output, name)
        _verify(connection, output, kept, result, identity)
        return result


def _write(connection: DuckDBPyConnection, query: str, output: Path, name: str) -> None:
    import duckdb

    try:
        connection.execute(f"COPY ({query}) TO {text(str(output))} (FORMAT parquet, COMPRESSION zstd)")
    except duckdb.IOException as error:
        nested = re.search(r'"exception_message":"(.*?)(?<!\\)"', str(error))
        reason = nested.group(1) if nested else str(error).splitlines()[0]
        remedy = "df -h .   # is the disk full?"
        raise Refused(f"{name} cannot be written, and is as it was: {reason}", remedy) from error


def _verify(connection: DuckDBPyConnection, output: Path, kept: int, result: Plan, identity: Sequence[str]) -> None:
    """Read the written file back: so many rows, and the keys of those that came in, by checksum."""
    keys = f"SELECT count(*), sum(hash({quote_all(identity)}))"
    written = f"read_parquet({text(_without_wildcards(output))}, file_row_number = true)"
    arrived = connection.execute(f"{keys} FROM {written} WHERE file_row_number >= {kept}").fetchone()
    if arrived != connection.execute(f"{keys} FROM temp.arriving").fetchone():
        raise Refused(f"{result.name}: not the rows that belong there were written; the old file is as it was")


def holds_all_rows(file: Path, recorded: Path) -> bool:
    """Tell whether a parquet file has every row of `recorded`."""
    with _engine() as connection:
        have, need = _schema(connection, file), _schema(connection, recorded)
        if not set(need.columns) <= set(have.columns):
            return False
        columns = quote_all(need.columns)
        missing = connection.execute(
            f"SELECT 1 FROM (SELECT {columns} FROM {_scan(recorded)} EXCEPT ALL SELECT {columns} FROM {_scan(file)}) LIMIT 1"
        ).fetchone()
        return missing is None


def write_new_rows(file: Path, ancestor: Path, output: Path) -> None:
    """Write the rows of a parquet file that an earlier version of it lacks, ordered by their values."""
    with _engine() as connection:
        schemas = [_schema(connection, path) for path in (file, ancestor)]
        columns = _common_columns(schemas)
        new, old = (f"SELECT * EXCLUDE ({quote(ROW)}) FROM (SELECT {_rows(schema, columns)})" for schema in schemas)
        _write(connection, f"{new} EXCEPT ALL {old} ORDER BY ALL", output, str(file))


def count_rows(file: Path) -> int:
    """Count the rows of a parquet file.

    Raises:
        BadInput: not a parquet file.
    """
    with _engine() as connection:
        _schema(connection, file)
        return connection.execute(f"SELECT count(*) FROM {_scan(file)}").fetchall()[0][0]


@contextmanager
def _engine() -> Iterator[DuckDBPyConnection]:
    import duckdb

    with TemporaryDirectory(prefix="lineage-") as folder:  # DuckDB's own choice is a folder in the project
        config: dict[str, Any] = {
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "temp_directory": folder,
        }
        limit = os.environ.get("LINEAGE_MEMORY_LIMIT")
        try:
            with closing(duckdb.connect(config={**config, "memory_limit": limit} if limit else config)) as connection:
                connection.execute("SET enable_progress_bar = false")
                yield connection
        except duckdb.OutOfMemoryException as error:
            reason = str(error).splitlines()[0]
            raise Refused(f"the merge needs more memory: {reason}", "export LINEAGE_MEMORY_LIMIT=8GB") from error
        except duckdb.ParserException as error:
            raise BadInput(f"LINEAGE_MEMORY_LIMIT={limit}: {error}", "export LINEAGE_MEMORY_LIMIT=4GB") from error


def _scan(path: Path) -> str:
    return f"read_parquet({text(_without_wildcards(path))})"


def _without_wildcards(path: Path) -> str:
    """Escape what DuckDB would read as a glob."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in str(path))


def _schema(connection: DuckDBPyConnection, path: Path) -> Schema:
    import duckdb

    if path.is_dir():
        raise BadInput(f"{path} is a folder, not a parquet file")
    try:
        rows = connection.execute(f"DESCRIBE SELECT * FROM {_scan(path)}").fetchall()
        file = text(_without_wildcards(path))
        nulls = f"SELECT name FROM parquet_schema({file}) GROUP BY 1 HAVING count(*) = 1 AND max(logical_type) = 'NullType()'"
        empty = {row[0] for row in connection.execute(nulls).fetchall()}  # DuckDB 1 calls them INTEGER
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        reason = str(error).splitlines()[0].partition("Error: ")[2]
        raise BadInput(f"{path} is not a readable parquet file: {reason}", f"replace or remove {path}") from None
    return Schema(path, {row[0]: '"NULL"' if row[0] in empty and row[1] == "INTEGER" else row[1] for row in rows})


def _require_columns(schema: Schema, names: Sequence[str]) -> None:
    for name in names:
        if name not in schema.columns:
            raise BadInput(
                f"{schema.path} has no column {name!r}; it has: {', '.join(list(schema.columns)[:8])}"
                + (f" and {len(schema.columns) - 8} more" if len(schema.columns) > 8 else ""),
                f"add it to the file, or change merge.data_key_columns in params.yaml (now {list(names)})",
            )


def _common_columns(schemas: Sequence[Schema], cast_text: bool = False) -> dict[str, str]:
    """Line the columns of all files up by name, each with the widest of its types."""
    columns: dict[str, str] = {}
    first: dict[str, Schema] = {}
    for schema in schemas:
        for name, kind in schema.columns.items():
            if name not in columns:
                columns[name], first[name] = kind, schema
                continue
            wider = widest(columns[name], kind) or (
                "VARCHAR" if cast_text and "VARCHAR" in (columns[name], kind) else None
            )
            if wider is None:
                raise BadInput(
                    f"{schema.path}: column {name!r} is {kind}, but {columns[name]} in {first[name].path}",
                    "give the column one type in all files, or: merge_artifacts.py … --cast text",
                )
            columns[name] = wider
    return columns


def widest(left: str, right: str) -> str | None:
    """The type that holds every value of both, or None when there is none.

    Whole numbers widen to larger ones and to floating point, smaller to larger; anything else must be equal.
    """
    if left == right:
        return left
    if left == '"NULL"' or right == '"NULL"':
        return right if left == '"NULL"' else left
    numbers = (*INTEGERS, *UNSIGNED, *FLOATS)
    if left not in numbers or right not in numbers:
        return None
    if left in FLOATS or right in FLOATS:
        return "DOUBLE"
    for family in (INTEGERS, UNSIGNED):
        if left in family and right in family:
            return max(left, right, key=family.index)
    signed, unsigned = (left, right) if left in INTEGERS else (right, left)
    place = max(INTEGERS.index(signed), UNSIGNED.index(unsigned) + 1)
    return INTEGERS[place] if place < len(INTEGERS) else None


def _load(connection: DuckDBPyConnection, schemas: Sequence[Schema], columns: dict[str, str]) -> None:
    """Make table `incoming` from files, each row with the number of its source and its place in it."""
    parts = [
        f"SELECT {number}::INTEGER AS {quote(SOURCE)}, {_rows(schema, columns)}"
        for number, schema in enumerate(schemas)
    ]
    connection.execute(f"CREATE TEMP TABLE incoming AS {' UNION ALL '.join(parts)}")


def _load_base(connection: DuckDBPyConnection, schemas: Sequence[Schema], columns: dict[str, str]) -> None:
    """Make view `base`: the base's files, read as they lie; without one, no rows of the incoming columns."""
    parts = [f"SELECT {_rows(schema, columns, number * ROWS_PER_FILE)}" for number, schema in enumerate(schemas)]
    rows = " UNION ALL ".join(parts) or "SELECT * FROM temp.incoming WHERE false"
    connection.execute(f"CREATE TEMP VIEW base AS {rows}")


def _rows(schema: Schema, columns: dict[str, str], first: int = 0) -> str:
    """Select-list and source: the number of each row in its file, from `first` on, then every column, NULL where the file lacks it."""
    values = ", ".join(
        f"{quote(name) if name in schema.columns else 'NULL'}::{kind} AS {quote(name)}"
        for name, kind in columns.items()
    )
    file = text(_without_wildcards(schema.path))
    return f"file_row_number + {first} AS {quote(ROW)}, {values} FROM read_parquet({file}, file_row_number = true)"
