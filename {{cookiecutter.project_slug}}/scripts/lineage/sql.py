"""SQL text, built by pure functions from quoted names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def quote(name: str) -> str:
    """Quote an identifier for SQLite and DuckDB (both follow the SQL standard: double quotes, doubled inside)."""
    return '"' + name.replace('"', '""') + '"'


def quote_all(names: Iterable[str]) -> str:
    """Quote identifiers and join them with commas."""
    return ", ".join(quote(name) for name in names)


def text(value: str) -> str:
    """Quote a string literal."""
    return "'" + value.replace("'", "''") + "'"


def same(left: str, right: str, columns: Sequence[str]) -> str:
    """Compare two aliases on `columns`; NULL equals NULL.

    An anti-join written with `NOT IN` or `=` finds nothing new as soon as one key is NULL. SQLite and DuckDB both read
    this spelling; SQLite since 3.39 (2022).
    """
    return " AND ".join(f"{left}.{quote(name)} IS NOT DISTINCT FROM {right}.{quote(name)}" for name in columns)


def check_name(name: str) -> str:
    """Return `name` when it can be a column or table name; raise ValueError when it cannot."""
    if not name.strip():
        raise ValueError("a name must not be empty")
    if any(ord(character) < 32 for character in name):
        raise ValueError("a name must not hold control characters")
    return name
