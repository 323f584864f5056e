"""A run: what it is to do, how it ended, and the three files that it leaves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lineage.core import paths
from lineage.runs.model_file import model_name
from lineage.runs.run_database import Cell, Facts

Folders = tuple[str, str]
UNFINISHED: Folders = (paths.UNFINISHED_MODELS, paths.UNFINISHED_RUNS)
FINISHED: Folders = (paths.TRAINED_MODELS, paths.RUNS)
"""Folders of models, and of predictions and databases: where runs are made, and where DVC looks."""


@dataclass(frozen=True)
class Run:
    """One run to do.

    Attributes:
        track_id: its id.
        point: what the sweep changes, by key as in params.yaml.
        params: passed to `fit`.
        param_cells: the params as its row of `metrics` has them.
        facts: what else its row says and is known before it begins.
    """

    track_id: str
    point: dict[str, Any]
    params: dict[str, Any]
    param_cells: list[Cell]
    facts: Facts

    def described(self) -> str:
        """Say what the sweep changes: `model.C=0.1, model.name=ridge`."""
        changes = [f"{key}={value}" for key, value in self.point.items()]
        return ", ".join(changes) or "params as they stand"


@dataclass(frozen=True)
class Outcome:
    """How a run ended: with metrics (NaN: None), or with the error that stopped it."""

    run: Run
    metrics: dict[str, float | None]
    error: str | None = None


class RunFiles(NamedTuple):
    """The files of a run. A failed run has a database only.

    The database is made last, and holds the hashes of the others.
    """

    database: Path
    predictions: Path
    model: Path


def run_files(root: Path, folders: Folders, track_id: str) -> RunFiles:
    """Name the files of a run in the folders `UNFINISHED` or `FINISHED`."""
    models, runs = folders
    return RunFiles(
        root / runs / f"{track_id}.db",
        root / runs / f"{track_id}.parquet",
        root / models / model_name(track_id),
    )
