"""Do the runs of a plan, as many at a time as the cores allow, and say which of them failed."""

import os
from collections.abc import Iterable
from contextlib import closing
from typing import Any

from lineage.core.console import say, warn
from lineage.core.errors import Refused
from lineage.runs.progress import show_progress
from lineage.runs.run import Run
from lineage.runs.run_plan import Plan
from lineage.runs.train_run import train_run
from lineage.runs.validation import choice_metric
from lineage.runs.workers import do_all, environments

SHOWN_FAILURES = 20
SHOWN_IDS = 3
REMEDY = """python scripts/train.py --debug   # shows where
  → dvc repro   # when the cause is mended: does what is missing"""


def do_runs(
    plan: Plan,
    runs: Iterable[Run],
    total: int,
    debug: bool,
    on_cluster: Any = None,
) -> None:
    """Do runs of a plan, note in it how they end, and show how they go.

    Args:
        plan: says how many at a time, on which GPUs, and which metric is shown.
        runs: what is missing; the next is taken when one has ended and is noted.
        total: how many they are at most.
        debug: do them in this process, one after another, and let their exceptions through.
        on_cluster: does them elsewhere, as `do_all` does them here; None: here.

    Raises:
        BadInput: there are fewer GPUs than `sweep.gpus`.
    """
    workers = environments(plan.params.sweep, total, plan.threads)
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


def check_failures(plan: Plan) -> None:
    """Fail for failed runs, unless `sweep.on_error` keeps the others and there are any.

    Raises:
        Refused: lists what failed; an error that all runs share stands there once.
    """
    failed = [outcome for outcome in plan.outcomes if outcome.error is not None]
    if not failed:
        return
    total = len(plan.runs)
    lines = []
    for outcome in failed[:SHOWN_FAILURES]:
        run = outcome.run
        lines.append(f"\n  {run.track_id}  {run.described()}: {outcome.error}")
    if len(failed) > SHOWN_FAILURES:
        lines.append(f"\n  … and {len(failed) - SHOWN_FAILURES} more")
    if len(failed) == total and len({outcome.error for outcome in failed}) == 1:
        lines = [f" {failed[0].error}"]
    problem = f"{len(failed)} of {total} runs failed:{''.join(lines)}"
    if plan.params.sweep.on_error == "fail" or len(failed) == total:
        raise Refused(problem, REMEDY)
    warn(problem)


def warn_of_gaps(plan: Plan) -> None:
    """Say which metrics are NaN, which some runs lack, and that test data choose among runs."""
    ended = [outcome for outcome in plan.outcomes if outcome.error is None]
    names: dict[str, None] = {}
    for outcome in ended:
        names |= dict.fromkeys(outcome.metrics)
    total = len(plan.runs)
    metric = plan.params.promote.metric
    if total > 1 and metric in names and choice_metric(names, metric) == metric:
        how = "validation.fraction: 0.2 in params.yaml chooses on other rows (docs/validation.md)"
        say(f"the best of {total} runs is chosen by {metric} on the test data itself; {how}")
    for name in names:
        gaps: dict[str, list[str]] = {}
        for outcome in ended:
            if outcome.metrics.get(name) is None:
                gap = "NaN" if name in outcome.metrics else "missing"
                gaps.setdefault(gap, []).append(outcome.run.track_id)
        for gap, ids in gaps.items():
            more = " …" if len(ids) > SHOWN_IDS else ""
            few = ", ".join(ids[:SHOWN_IDS])
            where = f"{len(ids)} of {len(ended)} runs"
            warn(f"metric {name!r} is {gap} in {where}, recorded as NULL: {few}{more}")
