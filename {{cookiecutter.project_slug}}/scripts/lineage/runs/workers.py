"""Spread runs over processes of their own, so that one that dies takes no other with it."""

import os
import re
import signal
import threading
import time
from collections.abc import Generator, Iterable
from concurrent import futures
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineage.runs.run import Outcome, Run
from lineage.runs.train_run import record_failure, train_or_fail

if TYPE_CHECKING:  # pydantic takes long to load, and each worker would
    from lineage.core.params import Sweep

Environment = dict[str, str]
"""Variables of a process."""

THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)
FEEDER_SECONDS = 2.0
"""How long a thread that feeds a closed pool may take to end."""


def environments(sweep: "Sweep", runs: int, threads: int) -> list[Environment]:
    """Give each worker of a sweep its environment.

    Args:
        sweep: with `jobs: -1`, there are as many workers as fit the cores that cgroup and affinity
            let this process use.
        runs: how many there are to do.
        threads: what numerical libraries may start in each; 0: as many as they like.
    """
    from joblib import cpu_count

    limits = dict.fromkeys(THREAD_LIMITS, str(threads)) if threads else {}
    jobs = sweep.jobs if sweep.jobs > 0 else max(1, cpu_count() // sweep.threads)
    return [limits] * min(jobs, runs)


def do_all(
    root: Path, runs: Iterable[Run], workers: list[Environment]
) -> Generator[Outcome, None, None]:
    """Yield how each run ended, in any order.

    Each worker is a pool of one process: joblib, or a pool of several, gives up every task when one
    process is killed. A run whose process died is done again, after the others, in a new one.

    Args:
        root: the project's root.
        runs: what to do; the next is taken when a worker is free, and never before what is known
            of the others has been yielded.
        workers: their environments; one that takes the place of another has the same.
    """
    waiting = iter(runs)
    died_once: list[Run] = []
    busy: dict[Any, tuple[Any, Run]] = {}
    with ExitStack() as all_workers:
        all_workers.callback(_join_queues, set(threading.enumerate()))
        idle = [_new_worker(environment, all_workers) for environment in workers]
        while True:
            for run in islice(waiting, len(idle)):
                worker = idle.pop(0)
                busy[worker.submit(train_or_fail, root, run)] = (worker, run)
            if not busy:
                return
            for future in futures.wait(busy, return_when=futures.FIRST_COMPLETED).done:
                worker, run = busy.pop(future)
                has_died = isinstance(future.exception(), futures.BrokenExecutor)
                idle.append(_new_worker(worker.environment, all_workers) if has_died else worker)
                if not has_died:
                    yield future.result()
                elif run in died_once:
                    yield record_death(root, run, str(future.exception()))
                else:
                    died_once.append(run)
                    waiting = chain(waiting, [run])


def record_death(root: Path, run: Run, error: str) -> Outcome:
    """Record a run as failed; loky's message says how its process ended: `SIGKILL(-9)`."""
    codes = ", ".join(re.findall(r"exit codes of the workers are \{(.*)\}", error))
    return record_failure(
        root,
        run,
        f"its process died twice ({codes}); is there memory for sweep.jobs runs at a time?",
    )


def _new_worker(environment: Environment, all_workers: ExitStack) -> Any:
    """Make a pool of one process, which is killed when `all_workers` is closed.

    It starts by exec, since forked CUDA and threads hang. Sets have the same order in all workers.
    """
    from joblib.externals.loky import ProcessPoolExecutor
    from joblib.externals.loky.backend import get_context

    worker = ProcessPoolExecutor(
        1,
        context=get_context("loky"),
        env={"PYTHONHASHSEED": "0", **environment},
        initializer=begin,
        initargs=(os.getpid(),),
    )
    worker.environment = environment
    all_workers.callback(worker.shutdown, kill_workers=True)
    return worker


def _join_queues(before: set[threading.Thread]) -> None:
    """Wait for the threads that fed closed pools, which loky does not.

    One that is cut off at Python's end has removed a semaphore without saying so: loky warns then.
    One that still writes a large task for a worker that was killed never ends.

    Args:
        before: threads that are not of these pools.
    """
    for thread in set(threading.enumerate()) - before:
        if thread.name == "QueueFeederThread":
            thread.join(FEEDER_SECONDS)


def begin(parent: int) -> None:
    """Leave Ctrl-C to the parent, and end when it is killed: an orphan would write its run yet."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=watch, daemon=True).start()
