"""Parts of SQL: names quoted, rows compared so that NULL equals NULL, column names of our own.

SQLite and DuckDB read one spelling.
"""

import string
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

ASCII_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)

Engine = Any
"""A connection to DuckDB, whose package is loaded only where it is used."""

SOURCE = "lineage source"
"""Column of incoming rows: the number of the file that a row comes from."""

ROW = "lineage row"
"""Column of base and incoming rows: each has a number of its own, rising in the files' order."""

FILE_ROW = "lineage file row"
"""Column of incoming rows of a database: the number of the row in its own file."""

ROWS_PER_FILE = 1 << 40
"""More than any file has: with it, the rows of several files have numbers of their own."""

OCCURRENCE = "lineage occurrence"
"""Column that tells equal rows of one file apart where rows have no key: 1 for the first, 2, …"""

EXACT = "lineage exact"
"""Column that tells rows apart whose values are other ones, and equal to DuckDB: 0.0 and -0.0."""

RESERVED = frozenset({SOURCE, ROW, FILE_ROW, OCCURRENCE, EXACT})


@lru_cache(maxsize=4096)
def fold(name: str) -> str:
    """Lower the ASCII letters of a name, and no others: so SQLite and DuckDB tell names apart."""
    return name.translate(ASCII_LOWER)


def quote(name: str) -> str:
    """Quote an identifier as the SQL standard does: double quotes, doubled inside."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def quote_all(names: Iterable[str], relation: str = "") -> str:
    """Quote identifiers, each of `relation` where one is given, and join them with commas."""
    prefix = f"{relation}." if relation else ""
    return ", ".join(prefix + quote(name) for name in names)


def text(value: str) -> str:
    """Quote a string literal."""
    doubled = value.replace("'", "''")
    return f"'{doubled}'"


def all_of(conditions: Sequence[str]) -> str:
    """Join conditions by AND, as a balanced tree: SQLite refuses expressions 1,000 deep."""
    if len(conditions) < 3:
        return " AND ".join(conditions) or "TRUE"
    half = len(conditions) // 2
    return f"({all_of(conditions[:half])}) AND ({all_of(conditions[half:])})"


def same(left: str, right: str, columns: Sequence[str], filled: Sequence[str] = ()) -> str:
    """Compare two relations on `columns`; NULL equals NULL, which `=` and NOT IN do not know.

    Args:
        left: name of a relation.
        right: name of another one. In SQLite its collation counts, since it is written first.
        columns: what is compared.
        filled: columns without a NULL on one side: there `=` says the same, and lets DuckDB
            skip the parts of a file whose values lie outside those that are looked for.
    """
    conditions = []
    for column in columns:
        sign = "=" if column in filled else "IS NOT DISTINCT FROM"
        conditions.append(f"{right}.{quote(column)} {sign} {left}.{quote(column)}")
    return all_of(conditions)
