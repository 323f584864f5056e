"""A session: the runs that one `train` has to do, and those that an earlier one, killed or failed, did already.

DVC takes a stage's outputs into its cache when the stage succeeds. So a run whose database is not in the cache belongs to
a session that did not end well. If all that it depends on is the same, it is kept; otherwise it is set aside.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import platform
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from lineage import layout
from lineage.databases import open_read_only
from lineage.errors import BadInput
from lineage.params import Params, Sweep
from lineage.recording import METRICS, Cell, Provenance, Value, param_cells
from lineage.records import cached_object, file_md5, folder_manifest, is_temporary, path_md5, recorded_output
from lineage.repository import code_state

PIPELINE_FILES = (layout.PIPELINE_LOCK, "results", "models", "data")
MAX_SEED = (1 << 32) - 1
"""The largest seed that numpy takes."""


@dataclass(frozen=True)
class Run:
    """One run to do.

    Attributes:
        track_id: its id.
        point: what the sweep changes, by key as in params.yaml.
        params: passed to `fit`.
        cells: the params as they are recorded.
        provenance: what every row says.
        facts: what its row of `metrics` says too; `run_hash` stands for all that the run depends on.
    """

    track_id: str
    point: dict[str, Any]
    params: dict[str, Any]
    cells: list[Cell]
    provenance: Provenance
    facts: dict[str, Value]

    def model_path(self, root: Path) -> Path:
        """Where its model lies."""
        return root / layout.TRAINED_MODELS / f"{self.track_id}_model.bin"

    def database_path(self, root: Path) -> Path:
        """Where its database lies."""
        return root / layout.RUNS / f"{self.track_id}.db"

    def described(self) -> str:
        """What the sweep changes, for people: `model.C=0.1, model.name=ridge`."""
        return ", ".join(f"{key}={value}" for key, value in self.point.items()) or "params as they stand"


def plan_runs(root: Path, params: Params, warn: Callable[[str], None]) -> list[Run]:
    """Work out the runs of a session: each point of the sweep once. Nothing is written.

    Args:
        root: the project's root.
        params: of params.yaml.
        warn: is told what cannot be traced.
    Raises:
        BadInput: a param cannot be recorded, or a seed cannot be one.
    """
    inputs = {name: _contents(root / name) for name in sorted(_inputs(root)) if (root / name).exists()}
    lock = root / "requirements.lock"
    facts: dict[str, Value] = {
        "test_hash": inputs[layout.TEST_DATA],
        "python": platform.python_version(),
        "lock_hash": file_md5(lock) if lock.is_file() else None,
    }
    points = list(sweep_points(params.sweep))
    shared = [inputs, params.experiment.version, facts, params.sweep.threads if len(points) > 1 else None]
    models = [_with_point(params.model, point) for point in points]
    provenance = describe_origin(root, params.experiment.version, inputs[layout.TRAIN_DATA], warn)
    began = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
    runs: dict[str, Run] = {}
    for point, model, cells in zip(points, models, param_cells(models)):
        text = json.dumps([*shared, model, cells], sort_keys=True, default=str)
        known_by = hashlib.md5(text.encode("utf-8"), usedforsecurity=False).hexdigest()
        own = {**facts, "platform": platform.platform(), "run_hash": known_by, "seed": _seed(model)}
        track_id = f"{began}-{secrets.token_hex(4)}"  # not from `random`, which users seed
        runs.setdefault(known_by, Run(track_id, point, model, cells, provenance, own))
    if len(runs) < len(points):
        warn(f"the sweep's {len(points)} points are {len(runs)} different runs; equal ones are done once")
    return list(runs.values())


def sweep_points(sweep: Sweep) -> Iterator[dict[str, Any]]:
    """Yield what each run changes: the product of `sweep.grid`, then `sweep.runs`; neither: one run that changes nothing."""
    if sweep.grid or not sweep.runs:
        for values in itertools.product(*sweep.grid.values()):
            yield dict(zip(sweep.grid, values))
    yield from sweep.runs


def _with_point(model: dict[str, Any], point: Mapping[str, Any]) -> dict[str, Any]:
    """Copy the section `model` and put the values of a point into it, at keys such as `model.optimizer.rate`."""
    changed = copy.deepcopy(model)
    for key, value in point.items():
        section, (_, *parents, name) = changed, key.split(".")
        for parent in parents:
            section = section[parent]
        section[name] = value
    return changed


def _seed(params: dict[str, Any]) -> int:
    seed = params.get("seed", 0)
    if type(seed) is not int or not 0 <= seed <= MAX_SEED:
        raise BadInput(
            f"params.yaml: model.seed: {seed!r} is not allowed; allowed: a whole number from 0 to {MAX_SEED}"
        )
    return seed


def _inputs(root: Path) -> set[str]:
    """The files and folders that training depends on: what dvc.yaml says, so that users add their own code there."""
    stages = yaml.safe_load((root / layout.PIPELINE).read_text(encoding="utf-8")).get("stages", {})
    listed = stages.get("train", {}).get("deps", [])
    return {layout.EXPERIMENT, layout.TRAIN_DATA, layout.TEST_DATA, *map(str, listed)}


def _contents(path: Path) -> Any:
    """The md5 of a file; of a folder, those of its files, without what Python leaves there when it runs."""
    if path.is_dir():
        return {name: md5 for name, md5 in folder_manifest(path).items() if "__pycache__" not in name}
    return file_md5(path)


def describe_origin(root: Path, version: str, data_hash: str, warn: Callable[[str], None]) -> Provenance:
    """Collect what every row of this session says about code and data.

    Args:
        root: the project's root.
        version: `experiment.version`.
        data_hash: md5 of the training data.
        warn: is told what cannot be traced.
    """
    code = code_state(root, written_by_pipeline=PIPELINE_FILES)
    lock = root / layout.PIPELINE_LOCK
    recorded = recorded_output(root, layout.TRAIN_DATA)
    if code.commit is None:
        warn("outside a Git repository, or before its first commit: rows cannot lead back to the code")
    if recorded is None or recorded.md5 != data_hash:
        warn(f"{layout.TRAIN_DATA} is not what dvc.lock records: rows cannot lead back to the data; use dvc repro")
    dirty = None if code.dirty is None else int(code.dirty)
    return Provenance(version, code.commit, dirty, data_hash, file_md5(lock) if lock.is_file() else None)


def sort_leftovers(root: Path, runs: list[Run], warn: Callable[[str], None]) -> tuple[set[str], list[Path]]:
    """Sort what earlier sessions left. Files that no run can use and nothing else holds are set aside, not deleted.

    Args:
        root: the project's root.
        runs: of this session.
        warn: is told what was set aside.
    Returns:
        the `run_hash` of each run that an unfinished session did already, and the files of finished sessions, which
        DVC has in its cache.
    """
    files = list[Path]()
    for folder in (root / layout.RUNS, root / layout.TRAINED_MODELS):
        folder.mkdir(parents=True, exist_ok=True)
        files += sorted(folder.iterdir())
    done, kept, earlier, stray = dict[str, Path](), set[Path](), list[Path](), list[Path]()
    wanted = {run.facts["run_hash"] for run in runs}
    for path in files:
        if is_temporary(path):  # of a run that was killed
            path.unlink()
        elif path in kept:  # asked first: an earlier session may have made, and DVC cached, a model of the same bytes
            continue
        elif cached_object(root, path_md5(path)):
            earlier.append(path)
        elif path.suffix == ".db" and (known_by := _complete(root, path)) in wanted - set(done):
            done[known_by] = path
            kept.add(root / layout.TRAINED_MODELS / f"{path.stem}_model.bin")
        else:
            stray.append(path)
    if stray:
        aside = root / layout.SET_ASIDE
        aside.mkdir(parents=True, exist_ok=True)
        for path in stray:
            path.replace(aside / path.name)
        what = "what runs left that failed, or had other code, data or params,"
        warn(f"{what} is now in {layout.SET_ASIDE}/ ({len(stray)} files)")
    return set(done), earlier


def _complete(root: Path, database: Path) -> str:
    """Read the `run_hash` of a run that ended well and whose model is there; otherwise return an empty text."""
    model = root / layout.TRAINED_MODELS / f"{database.stem}_model.bin"
    query = f"SELECT run_hash, model_hash FROM {METRICS} WHERE track_id = ? AND status = 'ok'"
    try:
        with open_read_only(database) as connection:
            known_by, model_hash = connection.execute(query, (database.stem,)).fetchone() or ("", "")
    except (BadInput, sqlite3.Error):
        return ""
    return known_by if model.is_file() and file_md5(model) == model_hash else ""
