"""Show how a sweep goes: one line per run and, on a terminal, a live line below them."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lineage.core.console import say
from lineage.core.params import Promote
from lineage.runs.run import Outcome
from lineage.runs.validation import choice_metric

Show = Callable[[list[Outcome]], None]


@contextmanager
def show_progress(
    total: int,
    workers: int,
    promote: Promote,
) -> Iterator[Show]:
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
        best = _best(outcomes, promote)
        return f"{done}/{total} done  {running} running  {failed} failed  best {best}  time left"

    def show(outcomes: list[Outcome]) -> None:
        done = len(outcomes)
        progress.update(task, completed=done, description=describe(outcomes))
        say(f"[{done}/{total}] {_line(outcomes[-1])}")

    text = TextColumn("{task.description}", markup=False)
    time_left = TimeRemainingColumn()
    is_shown = sys.stdout.isatty() and total > 0
    with Progress(text, time_left, disable=not is_shown) as progress:
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
