"""Compare what two runs predicted, item by item."""

from pathlib import Path
from typing import Any, NamedTuple

from lineage.tables.engine import open_engine
from lineage.tables.parquet_files import scan

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
            described = engine.execute(f"DESCRIBE FROM {scan(file)}").fetchall()
            if ITEM_COLUMNS - {row[0] for row in described}:
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
