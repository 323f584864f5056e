"""Do the runs of a plan, as many at a time as the cores allow, and say which of them failed."""

from contextlib import closing
from functools import partial
from itertools import product
from pathlib import Path

from lineage.core.console import say, warn
from lineage.core.errors import Refused
from lineage.core.params import Params
from lineage.runs.progress import show_progress
from lineage.runs.run import Outcome, Run
from lineage.runs.run_plan import thread_limit
from lineage.runs.train_run import record_failure, train_or_fail, train_run
from lineage.runs.validation import choice_metric
from lineage.runs.workers import count_workers, do_all

SHOWN_FAILURES = 20
SHOWN_IDS = 3
REMEDY = """python scripts/train.py --debug   # shows where
  → dvc repro   # when the cause is mended: does what is missing"""


def do_runs(
    root: Path,
    runs: list[Run],
    params: Params,
    debug: bool,
) -> list[Outcome]:
    """Do runs and show how they go.

    Args:
        root: the project's root.
        runs: what is missing of the plan.
        params: how many at a time, and which metric is shown.
        debug: do them in this process, one after another, and let their exceptions through.
    """
    sweep = params.sweep
    workers = count_workers(sweep.jobs, sweep.threads)
    results = (train_run(root, run) for run in runs)
    if not debug:
        results = do_all(
            runs,
            partial(train_or_fail, root),
            partial(_record_death, root),
            workers,
            thread_limit(sweep),
        )
    outcomes: list[Outcome] = []
    progress = show_progress(len(runs), workers, params.promote)
    with progress as show, closing(results):
        for outcome in results:  # closing them ends the workers
            outcomes.append(outcome)
            show(outcomes)
    return outcomes


def _record_death(root: Path, run: Run, ending: str) -> Outcome:
    question = "is there memory for sweep.jobs runs at a time?"
    return record_failure(root, run, f"its process died twice ({ending}); {question}")


def check_failures(
    outcomes: list[Outcome],
    total: int,
    on_error: str,
) -> None:
    """Fail for failed runs, unless `sweep.on_error` keeps the others and there are any.

    Args:
        outcomes: of the runs that were done.
        total: runs of the plan.
        on_error: `fail` or `keep`.

    Raises:
        Refused: lists what failed.
    """
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if not failed:
        return
    problem = f"{len(failed)} of {total} runs failed:"
    for outcome in failed[:SHOWN_FAILURES]:
        run = outcome.run
        problem += f"\n  {run.track_id}  {run.described()}: {outcome.error}"
    if len(failed) > SHOWN_FAILURES:
        problem += f"\n  … and {len(failed) - SHOWN_FAILURES} more"
    if on_error == "fail" or len(failed) == total:
        raise Refused(problem, REMEDY)
    warn(problem)


def warn_of_gaps(outcomes: list[Outcome], total: int, metric: str) -> None:
    """Say which metrics are NaN, which some runs lack, and that the test data chooses among runs.

    Args:
        outcomes: of the runs that were done.
        total: runs of the plan.
        metric: by which models are judged.
    """
    ended = [outcome for outcome in outcomes if outcome.error is None]
    names: dict[str, None] = {}
    for outcome in ended:
        names |= dict.fromkeys(outcome.metrics)
    if total > 1 and metric in names and choice_metric(names, metric) == metric:
        how = "validation.fraction: 0.2 in params.yaml chooses on other rows (docs/validation.md)"
        say(f"the best of {total} runs is chosen by {metric} on the test data itself; {how}")
    for name, gap in product(names, ("missing", "NaN")):
        ids = [outcome.run.track_id for outcome in ended if _gap(outcome, name) == gap]
        more = " …" if len(ids) > SHOWN_IDS else ""
        few = ", ".join(ids[:SHOWN_IDS])
        if ids:
            where = f"{len(ids)} of {len(ended)} runs"
            warn(f"metric {name!r} is {gap} in {where}, recorded as NULL: {few}{more}")


def _gap(outcome: Outcome, name: str) -> str | None:
    if name not in outcome.metrics:
        return "missing"
    return "NaN" if outcome.metrics[name] is None else None
