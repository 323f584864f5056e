"""A run that goes on: what `fit` and `evaluate` get as their third argument."""

import copy
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lineage.core.console import say
from lineage.core.errors import BadInput
from lineage.extras.tracking.events import Event, EventFile, read_events
from lineage.runs.run import ARTIFACTS_SUFFIX, EVENTS_FILE
from lineage.tracked.whole_file import remove

CHECKPOINT = "checkpoint"


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
        self._events.log(values if step is None else {"step": step, **values})

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
    def _events(self) -> EventFile:
        return EventFile(self.folder / EVENTS_FILE)

    def events(self) -> list[Event]:
        """Read what was logged, by earlier processes of the run, too."""
        return read_events(self._events.path)

    def end(self) -> None:
        """Remove the events, which are recorded, and the checkpoint."""
        self._events.close()
        remove(self._events.path)
        remove(self.folder / CHECKPOINT)


def begin_run(folder: Path, track_id: str, params: dict[str, Any], seed: int) -> ActiveRun:
    """Begin a run; one that was killed goes on where it has left a checkpoint, else begins anew.

    Args:
        folder: of the run.
        track_id: its id.
        params: a copy of them is passed on.
        seed: what `random` and `numpy.random` were seeded with.
    """
    if any((folder / CHECKPOINT).glob("*")):
        say(f"{track_id} goes on from its checkpoint")
    else:
        remove(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return ActiveRun(folder, track_id, copy.deepcopy(params), seed)
