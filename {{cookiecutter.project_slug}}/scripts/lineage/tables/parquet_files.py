"""Parquet files as DuckDB reads them: opened, described, their columns lined up by name, each with the widest of its types."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import shorten
from typing import Any

from lineage.core.errors import BadInput, Refused
from lineage.tables.sql import NUMBER, ROW, SOURCE, Engine, fold, quote, text

INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")  # HUGEINT would be written as DOUBLE
UNSIGNED = ("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
EXACT_INTEGER = 1 << 53
"""Whole numbers up to this one are exact in a 64-bit float (IEEE 754)."""

DIGITS = 38
"""Of the longest decimal that DuckDB reads; longer ones become floating point."""

FLOATS = ("FLOAT", "DOUBLE")
RESERVED = frozenset({"file_row_number", SOURCE, ROW})
"""Names that the engine and the plan give to columns of their own."""

DOWNLOADS = ("autoinstall_known_extensions", "autoload_known_extensions")
ROWS_PER_FILE = 1 << 40
"""More than any file has, so that the rows of several files have numbers of their own."""


@dataclass(frozen=True)
class Schema:
    """Column names and DuckDB types of one parquet file."""

    path: Path
    columns: dict[str, str]


def memory_limit() -> str | None:
    """How much memory DuckDB may take, as in `4GB`; None: as much as it finds right."""
    return os.environ.get("LINEAGE_MEMORY_LIMIT")


@contextmanager
def open_engine() -> Iterator[Engine]:
    """Open a DuckDB that downloads nothing and spills into a temporary folder.

    Raises:
        BadInput: the block reads what DuckDB cannot.
        Refused: the block needs more memory than `LINEAGE_MEMORY_LIMIT` or the machine allows.
    """
    import duckdb

    with TemporaryDirectory(
        prefix="lineage-"
    ) as folder:  # DuckDB's own choice is a folder in the project
        config: dict[str, Any] = {"temp_directory": folder, **dict.fromkeys(DOWNLOADS, "false")}
        limit = memory_limit()
        try:
            with closing(
                duckdb.connect(config={**config, "memory_limit": limit} if limit else config)
            ) as connection:
                connection.execute("SET enable_progress_bar = false")
                yield connection
        except duckdb.OutOfMemoryException as error:
            reason = str(error).splitlines()[0]
            raise Refused(
                f"the merge needs more memory: {reason}", "export LINEAGE_MEMORY_LIMIT=8GB"
            ) from error
        except (
            duckdb.Error,
            RuntimeError,
        ) as error:  # bytes that are no text, a damaged page, an impossible date
            if "interrupt" in str(error).lower():
                raise KeyboardInterrupt from error
            if limit and isinstance(error, duckdb.ParserException):
                raise BadInput(
                    f"LINEAGE_MEMORY_LIMIT={limit}: {error}", "export LINEAGE_MEMORY_LIMIT=4GB"
                ) from error
            raise BadInput(f"DuckDB cannot read the data: {str(error).splitlines()[0]}") from error


def read_schemas(connection: Engine, paths: Sequence[Path]) -> list[Schema]:
    """Describe files. Names that differ in case only are one name to DuckDB; the first file's spelling counts.

    Raises:
        BadInput: a file is not parquet, or has a column that cannot be told from another one.
    """
    spelled: dict[str, str] = {}
    return [_read_schema(connection, path, spelled) for path in paths]


def _read_schema(connection: Engine, path: Path, spelled: dict[str, str]) -> Schema:
    import duckdb

    if path.is_dir():
        raise BadInput(f"{path} is a folder, not a parquet file")
    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM {scan(path)}").fetchall()
        raw = "SELECT name, count(*) = 1 AND max(logical_type) = 'NullType()', max(precision)"
        raws = connection.execute(
            f"{raw} FROM parquet_schema({escaped(path)}) GROUP BY 1"
        ).fetchall()
        is_null = {name: empty for name, empty, _ in raws}  # DuckDB 1 says INTEGER
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        reason = str(error).splitlines()[0].partition("Error: ")[2]
        raise BadInput(
            f"{path} is not a readable parquet file: {reason}", f"replace or remove {path}"
        ) from None
    if long := [name for name, _, precision in raws if (precision or 0) > DIGITS]:
        raise BadInput(
            f"{path}: decimals of {long[0]!r} have more than {DIGITS} digits, which DuckDB would round"
        )
    names = [row[0] for row in described]
    if wrong := [name for name in names if name not in is_null or fold(name) in RESERVED]:
        clash = f"the case of letters does not count, and {', '.join(sorted(RESERVED))} are taken"
        problem = f"{path}: DuckDB cannot tell column {wrong[0]!r} from another one ({clash})"
        raise BadInput(problem, "rename one of them in the file")
    kinds = ['"NULL"' if is_null[row[0]] and row[1] == "INTEGER" else row[1] for row in described]
    return Schema(
        path, {spelled.setdefault(fold(name), name): kind for name, kind in zip(names, kinds)}
    )


def scan(path: Path, numbered: bool = False) -> str:
    """What reads a file, to stand behind FROM; `numbered`: with the place of each row as `file_row_number`."""
    number = ", file_row_number = true" if numbered else ""
    return f"read_parquet({escaped(path)}, hive_partitioning = false{number})"  # else folders named a=b are columns


def escaped(path: Path) -> str:
    """The path as a string in SQL, in which DuckDB reads no glob."""
    return text(
        "".join(f"[{character}]" if character in "*?[" else character for character in str(path))
    )


def copy_statement(query: str, path: Path, metadata: Mapping[str, str]) -> str:
    """What writes the rows of a query to a file, with keys and values as its metadata."""
    pairs = ", ".join(f"{text(key)}: {text(value)}" for key, value in metadata.items())
    options = f"FORMAT parquet, COMPRESSION zstd{f', KV_METADATA {{{pairs}}}' if pairs else ''}"
    return f"COPY ({query}) TO {text(str(path))} ({options})"


def numbered_rows(schema: Schema, columns: dict[str, str], file: int = 0) -> str:
    """Select-list and source: `ROW`, a number for each row, then every column, NULL where the file lacks it.

    Args:
        schema: of the file.
        columns: names and types.
        file: number of the file; the rows of later files have higher numbers.
    """
    values = ", ".join(
        f"{quote(name) if name in schema.columns else 'NULL'}::{kind} AS {quote(name)}"
        for name, kind in columns.items()
    )
    return f"file_row_number + {file * ROWS_PER_FILE} AS {NUMBER}, {values} FROM {scan(schema.path, numbered=True)}"


def require_columns(schema: Schema, names: Sequence[str]) -> None:
    """Raise `BadInput` unless a file has the key columns."""
    for name in names:
        if name not in schema.columns:
            problem = f"{schema.path} has no column {name!r}; it has: {shorten(', '.join(schema.columns), 200)}"
            remedy = f"add it to the file, or change merge.data_key_columns in params.yaml (now {list(names)})"
            raise BadInput(problem, remedy)


def common_columns(schemas: Sequence[Schema], cast_text: bool = False) -> dict[str, str]:
    """Line the columns of all files up by name, each with the widest of its types.

    Raises:
        BadInput: a column holds numbers here and text there, and `cast_text` does not let it be text.
    """
    columns: dict[str, str] = {}
    first: dict[str, Schema] = {}
    for schema in schemas:
        for name, kind in schema.columns.items():
            if name not in columns:
                columns[name], first[name] = kind, schema
                continue
            as_text = "VARCHAR" if cast_text and "VARCHAR" in (columns[name], kind) else None
            wider = widest(columns[name], kind) or as_text
            if wider is None:
                problem = f"{schema.path}: column {name!r} is {kind}, but {columns[name]} in {first[name].path}"
                raise BadInput(
                    problem,
                    "give the column one type in all files, or: merge_artifacts.py … --cast text",
                )
            columns[name] = wider
    return columns


def check_exact(connection: Engine, schema: Schema, columns: dict[str, str]) -> None:
    """Raise `BadInput` when a whole number of a file would be rounded, since its column becomes floating point."""
    for name, kind in schema.columns.items():
        if columns[name] == "DOUBLE" and kind in (INTEGERS[-1], UNSIGNED[-1]):
            large = f"{quote(name)} NOT BETWEEN -{EXACT_INTEGER} AND {EXACT_INTEGER}"
            if connection.execute(
                f"SELECT 1 FROM {scan(schema.path)} WHERE {large} LIMIT 1"
            ).fetchone():
                problem = f"{schema.path}: column {name!r} holds whole numbers that floating point, as in other files, would round"
                raise BadInput(problem, "give the column one type in all files")


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
