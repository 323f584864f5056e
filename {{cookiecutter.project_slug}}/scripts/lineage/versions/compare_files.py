"""Compare two parquet files: rows of data by their key columns, predictions by their items."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lineage.tables.engine import open_engine
from lineage.tables.parquet_files import scan
from lineage.tables.parts import parts_of
from lineage.tables.sql import Engine, quote, quote_all

ITEM_COLUMNS = {"track_id", "item_id", "predicted"}
"""What predictions must have, so that they can be compared."""


class Difference(NamedTuple):
    """One line of a comparison; what cannot be known is None.

    Attributes:
        section: `params`, `metrics`, `data`, `predictions` or `code`.
        name: what is compared.
        v1, v2: its value in both versions.
    """

    section: str
    name: str
    v1: Any = None
    v2: Any = None


NOT_RECORDED = Difference(
    "predictions",
    f"items in both ({', '.join(sorted(ITEM_COLUMNS))} not recorded)",
)

PAIRS = """
CREATE TEMP TABLE pairs AS
WITH
    earlier AS (
        SELECT
            item_id,
            item_id::VARCHAR AS item,
            row_number() OVER (PARTITION BY item_id ORDER BY file_row_number) AS place,
            predicted AS was
        FROM before
    ),
    later AS (
        SELECT
            item_id::VARCHAR AS item,
            row_number() OVER (PARTITION BY item_id ORDER BY file_row_number) AS place,
            predicted AS became
        FROM after
    )
SELECT item_id, item, place, was, became, was IS DISTINCT FROM became AS flipped
FROM earlier JOIN later USING (item, place)
"""
"""Predictions of one item that stands in both files, in the first place, the second, …"""


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


def compare_predictions(
    left: Path,
    right: Path,
    limit: int,
) -> list[Difference]:
    """Compare what two runs predicted for the items that both know.

    An item may be predicted twice: its first prediction is compared with the other's first.

    Args:
        left, right: the runs' parquet files.
        limit: at most so many flipped items are named, in the order of their ids.

    Returns:
        How many items both predicted, of how many of them the prediction differs, and some of
        those; one line that says so where a file lacks one of `ITEM_COLUMNS`.

    Raises:
        BadInput: a file is not parquet, or the predictions are of types that cannot be compared.
    """
    with open_engine() as engine:
        for view, file in (("before", left), ("after", right)):
            if ITEM_COLUMNS - _column_types(engine, file).keys():
                return [NOT_RECORDED]
            engine.execute(f"CREATE TEMP VIEW {view} AS FROM {scan(file, numbered=True)}")
        engine.execute(PAIRS)
        counts = engine.execute("SELECT count(*), count(*) FILTER (flipped) FROM pairs")
        items, flipped = counts.fetchone()
        samples = engine.execute(f"""
            SELECT item, was, became FROM pairs WHERE flipped ORDER BY item_id, place LIMIT {limit}
            """).fetchall()
    lines = [
        Difference("predictions", "items in both", items, items),
        Difference("predictions", "flipped", None, flipped),
    ]
    for item, was, became in samples:
        lines.append(Difference("predictions", f"item {item}", was, became))
    return lines


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
