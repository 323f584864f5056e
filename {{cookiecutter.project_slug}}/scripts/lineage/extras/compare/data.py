"""Compare two versions of data: their rows by the key columns, and their columns."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lineage.tables.engine import open_engine
from lineage.tables.parquet_files import scan
from lineage.tables.parts import parts_of
from lineage.tables.sql import Engine, quote, quote_all
from lineage.tracked.remote import link_objects, listing


@contextmanager
def recorded_data(root: Path, md5: str) -> Iterator[Path]:
    """Give recorded data, a file or a folder of parts, a path for a while, only to be read.

    Args:
        root: the project's root.
        md5: the hash; an object of the cache has no suffix to tell its format by.

    Raises:
        Refused: an object is in neither the cache nor the remote, or only a damaged one is.
    """
    with TemporaryDirectory(prefix="lineage-") as folder:
        place = Path(folder, "data.parquet")
        link_objects(root, listing(root, md5), place)
        yield place


def compare_data(
    left: Path,
    right: Path,
    keys: Sequence[str],
) -> dict[str, tuple[Any, Any]]:
    """Compare two data sets.

    Where the types of a column differ, numbers are compared by value and everything else as text.

    Args:
        left, right: parquet files, or folders of parts; parts of both are not read.
        keys: columns that make two rows the same row; empty, or not in both files: the whole row.

    Returns:
        `rows` of each; `rows added`, `rows removed`, `rows changed` (None and a count); for each
        column that is not the same in both, `column NAME`: its types.

    Raises:
        BadInput: a file is not parquet.
    """
    with open_engine() as engine:
        files = parts_of(left)
        others = parts_of(right)
        old = _column_types(engine, files[-1])
        new = _column_types(engine, others[-1])
        shared = [name for name in old if name in new]
        columns = [_comparable(name, old[name] == new[name]) for name in shared]
        selected = ", ".join(columns) or "1 AS nothing"
        gone = scan(_unlike(files, others))
        come = scan(_unlike(others, files))
        engine.execute(f"CREATE TEMP VIEW before AS SELECT {selected} FROM {gone}")
        engine.execute(f"CREATE TEMP VIEW after AS SELECT {selected} FROM {come}")
        key = quote_all(keys if keys and set(keys) <= set(shared) else shared) or "*"
        whole = quote_all(shared) or "*"
        found = _count_rows(engine, key, whole, scan(files), scan(others))
    for name in old | new:
        if old.get(name) != new.get(name):
            found[f"column {name}"] = (old.get(name), new.get(name))
    return found


def _unlike(parts: Sequence[Path], others: Sequence[Path]) -> list[Path]:
    """Leave out parts that are among the others, bytes and number; not the last, without rows."""
    known = {part.name for part in others}
    *more, record = parts
    return [*(part for part in more if part.name not in known), record]


def _count_rows(
    engine: Engine,
    key: str,
    whole: str,
    *files: str,
) -> dict[str, tuple[Any, Any]]:
    """Count all rows of both sides, and those that only one of `before` and `after` has."""
    before, after, added, removed, new = engine.execute(f"""
        SELECT
            (SELECT count(*) FROM {files[0]}),
            (SELECT count(*) FROM {files[1]}),
            (SELECT count(*) FROM (SELECT {key} FROM after EXCEPT ALL SELECT {key} FROM before)),
            (SELECT count(*) FROM (SELECT {key} FROM before EXCEPT ALL SELECT {key} FROM after)),
            (SELECT count(*) FROM (SELECT {whole} FROM after EXCEPT ALL SELECT {whole} FROM before))
        """).fetchone()
    return {
        "rows": (before, after),
        "rows added": (None, added),
        "rows removed": (None, removed),
        "rows changed": (None, new - added),
    }


def _column_types(engine: Engine, file: Path) -> dict[str, str]:
    return {row[0]: row[1] for row in engine.execute(f"DESCRIBE FROM {scan(file)}").fetchall()}


def _comparable(name: str, one_type: bool) -> str:
    """Write the column of a SELECT whose values compare although its type differs in the files."""
    column = quote(name)
    if one_type:
        return column
    return f"coalesce(TRY_CAST({column} AS DOUBLE)::VARCHAR, {column}::VARCHAR) AS {column}"
