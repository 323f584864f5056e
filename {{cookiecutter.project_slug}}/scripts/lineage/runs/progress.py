"""Show how a sweep goes: one line per run and, on a terminal, a live line below them."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lineage.core.console import say
from lineage.core.params import Promote
from lineage.runs.run import Outcome


@contextmanager
def show_progress(
    total: int, workers: int, promote: Promote
) -> Iterator[Callable[[list[Outcome]], None]]:
    """Yield a function to call with all outcomes so far whenever a run has ended.

    Args:
        total: runs to do.
        workers: how many run at the same time.
        promote: its metric and mode say what is best.
    """
    from rich.progress import Progress, TextColumn, TimeRemainingColumn

    def describe(outcomes: list[Outcome]) -> str:
        done = len(outcomes)
        running = min(workers, total - done)
        failed = sum(outcome.error is not None for outcome in outcomes)
        best = f"best {promote.metric} {_best(outcomes, promote)}"
        return f"{done}/{total} done  {running} running  {failed} failed  {best}  time left"

    def show(outcomes: list[Outcome]) -> None:
        done = len(outcomes)
        progress.update(task, completed=done, description=describe(outcomes))
        say(f"[{done}/{total}] {_line(outcomes[-1])}")

    text = TextColumn("{task.description}", markup=False)
    is_shown = sys.stdout.isatty() and total > 0
    with Progress(text, TimeRemainingColumn(), disable=not is_shown) as progress:
        task = progress.add_task(describe([]), total=total)
        yield show


def _best(outcomes: list[Outcome], promote: Promote) -> str:
    found = [outcome.metrics.get(promote.metric) for outcome in outcomes]
    values = [value for value in found if value is not None]
    if not values:
        return "–"
    return _number(max(values) if promote.mode == "max" else min(values))


def _number(metric: float | None) -> str:
    return "NaN" if metric is None else f"{metric:.4f}"


def _line(outcome: Outcome) -> str:
    """Write `20260101T120000-0a1b2c3d f1_score=0.9409, accuracy=0.9417`, or the error."""
    track_id = outcome.run.track_id
    if outcome.error is not None:
        return f"{track_id} failed: {outcome.error}"
    metrics = [f"{name}={_number(value)}" for name, value in outcome.metrics.items()]
    return f"{track_id} {', '.join(metrics)}"
