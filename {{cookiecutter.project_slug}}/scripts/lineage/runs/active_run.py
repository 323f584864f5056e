"""A run that goes on: what `fit` and `evaluate` get as their third argument."""

import copy
import inspect
import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from lineage.core import paths
from lineage.core.errors import BadInput
from lineage.runs.run import CHECKPOINT
from lineage.runs.run_database import EVENT_COLUMNS, Event, check_columns, to_metrics
from lineage.tracked.whole_file import remove

if TYPE_CHECKING:
    import pandas as pd

ANEW = b"\n\n"
"""Stands between the events of a run that was killed, and of the same run that went on."""


class ActiveRun:
    """A run that goes on: it logs, keeps files, and survives kills.

    Attributes:
        track_id: its id.
        params: the section `model` of params.yaml, with one point of the sweep in place.
        seed: what `random` and `numpy.random` were seeded with.
        validation: rows of the training data that were set aside; None: there are none.
    """

    def __init__(
        self,
        folder: Path,
        track_id: str,
        params: dict[str, Any],
        seed: int = 0,
        validation: "pd.DataFrame | None" = None,
    ) -> None:
        """Begin, or go on with what lies in the folder.

        Args:
            folder: where events, artifacts and the checkpoint are until the run ends.
            track_id, params, seed, validation: see above.
        """
        self.track_id = track_id
        self.params = copy.deepcopy(params)
        self.seed = seed
        self.validation = validation
        self._folder = folder
        self._names: dict[str, None] = {}
        self._events: BinaryIO | None = None

    @property
    def device(self) -> str:
        """`cuda` where CUDA_VISIBLE_DEVICES names a device, else `cpu`."""
        named = os.environ.get("CUDA_VISIBLE_DEVICES", "").strip()
        return "cpu" if named in ("", "-1") else "cuda"

    @property
    def checkpoint(self) -> Path:
        """A folder of this run that survives kills; it is removed when the run ends.

        Write a file under another name and rename it, so that a kill leaves no half of it.
        """
        folder = self._folder / CHECKPOINT
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def log(self, step: int | None = None, **values: Any) -> None:
        """Log numbers as one row of the table `events`: `run.log(step=3, loss=0.41)`.

        Each event is written at once, so a killed process loses none.

        Args:
            step: a whole number, as of the epoch or batch; learning curves go over it.
            values: numbers by name; NaN is stored as NULL.

        Raises:
            BadInput: a name cannot be a column, or a value is not a number.
        """
        numbers = to_metrics(values, "log numbers only; run.artifact() keeps any file")
        if not self._names.keys() >= numbers.keys():
            names = self._names | dict.fromkeys(numbers)
            check_columns([*EVENT_COLUMNS, *names], paths.EVENTS)
            self._names = names
        event = {"timestamp": time.time(), "step": step if step is None else int(step), **numbers}
        if self._events is None:
            self._events = self._open_events()
        self._events.write(json.dumps(event).encode() + b"\n")

    def artifact(self, name: str) -> Path:
        """Give the path for a file that is kept with the run's model: `figures/roc.png`.

        It is recorded as `results/artifacts/<track_id>/figures/roc.png`.

        Raises:
            BadInput: the name leads out of the folder of the run's artifacts.
        """
        folder = self._artifacts.resolve()
        path = (folder / name).resolve()
        if folder not in path.parents:
            problem = f"artifact {name!r} is not inside the folder of the run's artifacts"
            raise BadInput(problem, "give a name as in figures/roc.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def events(self) -> list[Event]:
        """Read what was logged.

        A run that goes on from a checkpoint comes again to steps that it had logged when it was
        killed: what it logs now counts.
        """
        file = self._folder / "events.jsonl"
        events: list[Event] = []
        for logged in file.read_bytes().split(ANEW) if file.exists() else []:
            lines = [line for line in logged.splitlines() if line.endswith(b"}")]
            new: list[Event] = [json.loads(line) for line in lines]
            begins: dict[tuple[str, ...], float] = {}
            for event in new:
                if event["step"] is not None:
                    begins.setdefault(tuple(event), event["step"])
            kept = [event for event in events if _comes_before(event, begins)]
            events = kept + new
        return events

    def keep_artifacts(self, target: Path) -> None:
        """Move the artifacts, if there are any, to where they wait for their stage."""
        remove(target)
        if any(path.is_file() for path in self._artifacts.rglob("*")):
            self._artifacts.replace(target)

    def end(self) -> None:
        """Remove the folder, whose events and artifacts are recorded."""
        if self._events:
            self._events.close()
        remove(self._folder)

    @property
    def _artifacts(self) -> Path:
        return self._folder / "artifacts"

    def _open_events(self) -> BinaryIO:
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / "events.jsonl"
        is_new = not file.exists()
        events = file.open("ab", buffering=0)
        if not is_new:
            events.write(ANEW)
        return events


def _comes_before(event: Event, begins: dict[tuple[str, ...], float]) -> bool:
    step = event["step"]
    return step is None or step < begins.get(tuple(event), math.inf)


def call_with_run(
    function: Callable[..., Any],
    first: Any,
    second: Any,
    run: ActiveRun,
) -> Any:
    """Call `fit` or `evaluate` of experiment.py, with the run where it takes a third argument."""
    parameters = inspect.signature(function).parameters
    plain = inspect.Parameter.POSITIONAL_OR_KEYWORD
    needed = [one for one in parameters.values() if one.kind is plain and one.default is one.empty]
    if "run" in parameters or len(needed) > 2:
        return function(first, second, run)
    return function(first, second)
