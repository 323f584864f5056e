"""Compose what Arrow and pandas note (categories, zones, `PANDAS_COLUMN`) for a merged file.

pandas, polars and pyarrow keep them in a file's metadata, which DuckDB neither reads nor writes:
Arrow's schema under `ARROW:schema`, and beside it what pandas noted of its own types and its index.
Other programs have notes of their own, as `geo` and `huggingface`.
"""

import base64
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lineage.core.errors import BadInput
from lineage.extras.arrow_types.exact_copy import pyarrow_reads
from lineage.tables.parquet_files import Columns, Schema, copy_statement, escaped, no_rows
from lineage.tables.sql import Engine, fold

ARROW_KEY = "ARROW:schema"
NOTES = r"""
    WITH notes AS (
        SELECT file_name, coalesce(TRY(decode(key)), key::VARCHAR) AS key,
               TRY(decode(value)) AS note
        FROM parquet_kv_metadata({files})
    ),
    of_any_rows AS (
        SELECT file_name, key, CASE WHEN key <> 'geo' THEN note ELSE regexp_replace(
            regexp_replace(note, ',\s*"bbox"\s*:\s*\[[^]]*\]|"bbox"\s*:\s*\[[^]]*\]\s*,', '', 'g'),
            '"geometry_types"\s*:\s*\[[^]]*\]', '"geometry_types": []', 'g'
        ) END AS note
        FROM notes
    )
    SELECT key, CASE WHEN count(DISTINCT file_name) = {count} AND count(DISTINCT note) = 1
                     THEN any_value(note) END
    FROM of_any_rows
    WHERE key <> 'lineage_sources' AND NOT starts_with(key, 'duckdb.')
    GROUP BY key
    ORDER BY key
"""
"""Notes of all files: their key, and their text if it is the same everywhere.

What GeoParquet notes of the extent of the rows may be left out; no types mean any.
"""

DURATION = re.compile(r"duration\[\w+\]")
"""A type that parquet stores as a number, as Arrow spells it."""

PANDAS_COLUMN = ("name", "pandas_type", "numpy_type", "metadata")
"""What pandas notes about a column, besides the name of the field."""


def compose(
    engine: Engine,
    base: Sequence[Schema],
    others: Sequence[Schema],
    columns: Columns,
) -> tuple[dict[str, str], list[str]]:
    """Compose the metadata of a merged file: columns as Arrow and pandas describe them, and notes.

    The first file that has a column counts: those of the base, then the others in an order of
    their own. Of notes of other programs those are kept on which all files agree. Arguments and
    errors are those of `tables.arrow_metadata`, which knows that there are notes.
    """
    files = sorted({schema.path for schema in (*base, *others)})
    found = engine.execute(NOTES.format(files=escaped(files), count=len(files))).fetchall()
    known = [_read(schema.path) for schema in base]
    incoming = [_read(schema.path) for schema in others]
    incoming.sort(key=lambda schema: schema.serialize().to_pybytes())
    schemas = known + incoming
    schema = _as_written(engine, columns, _first_fields(schemas))
    notes = {key: note for key, note in found if key not in (ARROW_KEY, "pandas")}
    agreed = {key: notes[key] for key in notes if notes[key] is not None}
    agreed |= _pandas_notes(schemas, schema)
    lost = sorted(notes.keys() - agreed)
    return {ARROW_KEY: _encoded(schema.with_metadata(agreed)), **agreed}, lost


def _read(path: Path) -> Any:
    """Read the Arrow schema of a parquet file."""
    from pyarrow.parquet import read_schema

    with pyarrow_reads(path):
        return read_schema(path)


def _encoded(schema: Any) -> str:
    message = schema.serialize()
    return base64.b64encode(message).decode()


def _first_fields(schemas: Sequence[Any]) -> dict[str, Any]:
    """Find the first field of each column that is more than NULL, by its name in small letters."""
    import pyarrow

    first: dict[str, Any] = {}
    for schema in schemas:
        for field in schema:
            if field.type == pyarrow.null():
                continue
            name = fold(field.name)
            kind = _storable(field.type)
            known = first.setdefault(name, field.with_type(kind)).type
            spelled = sorted([str(kind), str(known)])
            if DURATION.findall(spelled[0]) != DURATION.findall(spelled[1]):
                problem = f"column {name!r} is {' and '.join(spelled)}"
                raise BadInput(problem, "give the column one type in all files")
    return first


def _storable(kind: Any) -> Any:
    """Change a type to one that DuckDB stores and pyarrow reads back, whatever rows come."""
    import pyarrow
    from pyarrow import types

    if types.is_dictionary(kind):  # other files may have more categories, in an order of their own
        if kind.ordered:
            return kind.value_type
        return pyarrow.dictionary(pyarrow.int32(), kind.value_type)
    if types.is_timestamp(kind) and kind.unit in ("s", "ms"):
        return pyarrow.timestamp("us", kind.tz)
    if types.is_nested(kind):
        return _storable_nested(kind)
    return kind


def _storable_nested(kind: Any) -> Any:
    """Change the types inside a type."""
    import pyarrow
    from pyarrow import types

    if types.is_large_list(kind):
        return pyarrow.large_list(_storable(kind.value_type))
    if types.is_list(kind) or types.is_fixed_size_list(kind):  # NULL would have no fixed size
        return pyarrow.list_(_storable(kind.value_type))
    if types.is_struct(kind):
        fields = [(field.name, _storable(field.type)) for field in kind]
        return pyarrow.struct(fields)
    if "dictionary" in str(kind):
        return pyarrow.null()
    return kind


def _as_written(engine: Engine, columns: Columns, fields: dict[str, Any]) -> Any:
    """Let DuckDB write an empty file whose metadata names `fields`, and read its Arrow schema.

    pyarrow follows the metadata only where it fits what is stored.
    """
    import pyarrow

    nothing = pyarrow.field("", pyarrow.null())
    named = [fields.get(fold(name), nothing).with_name(name) for name in columns]
    metadata = {ARROW_KEY: _encoded(pyarrow.schema(named))}
    with TemporaryDirectory(prefix="lineage-") as folder:
        file = Path(folder, "empty.parquet")
        engine.execute(copy_statement(no_rows(columns), file, metadata))
        return _read(file)


def _pandas_notes(schemas: Sequence[Any], merged: Any) -> dict[str, str]:
    """Gather what pandas noted about columns that are stored as they were, and about the index."""
    fields = {fold(field.name): field for field in merged}
    columns: dict[str, Any] = {}
    index: list[str] = []
    first: dict[str, Any] = {}
    for schema in schemas:
        # no notes, or such as pandas does not write
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            notes = schema.pandas_metadata
            for column in notes["columns"]:
                field = fields[fold(column["field_name"])]
                kind = _storable(schema.field(column["field_name"]).type)
                if field.name in columns or kind != field.type:
                    continue
                if field.name in notes["index_columns"]:
                    index.append(field.name)
                columns[field.name] = {key: column[key] for key in PANDAS_COLUMN}
                columns[field.name]["field_name"] = field.name
            first = first or notes
    if not first:
        return {}
    is_whole = len(columns) == len(fields)  # labels are noted for all columns together
    merged_notes = {
        **first,
        "columns": [*columns.values()],
        "index_columns": index,
        "column_indexes": (is_whole and first.get("column_indexes")) or [],
    }
    return {"pandas": json.dumps(merged_notes)}
