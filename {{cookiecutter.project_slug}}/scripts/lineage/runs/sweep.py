"""Do the runs of a plan, as many at a time as the cores allow; show how they go, and which failed.

There is one line for each run and, on a terminal, a live line below them.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sized
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from lineage.core.console import is_live, say, warn
from lineage.core.errors import Refused
from lineage.core.params import Promote
from lineage.runs.run import Outcome, choice_metric
from lineage.runs.run_argument import newest_values
from lineage.runs.run_plan import Plan
from lineage.runs.train_run import train_run
from lineage.runs.workers import do_all, environments

SHOWN_FAILURES = 20
SHOWN_IDS = 3
REMEDY = """python scripts/train.py --debug   # shows where
  → dvc repro   # when the cause is mended: does what is missing"""

Show = Callable[[list[Outcome]], None]


def do_runs(
    plan: Plan, debug: bool = False, share_gpus: Any = None, on_cluster: Any = None
) -> None:
    """Do what is missing of a plan, note in it how runs end, and show how they go.

    Args:
        plan: says how many at a time, and which metric is shown.
        debug: do runs in this process, one after another, and let their exceptions through.
        share_gpus: gives each worker its own; None: all see what there is.
        on_cluster: does runs elsewhere, as `do_all` does them here; None: here.

    Raises:
        BadInput: there are fewer GPUs than `sweep.gpus`.
    """
    runs = plan.missing()
    there = len(plan.runs.keys() & plan.done)
    if there:
        say(f"{there} of {plan.total} runs are there already, from a session that did not end")
    sweep = plan.params.sweep
    total = plan.total - there
    workers = environments(sweep, total, plan.threads)
    if share_gpus:
        workers = share_gpus(sweep, total, workers)
    results = (train_run(plan.root, run) for run in runs)
    if debug:
        os.environ.update(*workers[:1])
    elif on_cluster:
        results = on_cluster(plan, runs, workers)
    else:
        results = do_all(plan.root, runs, workers)
    progress = show_progress(plan.root, total, workers, plan.params.promote)
    with progress as show, closing(results):
        for outcome in results:  # closing them ends the workers
            plan.outcomes.append(outcome)
            show(plan.outcomes)


@dataclass
class NewestValues:
    """The best metric so far, and what a run has logged last; read when the line is drawn."""

    root: Path
    best: str = ""

    def __rich__(self) -> Any:
        """Write `best f1_score 0.9409  step=3, loss=0.41`, as far as the terminal is wide."""
        from rich.text import Text

        return Text(
            f"best {self.best}  {newest_values(self.root)}", no_wrap=True, overflow="ellipsis"
        )


@contextmanager
def show_progress(root: Path, total: int, workers: Sized, promote: Promote) -> Iterator[Show]:
    """Yield a function to call with all outcomes so far whenever a run has ended.

    Args:
        root: the project's root.
        total: runs to do.
        workers: those that there are, each with one run at a time; they may come and go.
        promote: its metric and mode say what is best.
    """
    from rich.progress import Progress, RenderableColumn, TextColumn, TimeRemainingColumn

    def show(outcomes: list[Outcome]) -> None:
        done = len(outcomes)
        running = min(len(workers), total - done)
        failed = sum(outcome.error is not None for outcome in outcomes)
        state = f"{done}/{total} done  {running} running  {failed} failed  time left"
        newest.best = _best(outcomes, promote)
        progress.update(task, completed=done, description=state)
        if outcomes:
            say(f"[{done}/{total}] {_line(outcomes)}")

    text = TextColumn("{task.description}", markup=False)
    newest = NewestValues(root)
    columns = (text, TimeRemainingColumn(), RenderableColumn(newest))
    with Progress(*columns, disable=not is_live(sys.stdout) or total == 0) as progress:
        task = progress.add_task("", total=total)
        show([])
        yield show


def _best(outcomes: list[Outcome], promote: Promote) -> str:
    """Write `val_f1_score 0.9409`: the best value so far of the metric by which runs are chosen."""
    measured = [outcome.metrics for outcome in outcomes]
    metric = choice_metric(set(chain(*measured)), promote.metric)
    found = [metrics.get(metric) for metrics in measured]
    values = [value for value in found if value is not None]
    if not values:
        return f"{metric} –"
    best = max if promote.mode == "max" else min
    return f"{metric} {best(values):.4f}"


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


def check_failures(plan: Plan) -> None:
    """Fail for failed runs, unless `sweep.on_error` keeps the others and there are any.

    Raises:
        Refused: lists what failed; an error that all runs share stands there once.
    """
    failed = [outcome for outcome in plan.outcomes if outcome.error is not None]
    if not failed:
        return
    total = len(plan.runs)
    all_failed = len(failed) == total
    lines = []
    for outcome in failed[:SHOWN_FAILURES]:
        run = outcome.run
        lines.append(f"\n  {run.track_id}  {run.described()}: {outcome.error}")
    if len(failed) > SHOWN_FAILURES:
        lines.append(f"\n  … and {len(failed) - SHOWN_FAILURES} more")
    if all_failed and len({outcome.error for outcome in failed}) == 1:
        lines = [f" {failed[0].error}"]
    problem = f"{len(failed)} of {total} runs failed:{''.join(lines)}"
    if plan.params.sweep.on_error == "fail" or all_failed:
        raise Refused(problem, REMEDY)
    warn(problem)


def warn_of_gaps(plan: Plan) -> None:
    """Say which metrics are NaN, which some runs lack, and that test data choose among runs."""
    ended = [outcome for outcome in plan.outcomes if outcome.error is None]
    names = dict.fromkeys(chain.from_iterable(outcome.metrics for outcome in ended))
    total = len(plan.runs)
    metric = plan.params.promote.metric
    if total > 1 and metric in names and choice_metric(names, metric) == metric:
        say(
            f"the best of {total} runs is chosen by {metric} on the test data itself;"
            " validation.fraction: 0.2 in params.yaml chooses on other rows (docs/validation.md)"
        )
    for name in names:
        nan = [one.run.track_id for one in ended if one.metrics.get(name, 0.0) is None]
        missing = [one.run.track_id for one in ended if name not in one.metrics]
        for gap, ids in (("NaN", nan), ("missing", missing)):
            if ids:
                few = ", ".join(ids[:SHOWN_IDS])
                more = " …" if len(ids) > SHOWN_IDS else ""
                warn(
                    f"metric {name!r} is {gap} in {len(ids)} of {len(ended)} runs,"
                    f" recorded as NULL: {few}{more}"
                )
