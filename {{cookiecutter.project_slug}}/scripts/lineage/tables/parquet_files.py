"""Parquet files are described as DuckDB reads them, lined up by column name, and written."""

import glob
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from textwrap import shorten
from typing import Any

from lineage.core.errors import BadInput, explain_missing
from lineage.tables.damaged_files import ask, read_later
from lineage.tables.parts import parts_of
from lineage.tables.sql import RESERVED, ROW, ROWS_PER_FILE, Engine, fold, quote, text

DIGITS = 38
"""Of the longest decimal that DuckDB reads; longer ones become floating point."""

NULL_TYPE = '"NULL"'
"""The type of a column that holds nothing but NULL."""

TAKEN = RESERVED | {"file_row_number"}
"""Names that the engine gives to columns of its own."""

DESCRIBED = "concat_ws(' ', type, coalesce(converted_type, '-'), coalesce(logical_type, '-'))"
"""How a column is stored, in SQL over `parquet_schema`: `BYTE_ARRAY UTF8 StringType()`."""

MISREAD = re.compile(
    "INT96 - -|TIMESTAMP_.* -$|- (String|Enum|Json|Bson|Decimal|Date|Int|List|Map)Type",
    re.MULTILINE,
)
"""Columns of which DuckDB may read other values than were written."""

WITHOUT_STATISTICS = """
    SET disabled_optimizers = 'filter_pushdown, join_filter_pushdown, statistics_propagation'
"""

Columns = dict[str, str]
"""Names of columns, and the DuckDB type of each."""


@dataclass(frozen=True)
class Schema:
    """The columns of one of several parquet files.

    Attributes:
        path: the file, or a part of a folder.
        file: from which its rows are read: itself, or a copy, see `arrow_types`.
        columns: names and types.
        number: of the file among all that are read together.
        source: number of the path that was given: the file, or the folder that it is a part of.
        told: the file that messages name: the user's, where this one was made from it.
    """

    path: Path
    file: Path
    columns: Columns
    number: int
    source: int
    told: Path


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
    options = "FORMAT parquet, COMPRESSION zstd, GEOPARQUET_VERSION 'NONE'"  # the notes say it
    return f"COPY ({query}) TO {text(str(path))} ({options}{notes})"


def read_schemas(engine: Engine, paths: Sequence[Path], told: Sequence[Path] = ()) -> list[Schema]:
    """Describe files. Names that differ in case only are one name; the first spelling counts.

    Args:
        engine: to any database.
        paths: files, or folders of parts, of which each part is described.
        told: for each path the user's file, see `Schema`; empty: they are the user's.

    Raises:
        BadInput: a file is not parquet, or has a column that cannot be told from another one.
    """
    spelled: dict[str, str] = {}
    known: dict[str, Columns] = {}  # of files that are stored alike, as the parts of a folder
    schemas: list[Schema] = []
    read_later(engine, list(chain.from_iterable(map(parts_of, paths))))
    for source, given in enumerate(paths):
        for path in parts_of(given):
            query = f"""
                SELECT name, {DESCRIBED}, logical_type, precision,
                       row(repetition_type = 'REPEATED', type_length, num_children, scale)
                FROM parquet_schema({escaped(path)})
            """
            stored = ask(engine, path, query)
            file = _exact_file(engine, path, "\n".join(column[1] for column in stored))
            signature = repr(stored) if file == path else str(file)
            if signature not in known:
                known[signature] = _read_columns(engine, file, stored, spelled)
            name = path if not told or told[source] == given else told[source]
            schemas.append(Schema(path, file, known[signature], len(schemas), source, name))
    return schemas


def _exact_file(engine: Engine, path: Path, described: str) -> Path:
    """Find the file from which DuckDB reads what is in a file: that itself, or a copy."""
    if not MISREAD.search(described):
        return path
    with explain_missing("arrow_types", str(path)):
        from lineage.extras.arrow_types.exact_copy import exact_file
    return exact_file(engine, path, described)


def _read_columns(
    engine: Engine, path: Path, stored: Sequence[Any], spelled: dict[str, str]
) -> Columns:
    """Find the DuckDB types of a file's columns, from what is stored of each."""
    only_null: dict[str, bool] = {}
    for name, _, logical_type, precision, _ in stored:
        # of equal names, which fields of structs may have, none is a column of NULL
        only_null[name] = name not in only_null and logical_type == "NullType()"
        if precision and precision > DIGITS:
            problem = f"{path}: decimals of {name!r} have more than {DIGITS} digits"
            raise BadInput(f"{problem}, which DuckDB would round")
    columns = {}
    for name, kind, *_ in ask(engine, path, f"DESCRIBE SELECT * FROM {scan(path)}"):
        if name not in only_null or fold(name) in TAKEN:
            rule = f"the case of letters does not count, and {', '.join(sorted(TAKEN))} are taken"
            problem = f"{path}: DuckDB cannot tell column {name!r} from another one ({rule})"
            raise BadInput(problem, "rename one of them in the file")
        is_null = only_null[name] and kind == "INTEGER"  # as DuckDB 1 calls it
        columns[spelled.setdefault(fold(name), name)] = NULL_TYPE if is_null else kind
    return columns


def count_rows_of(engine: Engine, files: Sequence[Path]) -> dict[Path, int]:
    """Read from the footers of files how many rows each has."""
    counted = engine.execute(f"""
        SELECT file_name, num_rows FROM parquet_file_metadata({escaped(files)})
    """).fetchall()
    return {Path(name): rows for name, rows in counted}


def distrust_statistics(engine: Engine, schemas: Sequence[Schema]) -> None:
    """Let DuckDB find rows by their values alone from now on, unless it wrote all files itself.

    Other programs may have written wrong minima and maxima into a footer, by which it would pass
    rows over.
    """
    if not schemas:
        return
    files = escaped([schema.file for schema in schemas])
    others = engine.execute(f"""
        SELECT file_name FROM parquet_file_metadata({files})
        WHERE starts_with(created_by, 'DuckDB ') IS NOT TRUE
    """)
    if others.fetchall():
        engine.execute(WITHOUT_STATISTICS)


def numbered_rows(schemas: Sequence[Schema], columns: Columns) -> str:
    """Write the query that gives a number and then every column for each row of some files.

    Files in a row with the same columns are read together, as the parts of a folder are.

    Args:
        schemas: of the files; rows of one with a higher number have higher numbers.
        columns: names and types of all files; one that a file lacks is NULL.
    """
    if not schemas:
        return no_rows({ROW: "BIGINT", **columns})
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
            FROM {scan([schema.file for schema in files], numbered=True)}
        """)
    return " UNION ALL ".join(queries)


def no_rows(columns: Columns) -> str:
    """Write the query that gives columns and no rows."""
    values = ", ".join(f"NULL::{kind} AS {quote(name)}" for name, kind in columns.items())
    return f"SELECT {values} LIMIT 0"


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
            raise BadInput(
                f"{schema.told} has no column {name!r}; it has: {known}",
                f"{remedy} (now {list(names)})",
            )
