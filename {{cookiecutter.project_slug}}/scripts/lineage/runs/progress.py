"""Show how a sweep goes: one line per run and, on a terminal, a live line below them."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lineage.core.params import Promote


@contextmanager
def show_progress(
    total: int, workers: int, promote: Promote
) -> Iterator[Callable[[str, float | None, bool], None]]:
    """Yield what is to be called when a run has ended: with a line, the value of the metric, and whether it failed.

    Args:
        total: runs to do.
        workers: how many run at the same time.
        promote: its metric and mode say what is best.
    """
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    counts = "done  {task.fields[running]} running  {task.fields[failed]} failed  best {task.fields[best]}  time left"
    columns = (MofNCompleteColumn(), counts, TimeRemainingColumn())
    values, failures = list[float](), list[str]()
    with Progress(*columns, disable=not (sys.stdout.isatty() and total)) as progress:
        task = progress.add_task(
            "", total=total, running=min(workers, total), failed=0, best=f"{promote.metric} –"
        )

        def ended(line: str, value: float | None, failed: bool) -> None:
            progress.advance(task)
            done = round(progress.tasks[0].completed)
            failures.extend([line] * failed)
            values.extend([] if value is None else [value])
            progress.update(task, running=min(workers, total - done), failed=len(failures))
            if values:
                best = max(values) if promote.mode == "max" else min(values)
                progress.update(task, best=f"{promote.metric} {best:.4f}")
            said = f"[{done}/{total}] {line}"
            progress.console.print(said, markup=False, emoji=False, highlight=False, soft_wrap=True)

        yield ended
