"""Types that parquet has no word for (categories, durations, time zones), and what pandas noted about a table.

pandas, polars and pyarrow keep them in a file's metadata, which DuckDB neither reads nor writes.
"""

import base64
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lineage.core.errors import BadInput
from lineage.tables.parquet_files import Schema, copy_statement, escaped
from lineage.tables.sql import Engine, fold, quote

ARROW = "ARROW:schema"


def merged_metadata(
    connection: Engine, base: Sequence[Schema], others: Sequence[Schema], columns: dict[str, str]
) -> dict[str, str]:
    """Describe the columns of a merged file: types that parquet has no word for, and what pandas noted.

    The first file that has a column counts: those of the base, then the others in an order of their own.

    Args:
        connection: to any database.
        base: the base's files.
        others: the other files.
        columns: names and DuckDB types of the merged file.
    Returns:
        its metadata; none where no file has such.
    Raises:
        BadInput: a duration is counted in one unit here, and in another one there; or metadata cannot be read.
    """
    paths = ", ".join(escaped(schema.path) for schema in (*base, *others))
    marked = f"SELECT 1 FROM parquet_kv_metadata([{paths}]) WHERE key = '{ARROW}'::BLOB LIMIT 1"
    if not connection.execute(marked).fetchall():
        return {}
    import pyarrow

    known, incoming = ([_read(schema.path) for schema in side] for side in (base, others))
    schemas = known + sorted(incoming, key=lambda schema: schema.serialize().to_pybytes())
    kinds = defaultdict[str, list[Any]](list)
    for field in chain.from_iterable(schemas):
        kinds[fold(field.name)] += (
            [field.with_type(_stored(field.type))] if field.type != pyarrow.null() else []
        )
    for name, found in kinds.items():
        if len({tuple(re.findall(r"duration\[\w+\]", str(field.type))) for field in found}) > 1:
            problem = (
                f"column {name!r} is {' and '.join(sorted({str(field.type) for field in found}))}"
            )
            raise BadInput(problem, "give the column one type in all files")
    firsts = (
        [*kinds[fold(name)], pyarrow.field(name, pyarrow.null())][0].with_name(name)
        for name in columns
    )
    hints = pyarrow.schema(firsts)  # with what fields say of pandas' own types
    with TemporaryDirectory(prefix="lineage-") as folder:
        empty = ", ".join(f"NULL::{kind} AS {quote(name)}" for name, kind in columns.items())
        query, plain = f"SELECT {empty} LIMIT 0", Path(folder, "plain")
        connection.execute(
            copy_statement(query, plain, {ARROW: base64.b64encode(hints.serialize()).decode()})
        )
        fields = [
            field.with_nullable(True) for field in _read(plain)
        ]  # the hints that fit what is stored
    notes = _notes(schemas, {field.name: field.type for field in fields})
    return {ARROW: base64.b64encode(pyarrow.schema(fields, notes).serialize()).decode(), **notes}


def _read(path: Path) -> Any:
    import pyarrow
    from pyarrow.parquet import read_schema

    try:
        return read_schema(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise BadInput(
            f"{path}: the metadata cannot be read: {error}", "write the file anew"
        ) from None


def _stored(kind: Any) -> Any:
    """A type as DuckDB stores it, and pyarrow can read it back, whatever rows come."""
    import pyarrow
    from pyarrow import types

    if types.is_dictionary(kind):  # other files may have more categories, and an order of their own
        return (
            kind.value_type
            if kind.ordered
            else pyarrow.dictionary(pyarrow.int32(), kind.value_type)
        )
    if types.is_timestamp(kind) and kind.unit in ("s", "ms"):
        return pyarrow.timestamp("us", kind.tz)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        make = (
            pyarrow.large_list if types.is_large_list(kind) else pyarrow.list_
        )  # NULL would have no fixed size
        return make(_stored(kind.value_type))
    if types.is_struct(kind):
        return pyarrow.struct([(field.name, _stored(field.type)) for field in kind])
    return pyarrow.null() if "dictionary" in str(kind) else kind


def _notes(schemas: Sequence[Any], kinds: dict[str, Any]) -> dict[str, str]:
    """What pandas noted about columns that are stored as they were: their types there, and which of them are the index."""
    spelled, noted, whole = (
        {fold(name): name for name in kinds},
        dict[str, tuple[Any, bool]](),
        dict[str, Any](),
    )
    for schema in schemas:
        with suppress(
            ValueError, KeyError, TypeError, AttributeError
        ):  # no notes, or such as pandas does not write
            told = json.loads((schema.metadata or {})[b"pandas"])
            for column in told["columns"]:
                name = spelled[fold(column["field_name"])]
                if (
                    name not in noted
                    and _stored(schema.field(column["field_name"]).type) == kinds[name]
                ):
                    column = {
                        key: column[key]
                        for key in ("name", "pandas_type", "numpy_type", "metadata")
                    }
                    noted[name] = ({**column, "field_name": name}, name in told["index_columns"])
            whole = whole or told
    index = [name for name, (_, is_index) in noted.items() if is_index]
    labels = (
        whole.get("column_indexes") or [] if len(noted) == len(kinds) else []
    )  # of all columns together
    about = {
        "columns": [column for column, _ in noted.values()],
        "index_columns": index,
        "column_indexes": labels,
    }
    return {"pandas": json.dumps({**whole, **about})} if whole else {}
