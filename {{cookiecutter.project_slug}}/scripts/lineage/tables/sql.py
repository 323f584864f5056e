"""SQL text, built by pure functions from quoted names, and what takes it."""

import string
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

ASCII_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


class Engine(Protocol):
    """A connection to SQLite or DuckDB."""

    def execute(self, query: str, /) -> Any: ...


def fold(name: str) -> str:
    """The form by which SQLite and DuckDB tell names apart: both look past the case of ASCII letters, and of no others."""
    return name.translate(ASCII_LOWER)


def quote(name: str) -> str:
    """Quote an identifier for SQLite and DuckDB (both follow the SQL standard: double quotes, doubled inside)."""
    return '"' + name.replace('"', '""') + '"'


def quote_all(names: Iterable[str]) -> str:
    """Quote identifiers and join them with commas."""
    return ", ".join(quote(name) for name in names)


def text(value: str) -> str:
    """Quote a string literal."""
    return "'" + value.replace("'", "''") + "'"


def all_of(conditions: Sequence[str]) -> str:
    """Join conditions by AND, as a balanced tree: SQLite refuses expressions that are more than 1,000 deep."""
    if len(conditions) < 3:
        return " AND ".join(conditions)
    half = len(conditions) // 2
    return f"({all_of(conditions[:half])}) AND ({all_of(conditions[half:])})"


def same(left: str, right: str, columns: Sequence[str], filled: Sequence[str] = ()) -> str:
    """Compare two aliases on `columns`; NULL equals NULL.

    An anti-join written with `NOT IN` or `=` finds nothing new as soon as one key is NULL. SQLite and DuckDB both read
    this spelling; SQLite since 3.39 (2022).

    Args:
        left, right: the aliases. In SQLite the collation of `right` counts, which is written first.
        columns: what is compared.
        filled: columns that hold no NULL on one side. There `=` says the same, and DuckDB skips the parts of a file
            whose values lie outside those that are looked for.
    """
    signs = ("=" if name in filled else "IS NOT DISTINCT FROM" for name in columns)
    return all_of(
        [f"{right}.{quote(name)} {sign} {left}.{quote(name)}" for name, sign in zip(columns, signs)]
    )


SOURCE, ROW = "lineage source", "lineage row"
"""Columns of the incoming side: the number of a row's source, and a number of its own that rises in the order of the files.

`rowid` would not do: a column of that name hides it.
"""

NUMBER = quote(ROW)

RESERVED = frozenset({SOURCE, ROW})
