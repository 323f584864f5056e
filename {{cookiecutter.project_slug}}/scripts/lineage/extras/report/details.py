"""What is large, of some runs only: predictions, learning curves, artifacts."""

import base64
import mimetypes
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from lineage.core.errors import LineageError
from lineage.core.paths import ARTIFACTS, DATABASE, PREDICTIONS
from lineage.results.chosen_by import Row
from lineage.results.plots import CURVE_COLUMNS, curve_points
from lineage.tables.engine import open_engine
from lineage.tables.parquet_files import count_rows_of, escaped
from lineage.tables.sql import Engine

Columns = tuple[str, ...]
Table = tuple[Columns, Sequence[Sequence[Any]]]
"""Names of columns, and rows."""

MOST_RUNS = 500
"""The details of so many runs are looked at."""

MOST_CURVES = 60
"""So many of them have their learning curves in the page."""

MOST_PREDICTIONS = 2_000_000
"""So many predictions are read; those of two runs are, however many they are."""

MOST_CELLS = 1600
"""So many pairs of actual and predicted a run has in the page: the most frequent."""

MOST_COMPARED = 60
"""The items of so many of them are in the page, for runs side by side."""

MOST_FLIPS = 50_000
"""So many predictions of items are in the page on which runs do not agree."""

MOST_BYTES = 8_000_000
"""So many bytes of figures are in the page."""

MORE = "python scripts/experiment_explorer.py report --run ID"

CELLS = f"""
SELECT number, actual::VARCHAR AS actual, predicted::VARCHAR AS predicted, count(*) AS items
FROM predictions
JOIN chosen USING (track_id)
GROUP BY number, predictions.actual, predictions.predicted
QUALIFY row_number() OVER (
    PARTITION BY number
    ORDER BY count(*) DESC, hash(predictions.actual), hash(predictions.predicted)
) <= {MOST_CELLS}
ORDER BY number, predictions.actual, predictions.predicted
"""

ITEMS = f"""
WITH
    items AS (
        SELECT
            number,
            test,
            item_id,
            row_number() OVER (PARTITION BY number, item_id) AS place,
            actual,
            predicted
        FROM predictions
        JOIN chosen USING (track_id)
        WHERE place_of_run <= {MOST_COMPARED}
    ),
    disputed AS (
        SELECT test, item_id, place
        FROM items
        GROUP BY ALL
        HAVING count(DISTINCT coalesce(predicted::VARCHAR, '')) > 1
    )
SELECT number, item_id::VARCHAR AS item, place, actual::VARCHAR, predicted::VARCHAR
FROM items
SEMI JOIN disputed USING (test, item_id, place)
ORDER BY item_id, place, number
LIMIT {MOST_FLIPS}
"""
"""Predictions of the items on which runs do not agree; an item may be predicted twice."""


def add_details(
    root: Path, notes: dict[str, str], runs: list[Row], first: Sequence[int]
) -> dict[str, Table]:
    """Read the details of some runs.

    Args:
        root: the project's root.
        notes: what is left out, by the part of the page that says so; lines are added.
        runs: all of them.
        first: numbers of those that count most; after them come the best.

    Returns:
        tables by name. A run is named by its number.
    """
    order = list(dict.fromkeys([*first, *range(len(runs))]))[:MOST_RUNS]
    numbers = {runs[number]["track_id"]: number for number in order}
    curves: list[Sequence[Any]] = []
    if runs:
        for track_id, *point in curve_points(root / DATABASE, list(numbers)[:MOST_CURVES]):
            curves.append((numbers[track_id], *point))
    if len(runs) > MOST_CURVES and curves:
        notes["curves"] = f"Curves of at most {MOST_CURVES} runs are in this page. Others: {MORE}"
    tables: dict[str, Table] = {"curves": (("run", *CURVE_COLUMNS[1:]), curves)}
    tables["files"] = (("run", "name", "bytes", "image"), list(files_of(root, numbers)))
    cells: list[Sequence[Any]] = []
    items: list[Sequence[Any]] = []
    try:
        cells, items = read_predictions(root, notes, runs, order)
    except LineageError as error:
        notes["cells"] = f"Predictions cannot be read together: {error.problem}"
    tables["cells"] = (("run", "actual", "predicted", "items"), cells)
    tables["items"] = (("run", "item", "place", "actual", "predicted"), items)
    return tables


def read_predictions(
    root: Path, notes: dict[str, str], runs: list[Row], order: Sequence[int]
) -> tuple[list[Any], list[Any]]:
    """Read the counts of actual and predicted, and the items on which runs do not agree.

    Args and errors: as for `add_details`; `order` holds the numbers of the runs.
    """
    places = {
        root / PREDICTIONS / f"{runs[number]['track_id']}.parquet": number for number in order
    }
    files = [file for file in places if file.is_file()]
    if not files:
        return [], []
    with open_engine() as engine:
        rows = count_rows_of(engine, files)
        totals = accumulate(rows[file] for file in files)
        fitting = sum(total <= MOST_PREDICTIONS for total in totals)
        taken = files[: max(2, fitting)]
        if len(taken) < len(runs):
            notes["cells"] = (
                f"Predictions of {len(taken)} of {len(runs)} runs are in this page: promoted ones, "
                f"the best of each version, and the best. Others: {MORE}"
            )
        chosen = [(runs[places[file]], places[file]) for file in taken]
        columns = open_predictions(engine, taken, chosen)
        cells = engine.execute(CELLS).fetchall() if {"actual", "predicted"} <= columns else []
        items = []
        if {"item_id", "actual", "predicted"} <= columns:
            items = engine.execute(ITEMS).fetchall()
        if len(items) == MOST_FLIPS:
            notes["flips"] = "Only the first items on which runs do not agree are in this page."
        return cells, items


def open_predictions(
    engine: Engine, files: Sequence[Path], chosen: Sequence[tuple[Row, int]]
) -> set[str]:
    """Make the relations `predictions` and `chosen`; return the names of the columns.

    Args:
        engine: of DuckDB.
        files: of the runs.
        chosen: their rows and numbers.
    """
    ids = [run["track_id"] for run, _ in chosen]
    tests = [str(run.get("test_hash")) for run, _ in chosen]
    engine.execute(
        "CREATE TEMP TABLE chosen AS "
        "SELECT unnest(?) AS track_id, unnest(?) AS test, unnest(?) AS number, "
        "generate_subscripts(?, 1) AS place_of_run",
        [ids, tests, [number for _, number in chosen], ids],
    )
    source = f"read_parquet({escaped(files)}, union_by_name = true, hive_partitioning = false)"
    engine.execute(f"CREATE TEMP VIEW predictions AS FROM {source}")
    return {row[0] for row in engine.execute("DESCRIBE predictions").fetchall()}


def files_of(root: Path, numbers: dict[str, int]) -> Iterator[Sequence[Any]]:
    """Yield the artifacts of runs: number, name, size, and a figure as a `data:` address."""
    left = MOST_BYTES
    for track_id, number in numbers.items():
        folder = root / ARTIFACTS / track_id
        for path in sorted(folder.rglob("*")):
            if path.is_dir():
                continue
            size = path.stat().st_size
            kind = mimetypes.guess_type(path.name)[0] or ""
            image = None
            if kind.startswith("image/") and size <= left:
                left -= size
                image = f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
            yield number, path.relative_to(folder).as_posix(), size, image
