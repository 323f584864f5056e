"""Parquet files are described as DuckDB reads them, lined up by column name, and written."""

import glob
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from textwrap import shorten
from typing import Any

from lineage.core.errors import BadInput
from lineage.tables.parts import parts_of
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
    """The columns of one of several parquet files.

    Attributes:
        path: the file, or a part of a folder.
        columns: names and types.
        number: of the file among all that are read together.
        source: number of the path that was given: the file, or the folder that it is a part of.
    """

    path: Path
    columns: Columns
    number: int = 0
    source: int = 0


def scan(paths: Path | Sequence[Path], numbered: bool = False) -> str:
    """Write what reads a file, or several with the same columns, to stand behind FROM.

    Args:
        paths: the files. Folders named `a=b` in them are no columns.
        numbered: with the place of each row in its file as `file_row_number`.
    """
    number = ", file_row_number = true" if numbered else ""
    return f"read_parquet({escaped(paths)}, hive_partitioning = false{number})"


def escaped(paths: Path | Sequence[Path]) -> str:
    """Write a path as a string in SQL, in which DuckDB reads no glob; several as a list."""
    if isinstance(paths, Path):
        return text(glob.escape(str(paths)))
    return f"[{', '.join(map(escaped, paths))}]"


def copy_statement(query: str, path: Path, metadata: Mapping[str, str]) -> str:
    """Write the statement that copies the rows of a query to a file, with metadata beside them."""
    pairs = ", ".join(f"{text(key)}: {text(value)}" for key, value in metadata.items())
    notes = f", KV_METADATA {{{pairs}}}" if pairs else ""
    return f"COPY ({query}) TO {text(str(path))} (FORMAT parquet, COMPRESSION zstd{notes})"


def read_schemas(engine: Engine, paths: Sequence[Path]) -> list[Schema]:
    """Describe files. Names that differ in case only are one name; the first spelling counts.

    Args:
        engine: to any database.
        paths: files, or folders of parts, of which each part is described.

    Raises:
        BadInput: a file is not parquet, or has a column that cannot be told from another one.
    """
    spelled: dict[str, str] = {}
    known: dict[str, Columns] = {}  # of files that are stored alike, as the parts of a folder
    schemas: list[Schema] = []
    for source, path in _files_of(paths):
        stored = _ask(
            engine,
            path,
            f"""
            SELECT name, logical_type, precision, repetition_type = 'REPEATED',
                   * EXCLUDE (file_name, repetition_type)
            FROM parquet_schema({escaped(path)})
            """,
        )
        signature = repr(stored)
        if signature not in known:
            known[signature] = _read_columns(engine, path, stored, spelled)
        schemas.append(Schema(path, known[signature], len(schemas), source))
    return schemas


def _files_of(paths: Sequence[Path]) -> Iterator[tuple[int, Path]]:
    """Yield the files, or the parts of folders, with the number of the path that each is of."""
    for source, path in enumerate(paths):
        for part in parts_of(path):
            yield source, part


def _ask(engine: Engine, path: Path, query: str) -> list[Any]:
    """Run a query about a file; raise `BadInput` where it is not parquet."""
    import duckdb

    try:
        return engine.execute(query).fetchall()
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        reason = str(error).splitlines()[0].rpartition("Error: ")[2]
        problem = f"{path} is not a readable parquet file: {reason}"
        raise BadInput(problem, f"replace or remove {path}") from None


def _read_columns(
    engine: Engine, path: Path, stored: Sequence[Any], spelled: dict[str, str]
) -> Columns:
    """Find the DuckDB types of a file's columns, from what is stored of each."""
    only_null: dict[str, bool] = {}
    for name, logical_type, precision, *_ in stored:
        # of equal names, which fields of structs may have, none is a column of NULL
        only_null[name] = name not in only_null and logical_type == "NullType()"
        if precision and precision > DIGITS:
            problem = f"{path}: decimals of {name!r} have more than {DIGITS} digits"
            raise BadInput(f"{problem}, which DuckDB would round")
    columns = {}
    for name, kind, *_ in _ask(engine, path, f"DESCRIBE SELECT * FROM {scan(path)}"):
        if name not in only_null or fold(name) in TAKEN:
            raise _clash(path, name)
        is_null = only_null[name] and kind == "INTEGER"  # as DuckDB 1 calls it
        columns[spelled.setdefault(fold(name), name)] = NULL_TYPE if is_null else kind
    return columns


def _clash(path: Path, name: str) -> BadInput:
    rule = f"the case of letters does not count, and {', '.join(sorted(TAKEN))} are taken"
    problem = f"{path}: DuckDB cannot tell column {name!r} from another one ({rule})"
    return BadInput(problem, "rename one of them in the file")


def count_rows_of(engine: Engine, files: Sequence[Path]) -> dict[Path, int]:
    """Read from the footers of files how many rows each has."""
    counted = engine.execute(f"""
        SELECT file_name, num_rows FROM parquet_file_metadata({escaped(files)})
    """).fetchall()
    return {Path(name): rows for name, rows in counted}


def numbered_rows(schemas: Sequence[Schema], columns: Columns) -> str:
    """Write the query that gives a number and then every column for each row of some files.

    Files in a row with the same columns are read together, as the parts of a folder are.

    Args:
        schemas: of the files; rows of one with a higher number have higher numbers.
        columns: names and types of all files; one that a file lacks is NULL.
    """
    queries = []
    for _, group in groupby(schemas, key=_read_together):
        files = list(group)
        values = []
        for name, kind in columns.items():
            value = quote(name) if name in files[0].columns else "NULL"
            values.append(f"{value}::{kind} AS {quote(name)}")
        numbers = [schema.number for schema in files]
        number = f"{numbers}[file_index::BIGINT + 1]" if len(files) > 1 else numbers[0]
        queries.append(f"""
            SELECT file_row_number + {number} * {ROWS_PER_FILE} AS "{ROW}", {", ".join(values)}
            FROM {scan([schema.path for schema in files], numbered=True)}
        """)
    return " UNION ALL ".join(queries)


def _read_together(schema: Schema) -> Columns | Path:
    """Tell which files in a row one scan reads: those with equal columns.

    A column of the name would hide DuckDB's `file_index`, the number of the file in the list.
    """
    is_hidden = "file_index" in map(fold, schema.columns)
    return schema.path if is_hidden else schema.columns


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
