"""The relations of `lineage.sql`: rows of worktrees, versions and runs, side by side in DuckDB."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lineage.core.errors import BadInput
from lineage.core.paths import DATABASE, PARAMS, PREDICTIONS
from lineage.core.version_numbers import VERSION
from lineage.extras.predictions_table.sqlite_values import read_values
from lineage.extras.show.versions import find_predictions
from lineage.results.leaderboard import existing_database
from lineage.results.version_results import Results, find_results
from lineage.tables.parquet_files import escaped
from lineage.tables.sql import Engine, text

RELATIONS = ("metrics", "events", "predictions")
"""Tables of the results databases; and files."""

NO_ROWS = """
    SELECT NULL::VARCHAR AS source, NULL::VARCHAR AS track_id,
           NULL::VARCHAR AS timestamp, NULL::BIGINT AS step
    WHERE FALSE
"""
"""What a relation is where no state has anything for it."""


class State(NamedTuple):
    """Where the rows of a state are. Equal ones are read once: versions may differ in words only.

    Attributes:
        database: the results database.
        where: the condition of those of its rows that belong to the state, for SQLite.
        predictions: the files of their predictions.
    """

    database: Path
    where: str
    predictions: tuple[Path, ...]


States = Mapping[State, Sequence[str]]
"""States, and the names that they are asked for by."""


def is_version(name: str) -> bool:
    """Tell a version from the id of a run and from a folder."""
    return re.fullmatch(VERSION, name) is not None


def find_state(root: Path, name: str) -> State:
    """Find a state.

    Args:
        root: the project's root.
        name: the folder of a project, relative to `root`; a version, whose runs are those of its
            tag; or the id of a run of this working tree.

    Raises:
        BadInput: it is nothing of these, or there is no database.
        Refused: there is no such version, or its files are nowhere.
    """
    folder = root / name
    if (folder / PARAMS).is_file():
        files = sorted((folder / PREDICTIONS).glob("*.parquet"))
        return State(existing_database(folder / DATABASE), "TRUE", tuple(files))
    results = find_results(root, name) if is_version(name) else _one_run(name)
    ids = json.dumps([run["track_id"] for run in results.runs])
    where = f"track_id IN (SELECT value FROM json_each({text(ids)}))"
    found = [find_predictions(root, results, run) for run in results.runs]
    return State(results.database, where, tuple(filter(None, found)))


def _one_run(name: str) -> Results:
    from lineage.models.run_model import open_models

    models = open_models()
    runs = models.best_runs(track_ids=[name])
    if not runs:
        raise BadInput(
            f"{name!r} is no version, no run of {DATABASE}, and no folder of a project",
            "python scripts/experiment_explorer.py list",
        )
    return Results(None, models.database, runs, {})


def make_relation(engine: Engine, name: str, states: States) -> None:
    """Line up what some states have, by the names of the columns; NULL where one lacks a column.

    Args:
        engine: where the relation is made.
        name: one of `RELATIONS`.
        states: whose rows stand below each other; the column `source` tells them apart. A column
            of their own that is called so becomes `source_1`.

    Raises:
        BadInput: a database cannot be read.
    """
    parts = []
    for number, (state, names) in enumerate(states.items()):
        rows = f"{name}_{number}"
        if name == "predictions":
            files = ", ".join(map(escaped, state.predictions))
            rows = f"read_parquet([{files}], union_by_name = true, hive_partitioning = false)"
            is_there = bool(files)
        else:
            is_there = read_values(engine, state.database, name, rows, state.where)
        if is_there:
            sources = ", ".join(map(text, names))
            own = f"SELECT unnest([{sources}]) AS source, rows.* FROM {rows} AS rows"
            parts.append(f"SELECT * FROM ({own})")
    lined_up = " UNION ALL BY NAME ".join(parts or [NO_ROWS])
    engine.execute(f"CREATE TEMP VIEW {name} AS {lined_up}")
