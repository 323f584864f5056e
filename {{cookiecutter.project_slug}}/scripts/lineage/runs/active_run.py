"""A run that goes on: what `fit` and `evaluate` get as their third argument."""

import inspect
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any, BinaryIO

from lineage.core import paths
from lineage.core.errors import BadInput
from lineage.runs.run import ARTIFACTS_SUFFIX, CHECKPOINT
from lineage.runs.run_database import KEY, Event, check_columns, to_metrics
from lineage.tracked.whole_file import remove

EVENTS_FILE = "events.jsonl"
ANEW = b"\n\n"
"""Stands before what a process logs: a run that was killed goes on in another one."""


@dataclass
class ActiveRun:
    """A run that goes on: it logs, keeps files, and survives kills.

    Attributes:
        folder: where events, artifacts and the checkpoint are until the run ends.
        track_id: its id.
        params: the section `model` of params.yaml, with one point of the sweep in place.
        seed: what `random` and `numpy.random` were seeded with.
        validation: a DataFrame, rows of the training data that were set aside, or None.
    """

    folder: Path
    track_id: str
    params: dict[str, Any]
    seed: int = 0
    validation: Any = None
    _names: set[str] = field(default_factory=set)

    @property
    def device(self) -> str:
        """`cuda` where CUDA_VISIBLE_DEVICES names one, else `cpu`."""
        named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        return "cpu" if named in ("", "-1") else "cuda"

    @property
    def checkpoint(self) -> Path:
        """A folder of this run that survives kills; it is removed when the run ends.

        Write a file under another name and rename it, so that a kill leaves no half of it.
        """
        folder = self.folder / CHECKPOINT
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
        logged = values if step is None else {"step": step, **values}
        numbers = to_metrics(logged, "log numbers only; run.artifact() keeps any file")
        if new := numbers.keys() - self._names:
            check_columns([*KEY, *self._names, *new], paths.EVENTS)
            self._names |= new
        event = {"timestamp": time.time(), **numbers}
        self._file.write(json.dumps(event).encode() + b"\n")

    def artifact(self, name: str) -> Path:
        """Give the path for a file that is kept with the run's model: `figures/roc.png`.

        It is recorded as `results/artifacts/<track_id>/figures/roc.png`.

        Raises:
            BadInput: the name leads out of the folder of the run's artifacts.
        """
        path = (self.artifacts / name).resolve()
        if self.artifacts.resolve() not in path.parents:
            raise BadInput(
                f"artifact {name!r} is not inside the folder of the run's artifacts",
                "give a name as in figures/roc.png",
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def artifacts(self) -> Path:
        """The folder of artifacts, which may not be there."""
        return self.folder / f"{self.track_id}{ARTIFACTS_SUFFIX}"

    @cached_property
    def _file(self) -> BinaryIO:
        self.folder.mkdir(parents=True, exist_ok=True)
        file = (self.folder / EVENTS_FILE).open("ab", buffering=0)
        file.write(ANEW)
        return file

    def events(self) -> list[Event]:
        """Read what was logged.

        A run that goes on from a checkpoint comes again to steps that it had logged when it was
        killed: what it logs now counts.
        """
        events: list[Event] = []
        for logged in Path(self._file.name).read_bytes().split(ANEW):
            new = [json.loads(line) for line in logged.splitlines() if line.endswith(b"}")]
            begins = {tuple(event): event.get("step", inf) for event in reversed(new)}
            events = [one for one in events if one.get("step", 0) < begins.get(tuple(one), inf)]
            events += new
        return events

    def end(self) -> None:
        """Remove the events, which are recorded, and the checkpoint."""
        self._file.close()
        remove(self.folder / EVENTS_FILE)
        remove(self.folder / CHECKPOINT)


def call_with_run(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call `fit` or `evaluate` of experiment.py, with the run where it takes a third argument.

    Args:
        function: takes two arguments or three.
        arguments: three; the last is the run.
    """
    parameters = inspect.signature(function).parameters
    plain = inspect.Parameter.POSITIONAL_OR_KEYWORD
    needed = [one for one in parameters.values() if one.kind is plain and one.default is one.empty]
    takes_run = "run" in parameters or len(needed) > 2
    return function(*arguments[: 2 + takes_run])
