"""Show how a sweep goes: one line per run and, on a terminal, a live line below them."""

import json
import sys
from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lineage.core.console import is_live, say
from lineage.core.params import Promote
from lineage.core.paths import UNFINISHED_RUNS
from lineage.runs.active_run import EVENTS_FILE
from lineage.runs.run import Outcome
from lineage.runs.validation import choice_metric

Show = Callable[[list[Outcome]], None]


@dataclass
class NewestValues:
    """The best metric so far, and what a run has logged last; read when the line is drawn."""

    root: Path
    best: str = ""

    def __rich__(self) -> Any:
        """Write `best f1_score 0.9409  step=3, loss=0.41`, as far as the terminal is wide."""
        from rich.text import Text

        return Text(f"best {self.best}  {self._logged()}", no_wrap=True, overflow="ellipsis")

    def _logged(self) -> str:
        """Write the newest values; nothing where no run that goes on has logged any."""
        folder = self.root / UNFINISHED_RUNS
        with suppress(OSError, ValueError):  # there is no file, or its run has just ended
            file = max(folder.glob(f"*/{EVENTS_FILE}"), key=lambda one: one.stat().st_mtime_ns)
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
        newest.best = _best(outcomes, promote)
        return f"{done}/{total} done  {running} running  {failed} failed  time left"

    def show(outcomes: list[Outcome]) -> None:
        done = len(outcomes)
        progress.update(task, completed=done, description=describe(outcomes))
        say(f"[{done}/{total}] {_line(outcomes)}")

    text = TextColumn("{task.description}", markup=False)
    newest = NewestValues(root)
    columns = (text, TimeRemainingColumn(), RenderableColumn(newest))
    with Progress(*columns, disable=not is_live(sys.stdout) or total == 0) as progress:
        task = progress.add_task(describe([]), total=total)
        yield show


def _best(outcomes: list[Outcome], promote: Promote) -> str:
    """Write `val_f1_score 0.9409`: the best value so far of the metric by which runs are chosen."""
    names = set[str]().union(*(outcome.metrics for outcome in outcomes))
    metric = choice_metric(names, promote.metric)
    found = [outcome.metrics.get(metric) for outcome in outcomes]
    values = [value for value in found if value is not None]
    best = max if promote.mode == "max" else min
    return f"{metric} {best(values):.4f}" if values else f"{metric} –"


def _line(outcomes: list[Outcome]) -> str:
    """Write how the newest run ended; an error that has been said before is not said again.

    Example: `20260101T120000-0a1b2c3d model.C=0.1 f1_score=0.9409, accuracy=0.9417`.
    """
    *before, outcome = outcomes
    which = f"{outcome.run.track_id} {outcome.run.described()}".rstrip()
    if outcome.error is not None:
        is_known = any(outcome.error == one.error for one in before)
        return f"{which} failed: {'as before' if is_known else outcome.error}"
    shown = []
    for name, value in outcome.metrics.items():
        number = "NaN" if value is None else f"{value:.4f}"
        shown.append(f"{name}={number}")
    return f"{which} {', '.join(shown)}"
