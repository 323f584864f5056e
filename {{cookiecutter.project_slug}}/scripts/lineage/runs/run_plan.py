"""Plan `train`: which runs params.yaml asks for, by which hashes they are known, which are done."""

import copy
import itertools
import platform
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from lineage.core import paths
from lineage.core.code_hash import (
    check_listed,
    code_files,
    code_hash,
    evaluate_hash,
    hash_json,
    listed_paths,
)
from lineage.core.console import warn
from lineage.core.errors import BadInput, Refused
from lineage.core.params import Params, Sweep, read_params
from lineage.runs.run import Facts, Outcome, Run
from lineage.runs.run_argument import check_tracking
from lineage.runs.run_database import declare_types, to_row
from lineage.runs.unfinished_runs import begun_runs, is_done
from lineage.tracked.git import code_state
from lineage.tracked.hashes import path_md5
from lineage.tracked.recorded import recorded_md5

PIPELINE_FILES = (paths.PIPELINE_LOCK, "results", "models", "data")
"""What `dvc repro` itself rewrites, and what therefore says nothing about the code."""

CHANGED = """dvc repro   # does the runs that are asked for now; those that ended wait
  → git diff; dvc status   # or put back what they show; then dvc repro takes those that ended"""

DATA = (paths.TRAIN_DATA, paths.TEST_DATA)
Values = dict[str, Any]
MAX_SEED = (1 << 32) - 1
"""The largest seed that numpy takes."""


class Plan:
    """The runs of a session: each point of the sweep once. Making a plan writes nothing.

    Attributes:
        runs: by `run_hash`.
        done: the `run_hash` of each run, of whatever plan, that was done before.
        outcomes: how runs have ended so far.
        total: how many runs there will be at most.
        conditions: what all runs depend on.
        threads: what numerical libraries may start in each run; 0: as many as they like.
    """

    def __init__(
        self, root: Path, params: Params, validation: Any = None, samples: Sequence[Values] = ()
    ) -> None:
        """Work out the runs.

        Args:
            root: the project's root.
            params: which runs there are.
            validation: as of a `Run`.
            samples: points with values of all types that runs can have which are added later.

        Raises:
            BadInput: data is missing, code is not Python or not listed in dvc.yaml, a param cannot
                be recorded, or a seed cannot be one.
        """
        self.root = root
        self.params = params
        self.runs: dict[str, Run] = {}
        self.outcomes: list[Outcome] = []
        points = sweep_points(params.sweep)
        rows = [to_row(_with_point(params.model, point)) for point in [*points, *samples]]
        self._types = declare_types(rows)
        self._inputs = inputs = _hash_inputs(root)
        self._facts = facts = _known_facts(root, params, inputs)
        self._validation = validation
        self._begun = begun_runs(root)
        self.done = {key for key, track_id in self._begun.items() if is_done(root, key, track_id)}
        trials = params.sweep.search.trials
        self.threads = params.sweep.threads if len(points) + trials > 1 else 0
        self.conditions = [inputs, facts.version, facts.python, facts.lock_hash, self.threads]
        if validation:
            self.conditions.append(validation)
        for point in points:
            self.add(point)
        self.total = len(self.runs) + trials
        if len(self.runs) < len(points):
            different = f"the sweep's {len(points)} points are {len(self.runs)} different runs"
            warn(f"{different}; equal ones are done once")

    def add(self, point: Values) -> Run:
        """Add the run that a point makes of the section `model`, or find it among the runs.

        Raises:
            BadInput: the seed cannot be one.
        """
        model = _with_point(self.params.model, point)
        run_hash = hash_json([*self.conditions, model, self._types])
        facts = replace(self._facts, run_hash=run_hash, seed=_seed(model))
        token = secrets.token_hex(4)  # not from `random`, which users seed
        new_id = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}-{token}"
        track_id = self._begun.get(run_hash, new_id)
        run = Run(track_id, point, model, self._types, facts, self._validation)
        return self.runs.setdefault(run_hash, run)

    def missing(self) -> Iterable[Run]:
        """Say which runs are to be done; what has ended may decide what the next one is."""
        return [run for run_hash, run in self.runs.items() if run_hash not in self.done]

    def check_unchanged(self) -> None:
        """Check that what DVC is about to record is what the runs were planned for.

        Raises:
            Refused: code, data or params were changed since, as by `git stash`.
            BadInput: params.yaml is wrong now.
        """
        now = read_params(self.root / paths.PARAMS)
        of_later_stages = {"merge": now.merge, "promote": now.promote}
        same = [self._inputs, self.params.model_copy(update=of_later_stages)]
        if [_hash_inputs(self.root), now] != same:
            raise Refused("code, data or params.yaml was changed during the runs", CHANGED)


def sweep_points(sweep: Sweep) -> list[Values]:
    """List what each run changes: the product of `sweep.grid`, then `sweep.runs`.

    With neither of them nor a search, there is one run that changes nothing.
    """
    if not sweep.grid and (sweep.runs or sweep.search.trials):
        return sweep.runs
    products = itertools.product(*sweep.grid.values())
    points = [dict(zip(sweep.grid, values)) for values in products]
    return points + sweep.runs


def _with_point(model: Values, point: Values) -> Values:
    """Copy the section `model`, with the values of a point at keys as `model.optimizer.rate`."""
    changed = copy.deepcopy(model)
    for key, value in point.items():
        _, *parents, name = key.split(".")
        section = changed
        for parent in parents:
            section = section[parent]
        section[name] = value
    return changed


def _seed(model: Values) -> int:
    seed = model.get("seed", 0)
    if type(seed) is int and 0 <= seed <= MAX_SEED:
        return seed
    raise BadInput(
        f"params.yaml: model.seed: {seed!r} is not allowed;"
        f" allowed: a whole number from 0 to {MAX_SEED}"
    )


def _hash_inputs(root: Path) -> Values:
    """Hash what training depends on: the data, experiment.py, and what users add in dvc.yaml.

    The template's own code is not among it: an update of the template makes no run another one.
    """
    for name in DATA:
        if not (root / name).exists():
            raise BadInput(f"{name} is missing", f"dvc pull {name}")
    names = {paths.EXPERIMENT, *DATA, *listed_paths(root)}
    return {name: _hash_path(root / name) for name in names}


def _hash_path(path: Path) -> str | None:
    return path_md5(path) if path.exists() else None


def _known_facts(root: Path, params: Params, inputs: Values) -> Facts:
    """Collect what every row of the plan says about code, data and environment."""
    commit, dirty = code_state(root, *PIPELINE_FILES)
    code = code_files(root)
    check_listed(root, code)
    check_tracking(code.get(paths.EXPERIMENT, b""))
    with suppress(ModuleNotFoundError):  # an extra, which only warns
        from lineage.extras.unread_params.unread import warn_of_unread

        warn_of_unread(params.model, code)
    data_hash = inputs[paths.TRAIN_DATA]
    if commit is None:
        no_commit = "outside a Git repository, or before its first commit"
        warn(f"{no_commit}: rows cannot lead back to the code")
    if recorded_md5(root, paths.TRAIN_DATA) != data_hash:
        warn(
            f"{paths.TRAIN_DATA} is not what dvc.lock records:"
            " rows cannot lead back to the data; use dvc repro"
        )
    return Facts(
        version=params.experiment.version,
        git_commit=commit,
        git_dirty=dirty,
        data_hash=data_hash,
        dvc_hash=_hash_path(root / paths.PIPELINE_LOCK),
        test_hash=inputs[paths.TEST_DATA],
        code_hash=code_hash(code),
        evaluate_hash=evaluate_hash(root),
        python=platform.python_version(),
        platform=platform.platform(),
        lock_hash=_hash_path(root / "requirements.lock"),
    )
