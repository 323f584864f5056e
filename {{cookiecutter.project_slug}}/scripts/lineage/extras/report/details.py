"""What is large, of some runs only: predictions, learning curves, artifacts."""

import base64
import mimetypes
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from lineage.core.errors import LineageError
from lineage.core.paths import ARTIFACTS, DATABASE, PREDICTIONS
from lineage.results.leaderboard import Row
from lineage.results.plots import CURVE_COLUMNS, curve_points
from lineage.tables.engine import open_engine
from lineage.tables.parquet_files import count_rows_of, escaped
from lineage.tables.sql import Engine

Runs = list[Row]
"""Rows of `metrics`, best first."""

Rows = Iterator[Sequence[Any]]
Tables = dict[str, tuple[Sequence[str], Iterable[Any]]]
"""What the page shows: names of columns, and rows. A run is named by its number."""

MOST_RUNS = 500
"""The details of so many runs are looked at."""

MOST_CURVES = 60
"""So many of them have their learning curves in the page."""

MOST_PREDICTIONS = 2_000_000
"""So many predictions are read; those of two runs are, however many they are."""

MOST_CELLS = 1600
"""So many pairs of actual and predicted a run has in the page: the most frequent."""

MOST_CLASSES = 60
"""More numbers than that are drawn as points, not as a matrix."""

MOST_COMPARED = 60
"""The items of so many of them are in the page, for runs side by side."""

MOST_FLIPS = 50_000
"""So many predictions of items are in the page on which runs do not agree."""

MOST_BYTES = 8_000_000
"""So many bytes of figures are in the page."""

MORE = "python scripts/experiment_explorer.py report --run ID"

SOME_RUNS = (
    "Predictions of {} of {} runs are in this page: promoted ones, the best of each version, and "
    "the best. Others: {}"
)

CELLS = f"""
SELECT number AS run, actual, predicted, count(*) AS items
FROM predictions
JOIN chosen USING (track_id)
GROUP BY number, actual, predicted
QUALIFY row_number() OVER (
    PARTITION BY number
    ORDER BY count(*) DESC, hash(actual), hash(predicted)
) <= {MOST_CELLS}
ORDER BY ALL
"""

IS_REGRESSION = f"""
SELECT count(DISTINCT label) > {MOST_CLASSES} AND count(label) = count(TRY_CAST(label AS DOUBLE))
FROM (
    SELECT unnest([actual::VARCHAR, predicted::VARCHAR]) AS label
    FROM predictions
    LIMIT 100_000
)
"""
"""Whether numbers were predicted, and not classes: so many labels tell."""

ITEMS = f"""
WITH
    items AS (
        SELECT
            number AS run,
            test,
            item_id,
            row_number() OVER (PARTITION BY number, item_id) AS place,
            actual::VARCHAR AS actual,
            predicted::VARCHAR AS predicted
        FROM predictions
        JOIN chosen USING (track_id)
        WHERE chosen.rowid < {MOST_COMPARED}
    ),
    disputed AS (
        SELECT test, item_id, place
        FROM items
        GROUP BY ALL
        HAVING count(DISTINCT coalesce(predicted, '')) > 1
    )
SELECT run, item_id::VARCHAR AS item, place, actual, predicted
FROM items
SEMI JOIN disputed USING (test, item_id, place)
ORDER BY item_id, place, run
LIMIT {MOST_FLIPS}
"""
"""Predictions of the items on which runs do not agree; an item may be predicted twice."""


def add_details(root: Path, tables: Tables, runs: Runs, order: Sequence[int]) -> dict[str, Any]:
    """Add the details of some runs to the tables of the page.

    Args:
        root: the project's root.
        tables: by name.
        runs: all of them.
        order: their numbers, those that count most first.

    Returns:
        `notes`: what is left out, by the part of the page that says so; `regression`: whether
        numbers were predicted, and not classes.
    """
    numbers = {runs[number]["track_id"]: number for number in order[:MOST_RUNS]}
    drawn = list(numbers)[:MOST_CURVES]
    points = curve_points(root / DATABASE, drawn) if drawn else ()
    curves = [(numbers[track_id], *point) for track_id, *point in points]
    tables["curves"] = ("run", *CURVE_COLUMNS[1:]), curves
    tables["files"] = ("run", "name", "bytes", "image"), files_of(root, numbers)
    tables |= {"cells": ((), ()), "items": ((), ())}
    notes = {}
    if curves and len(runs) > MOST_CURVES:
        notes["curves"] = f"Curves of at most {MOST_CURVES} runs are in this page. Others: {MORE}"
    is_regression = False
    try:
        is_regression = add_predictions(root, tables, notes, runs, numbers)
    except LineageError as error:
        notes["cells"] = f"Predictions cannot be read together: {error.problem}"
    return {"notes": notes, "regression": is_regression}


def add_predictions(
    root: Path, tables: Tables, notes: dict[str, str], runs: Runs, numbers: dict[str, int]
) -> bool:
    """Add the counts of actual and predicted, and the items on which runs do not agree.

    Args:
        root: the project's root.
        tables: by name.
        notes: what is left out, by the part of the page that says so; lines are added.
        runs: all of them.
        numbers: of those that are looked at, by their ids.

    Returns:
        whether numbers were predicted, and not classes.

    Raises:
        BadInput: their files cannot be read together.
    """
    paths = [root / PREDICTIONS / f"{track_id}.parquet" for track_id in numbers]
    files = list(filter(Path.is_file, paths))
    if not files:
        return False
    with open_engine() as engine:
        rows = count_rows_of(engine, files)
        totals = accumulate(rows[file] for file in files)
        fitting = sum(total <= MOST_PREDICTIONS for total in totals)
        taken = files[: max(2, fitting)]
        if len(taken) < len(runs):
            notes["cells"] = SOME_RUNS.format(len(taken), len(runs), MORE)
        columns = open_predictions(engine, taken, runs, numbers)
        if not {"actual", "predicted"} <= columns:
            return False
        tables["cells"] = read_table(engine, CELLS)
        if "item_id" in columns:
            tables["items"] = items = read_table(engine, ITEMS)
            if len(items[1]) == MOST_FLIPS:
                notes["flips"] = "Only the first items on which runs do not agree are in this page."
        return engine.execute(IS_REGRESSION).fetchall() == [(True,)]


def open_predictions(
    engine: Engine, files: Sequence[Path], runs: Runs, numbers: dict[str, int]
) -> set[str]:
    """Make the relations `predictions` and `chosen`; return the names of the columns.

    Args:
        engine: of DuckDB.
        files: of the runs that are chosen.
        runs: all of them.
        numbers: of runs, by their ids.
    """
    chosen = []
    for file in files:
        number = numbers[file.stem]
        test = str(runs[number].get("test_hash"))
        chosen.append({"track_id": file.stem, "number": number, "test": test})
    engine.execute("CREATE TEMP TABLE chosen AS SELECT unnest(?, recursive := true)", [chosen])
    engine.execute(f"""
        CREATE TEMP VIEW predictions AS
        FROM read_parquet({escaped(files)}, union_by_name = true, hive_partitioning = false)
    """)
    return set(engine.table("predictions").columns)


def read_table(engine: Engine, query: str) -> tuple[list[str], list[Any]]:
    """Read the result of a query, by the names that its columns have."""
    found = engine.sql(query)
    return found.columns, found.fetchall()


def files_of(root: Path, numbers: dict[str, int]) -> Rows:
    """Yield the artifacts of runs: number, name, size, and a figure as a `data:` address."""
    left = MOST_BYTES
    for track_id, number in numbers.items():
        folder = root / ARTIFACTS / track_id
        for path in sorted(filter(Path.is_file, folder.rglob("*"))):
            size = path.stat().st_size
            kind = mimetypes.guess_type(path.name)[0] or ""
            image = None
            if kind.startswith("image/") and size <= left:
                left -= size
                image = f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
            yield number, path.relative_to(folder).as_posix(), size, image
