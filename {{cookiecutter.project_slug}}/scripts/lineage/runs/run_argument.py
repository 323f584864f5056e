"""The run as an argument: the third that `fit` and `evaluate` may take, by the extra `tracking`.

An experiment whose functions take two arguments never imports it.
"""

import inspect
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from lineage.core.errors import BadInput
from lineage.core.extra_commands import from_extra
from lineage.core.paths import EXPERIMENT, UNFINISHED_RUNS
from lineage.runs.run import EVENTS_FILE
from lineage.tracked.whole_file import remove

ASKING = f"the third argument of fit() or evaluate() in {EXPERIMENT}"

TAKES_RUN = rb"(?m)^def (?:fit|evaluate)\([^)]*\brun\b"
"""The first line of a function with a parameter `run`."""

Function = Callable[..., Any]
"""`fit` or `evaluate`."""


def check_tracking(code: bytes) -> None:
    """Ask for the extra before any training, where experiment.py shows that a function takes a run.

    One that it imports or decorates asks for it when it is called.

    Raises:
        BadInput: the extra is not here.
    """
    if re.search(TAKES_RUN, code):
        from_extra("tracking.active_run", ASKING)


def begin_run(
    functions: Iterable[Function],
    folder: Path,
    track_id: str,
    params: dict[str, Any],
    seed: int = 0,
) -> Any:
    """Make the folder of a run, and the argument.

    Args:
        functions: those of experiment.py that will be called.
        folder: what lies there is of a run that was killed.
        track_id: of the run.
        params: the section `model` of params.yaml, with one point of the sweep in place.
        seed: what `random` and `numpy.random` were seeded with.

    Returns:
        an `ActiveRun`; None where none of the functions takes one.

    Raises:
        BadInput: one does, and the extra is not here.
    """
    if any(map(_takes_run, functions)):
        tracking = from_extra("tracking.active_run", ASKING)
        return tracking.begin_run(folder, track_id, params, seed)
    remove(folder)
    folder.mkdir(parents=True)
    return None


def call_with_run(function: Function, *arguments: Any) -> Any:
    """Call `fit` or `evaluate`, with the run where it takes a third argument.

    Args:
        function: takes two arguments or three.
        arguments: three; the last is the run, or None.
    """
    return function(*arguments[: 2 + _takes_run(function)])


def _takes_run(function: Function) -> bool:
    parameters = inspect.signature(function).parameters
    plain = inspect.Parameter.POSITIONAL_OR_KEYWORD
    needed = [one for one in parameters.values() if one.kind is plain and one.default is one.empty]
    return "run" in parameters or len(needed) > 2


def logged_events(folder: Path, track_id: str) -> Any:
    """Read what a run has logged.

    Returns:
        what writes it as the table `events` of a database; None where nothing was logged.
    """
    file = folder / EVENTS_FILE
    if not file.exists():
        return None
    return from_extra("tracking.events", ASKING).logged_events(file, track_id)


def newest_values(root: Path) -> str:
    """Write what was logged last by a run that goes on: `step=3, loss=0.41`; else nothing."""
    files = list((root / UNFINISHED_RUNS).glob(f"*/{EVENTS_FILE}"))
    with suppress(BadInput):  # the extra was deleted since, and they are of runs that were killed
        if files:
            return str(from_extra("tracking.events", ASKING).newest_values(files))
    return ""
