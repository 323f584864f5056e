"""A session: the runs that one `train` has to do, and those that an earlier one, killed or failed, did already.

Runs are written beside DVC's folders, and moved there when all have ended. So a stage that fails changes none of its outputs,
and what is unfinished waits until a session asks for the same: same code, data and params, by hash.
"""

import copy
import hashlib
import itertools
import json
import platform
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from lineage.core import paths
from lineage.core.console import Say
from lineage.core.errors import BadInput
from lineage.core.param_names import Value
from lineage.core.params import Params, Sweep
from lineage.runs.run_database import METRICS, Cell, Provenance, param_cells
from lineage.tables.sqlite_files import open_read_only
from lineage.tracked.cache import cached_object
from lineage.tracked.git import code_state
from lineage.tracked.hashes import file_md5, folder_manifest, is_temporary, path_md5
from lineage.tracked.recorded import recorded_md5

PIPELINE_FILES = (paths.PIPELINE_LOCK, "results", "models", "data")
PLACES = ((paths.UNFINISHED_RUNS, paths.RUNS), (paths.UNFINISHED_MODELS, paths.TRAINED_MODELS))
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
        """Where its model is written."""
        return root / paths.UNFINISHED_MODELS / f"{self.track_id}_model.bin"

    def database_path(self, root: Path) -> Path:
        """Where its database is written."""
        return root / paths.UNFINISHED_RUNS / f"{self.track_id}.db"

    def described(self) -> str:
        """What the sweep changes, for people: `model.C=0.1, model.name=ridge`."""
        return (
            ", ".join(f"{key}={value}" for key, value in self.point.items())
            or "params as they stand"
        )


def plan_runs(root: Path, params: Params, warn: Say) -> list[Run]:
    """Work out the runs of a session: each point of the sweep once. Nothing is written.

    Args:
        root: the project's root.
        params: of params.yaml.
        warn: is told what cannot be traced.
    Raises:
        BadInput: a param cannot be recorded, or a seed cannot be one.
    """
    inputs = {
        name: _contents(root / name) for name in sorted(_inputs(root)) if (root / name).exists()
    }
    facts: dict[str, Value] = {
        "test_hash": inputs[paths.TEST_DATA],
        "python": platform.python_version(),
    }
    facts["lock_hash"] = _contents(root / "requirements.lock")
    points = sweep_points(params.sweep)
    shared = [
        inputs,
        params.experiment.version,
        facts,
        params.sweep.threads if len(points) > 1 else None,
    ]
    models = [_with_point(params.model, point) for point in points]
    provenance = describe_origin(root, params.experiment.version, inputs[paths.TRAIN_DATA], warn)
    began = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
    runs: dict[str, Run] = {}
    for point, model, cells in zip(points, models, param_cells(models)):
        text = json.dumps([*shared, model, cells], sort_keys=True, default=str)
        known_by = hashlib.md5(text.encode("utf-8"), usedforsecurity=False).hexdigest()
        own = {**facts, "platform": platform.platform(), "run_hash": known_by, "seed": _seed(model)}
        # the id is not from `random`, which users seed
        runs.setdefault(
            known_by, Run(f"{began}-{secrets.token_hex(4)}", point, model, cells, provenance, own)
        )
    if len(runs) < len(points):
        warn(
            f"the sweep's {len(points)} points are {len(runs)} different runs; equal ones are done once"
        )
    return list(runs.values())


def sweep_points(sweep: Sweep) -> list[dict[str, Any]]:
    """List what each run changes: the product of `sweep.grid`, then `sweep.runs`; neither: one run that changes nothing."""
    products = itertools.product(*sweep.grid.values()) if sweep.grid or not sweep.runs else ()
    return [*(dict(zip(sweep.grid, values)) for values in products), *sweep.runs]


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
    if type(seed) is int and 0 <= seed <= MAX_SEED:
        return seed
    raise BadInput(
        f"params.yaml: model.seed: {seed!r} is not allowed; allowed: a whole number from 0 to {MAX_SEED}"
    )


def _inputs(root: Path) -> set[str]:
    """The files and folders that training depends on: what dvc.yaml says, so that users add their own code there."""
    stages = yaml.safe_load((root / paths.PIPELINE).read_text(encoding="utf-8")).get("stages", {})
    return {
        paths.EXPERIMENT,
        paths.TRAIN_DATA,
        paths.TEST_DATA,
        *map(str, stages.get("train", {}).get("deps", [])),
    }


def _contents(path: Path) -> Any:
    """The md5 of a file (None: not there); of a folder, those of its files, without what Python leaves there when it runs."""
    if path.is_dir():
        return {
            name: md5 for name, md5 in folder_manifest(path).items() if "__pycache__" not in name
        }
    return file_md5(path) if path.is_file() else None


def describe_origin(root: Path, version: str, data_hash: str, warn: Say) -> Provenance:
    """Collect what every row of this session says about code and data.

    Args:
        root: the project's root.
        version: `experiment.version`.
        data_hash: md5 of the training data.
        warn: is told what cannot be traced.
    """
    code = code_state(root, written_by_pipeline=PIPELINE_FILES)
    if code.commit is None:
        warn(
            "outside a Git repository, or before its first commit: rows cannot lead back to the code"
        )
    if recorded_md5(root, paths.TRAIN_DATA) != data_hash:
        warn(
            f"{paths.TRAIN_DATA} is not what dvc.lock records: rows cannot lead back to the data; use dvc repro"
        )
    dirty = None if code.dirty is None else int(code.dirty)
    return Provenance(version, code.commit, dirty, data_hash, _contents(root / paths.PIPELINE_LOCK))


def find_done(root: Path, runs: list[Run]) -> dict[str, str]:
    """Find the runs that sessions which did not end have done already: their ids by `run_hash`.

    Args:
        root: the project's root.
        runs: of this session.
    """
    _recall(root)
    for path in filter(
        is_temporary, [path for folder, _ in PLACES for path in (root / folder).iterdir()]
    ):
        path.unlink()  # of a run that was killed
    wanted = {run.facts["run_hash"] for run in runs}
    ended = {
        _complete(root, path): path.stem
        for path in sorted((root / paths.UNFINISHED_RUNS).glob("*.db"))
    }
    return {known_by: track_id for known_by, track_id in ended.items() if known_by in wanted}


def _recall(root: Path) -> None:
    """Bring back what lies among finished runs although DVC has not taken it into its cache: its stage did not end."""
    back = set()
    for aside, folder in PLACES:
        for name in (aside, folder):
            (root / name).mkdir(parents=True, exist_ok=True)
        for path in sorted((root / folder).iterdir()):
            track_id = path.name.partition(".")[0].removesuffix("_model")
            if track_id in back or not cached_object(
                root, path_md5(path)
            ):  # equal models have equal bytes
                back.add(track_id)
                path.replace(root / aside / path.name)


def finish(root: Path, track_ids: list[str]) -> None:
    """Put the runs of a session that ended where DVC takes them from, in place of earlier ones, which are in its cache."""
    for aside, folder in reversed(
        PLACES
    ):  # a database says that its run is whole, so it comes last
        for path in (root / folder).iterdir():
            path.unlink()
        for track_id in track_ids:
            for path in (root / aside).glob(f"{track_id}[._]*"):
                path.replace(root / folder / path.name)


def _complete(root: Path, database: Path) -> str:
    """Read the `run_hash` of a run that ended well and whose model is there; otherwise return an empty text."""
    model = root / paths.UNFINISHED_MODELS / f"{database.stem}_model.bin"
    query = f"SELECT run_hash, model_hash FROM {METRICS} WHERE track_id = ? AND status = 'ok'"
    try:
        with open_read_only(database) as connection:
            known_by, model_hash = connection.execute(query, (database.stem,)).fetchone() or (
                "",
                "",
            )
    except (BadInput, sqlite3.Error):
        return ""
    return known_by if model.is_file() and file_md5(model) == model_hash else ""
