"""Types that parquet has no word for (categories, durations, time zones), and what pandas noted about a table.

pandas, polars and pyarrow keep them in a file's metadata, which DuckDB neither reads nor writes.
"""

import base64
import json
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lineage.errors import BadInput
from lineage.parquet_files import Schema, copy_statement, escaped
from lineage.sql import Engine, fold, quote

ARROW = "ARROW:schema"


def merged_metadata(
    connection: Engine, base: Sequence[Schema], others: Sequence[Schema], columns: dict[str, str]
) -> dict[str, str]:
    """Describe the columns of a merged file: types that parquet has no word for, and what pandas noted.

    Where files differ in a type, it is what parquet says.

    Args:
        connection: to any database.
        base: the base's files, whose notes count first.
        others: the other files; their order does not matter.
        columns: names and DuckDB types of the merged file.
    Returns:
        its metadata; none where no file has such.
    Raises:
        BadInput: a duration is counted in one unit here, and in another one there.
    """
    paths = ", ".join(escaped(schema.path) for schema in (*base, *others))
    marked = f"SELECT 1 FROM parquet_kv_metadata([{paths}]) WHERE key = '{ARROW}'::BLOB LIMIT 1"
    if not connection.execute(marked).fetchone():
        return {}
    import pyarrow
    from pyarrow.parquet import read_schema

    sides = [[read_schema(schema.path) for schema in side] for side in (base, others)]
    kinds = defaultdict[str, set[Any]](set)
    for field in chain.from_iterable(chain.from_iterable(sides)):
        kinds[fold(field.name)] |= {field.type} - {pyarrow.null()}
    hints = []
    for name in columns:
        if len(found := kinds[fold(name)]) > 1 and "duration" in str(found):
            problem = f"column {name!r} is {' and '.join(sorted(map(str, found)))}"
            raise BadInput(problem, "give the column one type in all files")
        no_hint = len(found) != 1 or "fixed_size_list" in str(found)  # of which pyarrow cannot read back a NULL
        hints.append((name, pyarrow.null() if no_hint else next(iter(found))))
    notes = [sorted(filter(None, ((schema.metadata or {}).get(b"pandas") for schema in side))) for side in sides]
    metadata = {}
    for note in (notes[0] or notes[1])[:1]:
        agreed, told = {name for name, found in kinds.items() if len(found) == 1}, json.loads(note)
        noted = [column for column in told["columns"] if fold(str(column["field_name"])) in agreed]
        index = [name for name in told["index_columns"] if isinstance(name, str) and fold(name) in agreed]  # no range
        labels = told.get("column_indexes", []) if len(noted) == len(columns) else []  # they are those of all columns
        metadata["pandas"] = json.dumps({**told, "columns": noted, "index_columns": index, "column_indexes": labels})
    with TemporaryDirectory(prefix="lineage-") as folder:
        empty = ", ".join(f"NULL::{kind} AS {quote(name)}" for name, kind in columns.items())
        hinted = {ARROW: _serialize(pyarrow.schema(hints))}
        connection.execute(copy_statement(f"SELECT {empty} LIMIT 0", Path(folder, "empty"), hinted))
        fitting = read_schema(Path(folder, "empty"))  # each type is a hint that was taken, or what parquet says
    fields = [(field.name, field.type) for field in fitting]
    return {ARROW: _serialize(pyarrow.schema(fields, metadata)), **metadata}


def _serialize(schema: Any) -> str:
    return base64.b64encode(schema.serialize()).decode()
