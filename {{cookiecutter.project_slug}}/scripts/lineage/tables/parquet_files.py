"""Parquet files are described as DuckDB reads them, lined up by column name, and written."""

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

from lineage.core.errors import BadInput
from lineage.tables.sql import RESERVED, ROW, ROWS_PER_FILE, Engine, fold, quote, text

INTEGERS = (
    "TINYINT",
    "UTINYINT",
    "SMALLINT",
    "USMALLINT",
    "INTEGER",
    "UINTEGER",
    "BIGINT",
    "UBIGINT",
)
"""From narrow to wide. HUGEINT is none of them: it would be written as DOUBLE."""

SIGNED_ABOVE = {
    "UTINYINT": "SMALLINT",
    "USMALLINT": "INTEGER",
    "UINTEGER": "BIGINT",
    "UBIGINT": None,
}
"""Unsigned types, and the signed type that holds all values of each."""

FLOATS = ("FLOAT", "DOUBLE")

NULL_TYPE = '"NULL"'
"""The type of a column that holds nothing but NULL."""

EXACT_INTEGER = 1 << 53
"""Whole numbers up to this one are exact in a 64-bit float (IEEE 754)."""

DIGITS = 38
"""Of the longest decimal that DuckDB reads; longer ones become floating point."""

TAKEN = RESERVED | {"file_row_number"}
"""Names that the engine gives to columns of its own."""

Columns = dict[str, str]
"""Names of columns, and the DuckDB type of each."""


@dataclass(frozen=True)
class Schema:
    """The columns of one parquet file."""

    path: Path
    columns: Columns


def scan(path: Path, numbered: bool = False) -> str:
    """Write what reads a file, to stand behind FROM.

    Args:
        path: the file. Folders named `a=b` in it are no columns.
        numbered: with the place of each row in the file as `file_row_number`.
    """
    number = ", file_row_number = true" if numbered else ""
    return f"read_parquet({escaped(path)}, hive_partitioning = false{number})"


def escaped(path: Path) -> str:
    """Write a path as a string in SQL, in which DuckDB reads no glob."""
    return text(glob.escape(str(path)))


def copy_statement(query: str, path: Path, metadata: Mapping[str, str]) -> str:
    """Write the statement that copies the rows of a query to a file, with metadata beside them."""
    pairs = ", ".join(f"{text(key)}: {text(value)}" for key, value in metadata.items())
    notes = f", KV_METADATA {{{pairs}}}" if pairs else ""
    return f"COPY ({query}) TO {text(str(path))} (FORMAT parquet, COMPRESSION zstd{notes})"


def read_schemas(engine: Engine, paths: Sequence[Path]) -> list[Schema]:
    """Describe files. Names that differ in case only are one name; the first spelling counts.

    Raises:
        BadInput: a file is not parquet, or has a column that cannot be told from another one.
    """
    spelled: dict[str, str] = {}
    return [_read_schema(engine, path, spelled) for path in paths]


def _read_schema(engine: Engine, path: Path, spelled: dict[str, str]) -> Schema:
    import duckdb

    if path.is_dir():
        raise BadInput(f"{path} is a folder, not a parquet file")
    try:
        described = engine.execute(f"DESCRIBE SELECT * FROM {scan(path)}").fetchall()
        raw = engine.execute(f"""
            SELECT name, count(*) = 1 AND max(logical_type) = 'NullType()', max(precision)
            FROM parquet_schema({escaped(path)})
            GROUP BY name
        """).fetchall()
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        reason = str(error).splitlines()[0].partition("Error: ")[2]
        problem = f"{path} is not a readable parquet file: {reason}"
        raise BadInput(problem, f"replace or remove {path}") from None
    only_null = {}
    for name, is_null, precision in raw:
        only_null[name] = is_null
        if precision and precision > DIGITS:
            problem = f"{path}: decimals of {name!r} have more than {DIGITS} digits"
            raise BadInput(f"{problem}, which DuckDB would round")
    columns = {}
    for name, kind, *_ in described:
        if name not in only_null or fold(name) in TAKEN:
            raise _clash(path, name)
        is_null = only_null[name] and kind == "INTEGER"  # as DuckDB 1 calls it
        columns[spelled.setdefault(fold(name), name)] = NULL_TYPE if is_null else kind
    return Schema(path, columns)


def _clash(path: Path, name: str) -> BadInput:
    rule = f"the case of letters does not count, and {', '.join(sorted(TAKEN))} are taken"
    problem = f"{path}: DuckDB cannot tell column {name!r} from another one ({rule})"
    return BadInput(problem, "rename one of them in the file")


def numbered_rows(schema: Schema, columns: Columns, file: int = 0) -> str:
    """Write the query that gives a number and then every column for each row of a file.

    Args:
        schema: of the file.
        columns: names and types of all files; one that this file lacks is NULL.
        file: number of the file; rows of later files have higher numbers.
    """
    values = []
    for name, kind in columns.items():
        value = quote(name) if name in schema.columns else "NULL"
        values.append(f"{value}::{kind} AS {quote(name)}")
    return f"""
        SELECT file_row_number + {file * ROWS_PER_FILE} AS "{ROW}", {", ".join(values)}
        FROM {scan(schema.path, numbered=True)}
    """


def require_columns(schema: Schema, names: Sequence[str]) -> None:
    """Raise `BadInput` unless a file has the key columns."""
    for name in names:
        if name not in schema.columns:
            known = shorten(", ".join(schema.columns), 200)
            remedy = "add it to the file, or choose other key columns"
            problem = f"{schema.path} has no column {name!r}; it has: {known}"
            raise BadInput(problem, f"{remedy} (now {list(names)})")


def common_columns(schemas: Sequence[Schema], cast_text: bool = False) -> Columns:
    """Line the columns of all files up by name, each with the widest of its types.

    Raises:
        BadInput: a column holds numbers here and text there, and may not become text.
    """
    columns: Columns = {}
    first: dict[str, Path] = {}
    for schema in schemas:
        for name, kind in schema.columns.items():
            known = columns.setdefault(name, kind)
            first.setdefault(name, schema.path)
            wider = widest(known, kind)
            if wider is None and cast_text and "VARCHAR" in (known, kind):
                wider = "VARCHAR"
            if wider is None:
                problem = f"{schema.path}: column {name!r} is {kind}, but {known} in {first[name]}"
                remedy = "give the column one type in all files"
                raise BadInput(problem, f"{remedy}, or: merge_artifacts.py … --cast text")
            columns[name] = wider
    return columns


def check_exact(engine: Engine, schema: Schema, columns: Columns) -> None:
    """Raise `BadInput` where a whole number would be rounded, since its column becomes floating."""
    for name, kind in schema.columns.items():
        if columns[name] != "DOUBLE" or kind not in ("BIGINT", "UBIGINT"):
            continue
        rounded = engine.execute(f"""
            SELECT 1 FROM {scan(schema.path)}
            WHERE {quote(name)} NOT BETWEEN -{EXACT_INTEGER} AND {EXACT_INTEGER} LIMIT 1
        """).fetchone()
        if rounded:
            problem = f"{schema.path}: column {name!r} holds whole numbers that floating point"
            problem += ", as in other files, would round"
            raise BadInput(problem, "give the column one type in all files")


def widest(left: str, right: str) -> str | None:
    """Find the type that holds every value of both, or None: `widest(INTEGER, DOUBLE)` is DOUBLE.

    Whole numbers widen to larger ones and to floating point; anything else must be equal.
    """
    if left == right or right == NULL_TYPE:
        return left
    if left == NULL_TYPE:
        return right
    if not {left, right} <= {*INTEGERS, *FLOATS}:
        return None
    if left in FLOATS or right in FLOATS:
        return "DOUBLE"
    wider = max(left, right, key=INTEGERS.index)
    is_mixed = (left in SIGNED_ABOVE) != (right in SIGNED_ABOVE)
    return SIGNED_ABOVE.get(wider, wider) if is_mixed else wider
