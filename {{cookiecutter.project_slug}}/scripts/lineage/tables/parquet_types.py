"""Types of parquet columns: which of them fit each other, and which values they take for equal."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from lineage.core.errors import BadInput
from lineage.tables.parquet_files import NULL_TYPE, Columns, Schema, scan
from lineage.tables.sql import Engine, quote, text

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

FINER = {
    "TIMESTAMP": "TIMESTAMP_NS",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ_NS",
    "TIME": "TIME_NS",
}
"""Times to the microsecond, and to the nanosecond."""

AS_TEXT = re.compile(r"VARCHAR|BOOLEAN|DATE|TIME.*|UUID|JSON|DECIMAL.*|\w*INT\w*|FLOAT|DOUBLE")
"""Types whose values are one text each, wherever it is written."""

CAST_OPTION = "merge_artifacts.py … --cast text"
CAST_PARAM = "sed -i 's/  cast: none /  cast: text /' params.yaml"


def common_columns(
    schemas: Sequence[Schema], cast_text: bool = False, cast_option: str = CAST_OPTION
) -> Columns:
    """Line the columns of all files up by name, each with the widest of its types.

    Args:
        schemas: of the files.
        cast_text: what can be read from text becomes text where another file holds text.
        cast_option: how that is asked for, as messages say it.

    Raises:
        BadInput: a column is of types that do not fit each other.
    """
    columns: Columns = {}
    first: dict[str, Path] = {}
    for schema in schemas:
        for name, kind in schema.columns.items():
            known = columns.setdefault(name, kind)
            first.setdefault(name, schema.told)
            wider = widest(known, kind)
            can_cast = "VARCHAR" in (known, kind) and all(map(AS_TEXT.fullmatch, (known, kind)))
            if wider is None and cast_text and can_cast:
                wider = "VARCHAR"
            if wider is None:
                problem = f"{schema.told}: column {name!r} is {kind}, but {known} in {first[name]}"
                remedy = "give the column one type in all files"
                if can_cast:
                    remedy += f", or: {cast_option}"
                raise BadInput(problem, remedy)
            columns[name] = wider
    return columns


def check_exact(engine: Engine, schema: Schema, columns: Columns) -> None:
    """Raise `BadInput` where a value of a file is none of the type that its column becomes."""
    for name, kind in schema.columns.items():
        wider = columns[name]
        is_float = wider == "DOUBLE" and kind in ("BIGINT", "UBIGINT")
        if not (is_float or FINER.get(kind) == wider):
            continue
        value = quote(name)
        changed = f"TRY({value}::{wider}::{kind}) IS DISTINCT FROM {value}"
        [(sample,)] = engine.execute(f"""
            SELECT min({value}::VARCHAR) FILTER ({changed}) FROM {scan(schema.file)}
        """).fetchall()
        if sample is not None:
            problem = f"{schema.told}: column {name!r} holds {sample}, which {wider}, as in others"
            raise BadInput(f"{problem}, would change", "give the column one type in all files")


def widest(left: str, right: str) -> str | None:
    """Find the type that holds every value of both, or None: `widest(INTEGER, DOUBLE)` is DOUBLE.

    Whole numbers widen to larger ones and to floating point, times to nanoseconds; anything else
    must be equal.
    """
    if right in (left, NULL_TYPE) or FINER.get(right) == left:
        return left
    if left == NULL_TYPE or FINER.get(left) == right:
        return right
    if not {left, right} <= {*INTEGERS, *FLOATS}:
        return None
    if left in FLOATS or right in FLOATS:
        return "DOUBLE"
    wider = max(left, right, key=INTEGERS.index)
    is_mixed = (left in SIGNED_ABOVE) != (right in SIGNED_ABOVE)
    return SIGNED_ABOVE.get(wider, wider) if is_mixed else wider


def exact_values(columns: Mapping[str, str]) -> str:
    """Write the expression that tells values apart which DuckDB takes for equal.

    These are 0.0 and -0.0; and `1 month`, `30 days` and `720 hours`. NaN equals NaN, whatever its
    bits.

    Args:
        columns: names and types.

    Returns:
        an expression, empty for most rows.
    """
    import duckdb

    found = ["NULL"]
    for name, kind in columns.items():
        value = quote(name)
        called = text(f"{name} ")
        if re.search("INTERVAL|VARIANT", kind):
            found.append(f"{called} || {value}::VARCHAR")
        elif duckdb.__version__ < "2":  # which writes -0.0 as 0.0 where both occur
            continue
        elif kind in FLOATS:
            found.append(f"CASE WHEN {value} = 0 AND signbit({value}) THEN {called} || '-0.0' END")
        elif re.search("FLOAT|DOUBLE", kind):
            found.append(f"CASE WHEN {value}::VARCHAR LIKE '%-0.0%' THEN {value}::VARCHAR END")
    return f"concat_ws(', ', {', '.join(found)})"
