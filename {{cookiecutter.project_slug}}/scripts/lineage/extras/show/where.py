"""Conditions on runs as users write them, as SQL: `model.C!=NULL` is `"model_C" IS NOT NULL`."""

import difflib
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from lineage.core.errors import BadInput
from lineage.core.paths import METRICS
from lineage.tables import sql
from lineage.tables.sqlite_files import Table, affinity, describe_tables
from lineage.tables.sqlite_reading import open_read_only

CONDITION = re.compile(r"([\w.]+)\s*(!=|<=|>=|=|<|>)\s*(.*)", re.DOTALL)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
NULL_TESTS = {"=": "IS NULL", "!=": "IS NOT NULL"}


def conditions_sql(database: Path, conditions: Iterable[str]) -> str:
    """Turn conditions on the rows of `metrics`, all of which hold, into one.

    Args and errors: as in `condition_sql`.
    """
    with open_read_only(database) as connection:
        table = describe_tables(connection)[METRICS]
    return " AND ".join(condition_sql(condition, table) for condition in conditions) or "TRUE"


def condition_sql(condition: str, table: Table) -> str:
    """Turn one condition into SQL; its value becomes a literal, so nothing in it is read as SQL.

    Args:
        condition: a column, `=`, `!=`, `<`, `<=`, `>` or `>=`, and a value; `NULL` stands for NULL.
        table: the table whose columns may be named; a dot in a name stands for `_`.

    Raises:
        BadInput: it is no condition, names no column, or its value cannot be one of the column.
    """
    found = CONDITION.fullmatch(condition)
    if found is None:
        raise BadInput(
            f"{condition!r} is not a condition",
            "write it as in --where model_C=1.0 --where 'f1_score>=0.9'",
        )
    column, operator, value = found.groups()
    name = column.replace(".", "_")
    kinds = {column.name: affinity(column.type) for column in table.columns}
    if name not in kinds:
        raise unknown_column(name, table.name, kinds)
    if value == "NULL" and operator in NULL_TESTS:
        return f"{sql.quote(name)} {NULL_TESTS[operator]}"
    is_number = NUMBER.fullmatch(value) is not None
    if kinds[name] in ("number", "real") and not is_number:
        raise BadInput(f"{condition!r}: {name} holds numbers, and {value!r} is none")
    if kinds[name] == "text" and operator not in NULL_TESTS:
        raise BadInput(f"{condition!r}: {name} holds text, which can be = or != only")
    compared_as = "NUMERIC" if is_number and kinds[name] != "text" else "TEXT"
    return f"{sql.quote(name)} {operator} CAST({sql.text(value)} AS {compared_as})"


def unknown_column(name: str, place: str, known: Collection[str]) -> BadInput:
    """Make the error that a name is not a column; it names the nearest ones."""
    near = difflib.get_close_matches(name, known, 3, 0.4) or known
    return BadInput(f"{name!r} is not a column of {place}; it has: {', '.join(near)}")
