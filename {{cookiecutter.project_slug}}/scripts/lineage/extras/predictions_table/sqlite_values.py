"""Read a SQLite table with one type for each column, as parquet and pandas need it."""

from pathlib import Path

from lineage.core.errors import BadInput
from lineage.tables.sql import Engine, quote
from lineage.tables.sqlite_files import affinity, describe_tables
from lineage.tables.sqlite_reading import open_read_only
from lineage.tables.sqlite_rows import Reading, insert_rows

ALL_ROWS = 1 << 30
"""One batch, so that the driver types a column by all of its values."""

MIXED = """
    min(nullif(replace(typeof({0}), 'integer', 'real'), 'null'))
    IS NOT max(nullif(replace(typeof({0}), 'integer', 'real'), 'null'))
"""
"""Whether a column holds both numbers and text, say; NULL goes with everything."""

TYPES = {"text": "::VARCHAR", "real": "::DOUBLE"}
"""The type of a column that is so declared, whatever is in it; of others, that of their values."""


def read_values(engine: Engine, path: Path, name: str, relation: str, where: str = "TRUE") -> bool:
    """Read a table of a database into a new temporary table; its rows keep their order.

    Args:
        engine: where the new table is made.
        path: the database; it is only read.
        name: of its table.
        relation: the new table.
        where: the condition of the rows, in SQLite's words.

    Returns:
        whether the database has a table of that name; otherwise none is made.

    Raises:
        BadInput: the database cannot be read, or a column holds both numbers and text, say.
    """
    with open_read_only(path) as connection:
        table = describe_tables(connection).get(name)
        if table is None:
            return False
        columns = {name: quote(name) for name in table.column_names}
        tests = ", ".join(map(MIXED.format, columns.values()))
        [mixed] = connection.execute(f"SELECT {tests} FROM {quote(name)} WHERE {where}")
    typed = []
    for column, is_mixed in zip(table.columns, mixed):
        if is_mixed:
            place = f"{path}: column {column.name!r} of table {name!r}"
            raise BadInput(f"{place} holds values of several types", "give the column one type")
        value = columns[column.name]
        typed.append(f"{value}{TYPES.get(affinity(column.type), '')} AS {value}")
    create = f"CREATE TEMP TABLE {relation} AS SELECT {', '.join(typed)} FROM stream"
    insert_rows(engine, [Reading(path, table, columns, where=where)], create, ALL_ROWS)
    return True
