"""Show how a sweep goes: one line per run and, on a terminal, a live line below them."""

import json
import sys
from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager, suppress
from pathlib import Path

from lineage.core.console import say
from lineage.core.params import Promote
from lineage.core.paths import UNFINISHED_RUNS
from lineage.runs.active_run import EVENTS_FILE
from lineage.runs.run import Outcome
from lineage.runs.validation import choice_metric

Show = Callable[[list[Outcome]], None]


class NewestValues:
    """What a run has logged last, as in `step=3, loss=0.41`; read when rich draws the line."""

    def __init__(self, root: Path) -> None:
        """Look into the folders of the runs that go on, in the project at `root`."""
        self.folder = root / UNFINISHED_RUNS

    def __rich__(self) -> str:
        """Write the newest values; nothing where no run that goes on has logged any."""
        with suppress(OSError, ValueError):  # there is no file, or its run has just ended
            file = max(self.folder.glob(f"*/{EVENTS_FILE}"), key=lambda one: one.stat().st_mtime_ns)
            whole_lines = file.read_bytes().rpartition(b"}")[0]
            event = json.loads(whole_lines.rpartition(b"\n")[2] + b"}")
            del event["timestamp"]
            numbers = [pair for pair in event.items() if pair[1] is not None]
            return ", ".join(f"{name}={value:.6g}" for name, value in numbers)
        return ""


@contextmanager
def show_progress(
    root: Path,
    total: int,
    workers: Sized,
    promote: Promote,
) -> Iterator[Show]:
    """Yield a function to call with all outcomes so far whenever a run has ended.

    Args:
        root: the project's root.
        total: runs to do.
        workers: those that there are, each with one run at a time; they may come and go.
        promote: its metric and mode say what is best.
    """
    from rich.progress import Progress, RenderableColumn, TextColumn, TimeRemainingColumn

    def describe(outcomes: list[Outcome]) -> str:
        done = len(outcomes)
        running = min(len(workers), total - done)
        failed = sum(outcome.error is not None for outcome in outcomes)
        best = _best(outcomes, promote)
        return f"{done}/{total} done  {running} running  {failed} failed  best {best}  time left"

    def show(outcomes: list[Outcome]) -> None:
        done = len(outcomes)
        progress.update(task, completed=done, description=describe(outcomes))
        say(f"[{done}/{total}] {_line(outcomes[-1])}")

    text = TextColumn("{task.description}", markup=False)
    time_left = TimeRemainingColumn()
    newest = RenderableColumn(NewestValues(root))
    is_shown = sys.stdout.isatty() and total > 0
    with Progress(text, time_left, newest, disable=not is_shown) as progress:
        task = progress.add_task(describe([]), total=total)
        yield show


def _best(outcomes: list[Outcome], promote: Promote) -> str:
    """Write `val_f1_score 0.9409`: the best value so far of the metric by which runs are chosen."""
    names = set[str]().union(*(outcome.metrics for outcome in outcomes))
    metric = choice_metric(names, promote.metric)
    found = [outcome.metrics.get(metric) for outcome in outcomes]
    values = [value for value in found if value is not None]
    if not values:
        return f"{metric} –"
    best = max(values) if promote.mode == "max" else min(values)
    return f"{metric} {_number(best)}"


def _number(metric: float | None) -> str:
    return "NaN" if metric is None else f"{metric:.4f}"


def _line(outcome: Outcome) -> str:
    """Write `20260101T120000-0a1b2c3d f1_score=0.9409, accuracy=0.9417`, or the error."""
    track_id = outcome.run.track_id
    if outcome.error is not None:
        return f"{track_id} failed: {outcome.error}"
    metrics = outcome.metrics.items()
    shown = [f"{name}={_number(value)}" for name, value in metrics]
    return f"{track_id} {', '.join(shown)}"
