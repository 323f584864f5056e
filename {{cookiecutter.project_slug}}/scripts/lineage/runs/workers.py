"""Do tasks in processes of their own, so that one that dies takes no other with it."""

import os
import re
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from typing import Any, TypeVar

TRIES = 2
LIBRARIES = ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR", "NUMBA")
THREAD_LIMITS = (
    *(f"{name}_NUM_THREADS" for name in LIBRARIES),
    "VECLIB_MAXIMUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)
Task = TypeVar("Task")
Result = TypeVar("Result")


def count_workers(jobs: int, threads: int) -> int:
    """Turn `sweep.jobs` into a number of processes; -1: what fits the cores that cgroup and affinity let this one use."""
    from joblib import cpu_count

    return jobs if jobs > 0 else max(1, cpu_count() // threads)


def do_all(
    tasks: list[Task],
    work: Callable[[Task], Result],
    died: Callable[[Task, str], Result],
    workers: int,
    threads: int,
) -> Generator[Result, None, None]:
    """Yield the result of each task as it comes, in any order.

    Each worker is a pool of one process: joblib, or a pool of several, gives up every task when one process is killed.
    A task whose process died is done again, after the others, in a new one.

    Args:
        tasks: what to do; sent to the workers, as are `work` and the results.
        work: does one task; must not raise.
        died: makes the result of a task whose process died `TRIES` times; is told how it ended.
        workers: processes at the same time.
        threads: what numerical libraries may start in each; 0: as many as they like.
    """
    from concurrent.futures import FIRST_COMPLETED, Future, wait
    from concurrent.futures.process import BrokenProcessPool

    waiting = deque((task, 1) for task in tasks)
    idle = [_new_worker(threads) for _ in range(min(workers, len(tasks)))]
    busy: dict[Future[Result], tuple[Any, Task, int]] = {}
    try:
        while waiting or busy:
            while waiting and idle:
                worker, (task, number) = idle.pop(), waiting.popleft()
                busy[worker.submit(work, task)] = (worker, task, number)
            for future in wait(busy, return_when=FIRST_COMPLETED).done:
                worker, task, number = busy.pop(future)
                error = future.exception()
                dead = isinstance(error, BrokenProcessPool)
                idle.append(_new_worker(threads) if dead else worker)
                if dead and number < TRIES:
                    waiting.append((task, number + 1))
                else:
                    codes = re.findall(r"exit codes of the workers are \{(.*)\}", str(error))
                    yield died(task, ", ".join(codes)) if dead else future.result()
    finally:
        for worker in [*idle, *(worker for worker, _, _ in busy.values())]:
            worker.shutdown(kill_workers=True)


def _new_worker(threads: int) -> Any:
    """Make a pool of one process. It starts by exec, since forked CUDA and threads hang; sets have the same order in all."""
    from joblib.externals.loky import ProcessPoolExecutor
    from joblib.externals.loky.backend import get_context

    env = {"PYTHONHASHSEED": "0", **(dict.fromkeys(THREAD_LIMITS, str(threads)) if threads else {})}
    return ProcessPoolExecutor(
        1, context=get_context("loky"), env=env, initializer=_begin, initargs=(os.getpid(),)
    )


def _begin(parent: int) -> None:
    """Leave Ctrl-C to the parent, and end when it is killed: an orphan would go on, and write its run later."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=watch, daemon=True).start()
