"""Ask the extra `arrow_types` what Arrow and pandas note of a file; refuse such files without it.

Without `arrow_types` files are merged that have nothing but plain columns (numbers, flags, text,
days, times without a zone or of UTC), which are read the same without any notes. Others, as with
categories or an index, are refused.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lineage.core.errors import explain_missing
from lineage.tables.parquet_files import Columns, Schema, escaped
from lineage.tables.sql import Engine

NOTED = """
    SELECT file_name, bool_and(key::VARCHAR IN ('ARROW:schema', 'pandas'))
    FROM parquet_kv_metadata({})
    WHERE key::VARCHAR <> 'lineage_sources' AND NOT starts_with(key::VARCHAR, 'duckdb.')
    GROUP BY file_name
    ORDER BY file_name
"""
"""Files with notes, and whether these are of Arrow and pandas only."""

PLAIN = re.compile(
    r"u?int\d+|float(32|64)?|double|decimal128.*|bool|(large_)?(string|binary)(_view)?|object|str"
    r"|date32\[day\]|(timestamp|datetime64)\[\w+(, (tz=)?UTC)?\]"
)
"""Types, as Arrow and pandas spell them, that need no notes."""


def merged_metadata(
    engine: Engine, base: Sequence[Schema], others: Sequence[Schema], columns: Columns
) -> tuple[dict[str, str], list[str]]:
    """Compose the metadata of a merged file: columns as Arrow and pandas describe them, and notes.

    Args:
        engine: to any database.
        base: the base's files.
        others: the other files.
        columns: names and DuckDB types of the merged file.

    Returns:
        its metadata; none where no file has such. And the keys of notes that are left out.

    Raises:
        BadInput: a duration is counted in one unit here, and in another one there; metadata
            cannot be read; or a file has columns that are not plain, and the extra is not here.
    """
    files = sorted({schema.path for schema in (*base, *others)})
    noted = engine.execute(NOTED.format(escaped(files))).fetchall()
    if not noted:
        return {}, []
    try:
        from lineage.extras.arrow_types.metadata import compose
    except ModuleNotFoundError:
        for file, are_known in noted:
            if not (are_known and _is_plain(Path(file))):
                with explain_missing("arrow_types", file):
                    raise
        return {}, []
    return compose(engine, base, others, columns)


def _is_plain(file: Path) -> bool:
    """Tell whether a file reads the same without the notes of Arrow and pandas."""
    from pyarrow.parquet import read_schema

    with suppress(ValueError, KeyError, TypeError, OSError):  # notes that nobody can read
        schema = read_schema(file)
        notes = schema.pandas_metadata or {"columns": [], "index_columns": []}
        kinds = [str(kind) for kind in schema.types]
        kinds += [column["numpy_type"] for column in notes["columns"]]
        labels = [label["pandas_type"] for label in notes.get("column_indexes", ())]
        index = [column for column in notes["index_columns"] if isinstance(column, str)]
        has_more = index or notes.get("attributes") or labels not in ([], ["unicode"])
        return not has_more and all(map(PLAIN.fullmatch, kinds))
    return False
