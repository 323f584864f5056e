"""Do tasks in processes of their own, so that one that dies takes no other with it."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Generator
from concurrent import futures
from contextlib import ExitStack
from typing import Any, TypeVar

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
Task = TypeVar("Task")
Result = TypeVar("Result")


def count_workers(jobs: int, threads: int) -> int:
    """Turn `sweep.jobs` into a number of processes.

    Args:
        jobs: -1 means as many as fit the cores that cgroup and affinity let this process use.
        threads: of each process.
    """
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

    Each worker is a pool of one process: joblib, or a pool of several, gives up every task when one
    process is killed. A task whose process died is done again, after the others, in a new one.

    Args:
        tasks: what to do; sent to the workers, as are `work` and the results.
        work: does one task; must not raise.
        died: makes the result of a task whose process died twice; is told how it ended.
        workers: processes at the same time.
        threads: what numerical libraries may start in each; 0: as many as they like.
    """
    waiting = list(tasks)
    died_once: list[Task] = []
    busy: dict[futures.Future[Result], tuple[Any, Task]] = {}
    with ExitStack() as all_workers:
        idle = [_new_worker(threads, all_workers) for _ in tasks[:workers]]
        while waiting or busy:
            for worker in idle[: len(waiting)]:
                idle.remove(worker)
                task = waiting.pop(0)
                busy[worker.submit(work, task)] = (worker, task)
            for future in futures.wait(busy, return_when=futures.FIRST_COMPLETED).done:
                worker, task = busy.pop(future)
                is_dead = isinstance(future.exception(), futures.BrokenExecutor)
                idle.append(_new_worker(threads, all_workers) if is_dead else worker)
                if not is_dead:
                    yield future.result()
                elif task in died_once:
                    yield died(task, _exit_codes(future.exception()))
                else:
                    died_once.append(task)
                    waiting.append(task)


def _exit_codes(error: object) -> str:
    """Find in loky's message how a process ended: `SIGKILL(-9)`."""
    return ", ".join(re.findall(r"exit codes of the workers are \{(.*)\}", str(error)))


def _new_worker(threads: int, all_workers: ExitStack) -> Any:
    """Make a pool of one process, which is killed when `all_workers` is closed.

    It starts by exec, since forked CUDA and threads hang. Sets have the same order in all workers.
    """
    from joblib.externals.loky import ProcessPoolExecutor
    from joblib.externals.loky.backend import get_context

    limits = dict.fromkeys(THREAD_LIMITS, str(threads)) if threads else {}
    worker = ProcessPoolExecutor(
        1,
        context=get_context("loky"),
        env={"PYTHONHASHSEED": "0", **limits},
        initializer=_begin,
        initargs=(os.getpid(),),
    )
    all_workers.callback(worker.shutdown, kill_workers=True)
    return worker


def _begin(parent: int) -> None:
    """Leave Ctrl-C to the parent, and end when it is killed: an orphan would write its run yet."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=watch, daemon=True).start()
