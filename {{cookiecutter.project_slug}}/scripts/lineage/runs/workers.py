"""Do runs in processes of their own, so that one that dies takes no other with it."""

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
from typing import Any

from lineage.core.params import Sweep
from lineage.runs.devices import DEVICES, find_devices
from lineage.runs.run import Outcome, Run
from lineage.runs.train_run import record_failure, train_or_fail

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


def environments(sweep: Sweep, runs: int, threads: int) -> list[dict[str, str]]:
    """Give each worker of a sweep its environment: how many threads, and which GPU.

    Args:
        sweep: with `jobs: -1`, there are as many workers as fit the cores that cgroup and affinity
            let this process use. With GPUs, there are no more than they take.
        runs: how many there are to do. One alone sees all GPUs of `sweep.gpus`.
        threads: what numerical libraries may start in each; 0: as many as they like.
    """
    from joblib import cpu_count

    limits = dict.fromkeys(THREAD_LIMITS, str(threads)) if threads else {}
    jobs = sweep.jobs if sweep.jobs > 0 else max(1, cpu_count() // sweep.threads)
    places = [limits] * jobs
    if devices := find_devices(sweep.gpus):
        shared = devices * sweep.runs_per_gpu if runs > 1 else [",".join(devices)]
        places = [{**limits, DEVICES: device} for device in shared]
    return places[: min(jobs, runs)]


def do_all(
    root: Path,
    runs: Iterable[Run],
    environments: list[dict[str, str]],
) -> Generator[Outcome, None, None]:
    """Yield how each run ended, in any order.

    Each worker is a pool of one process: joblib, or a pool of several, gives up every task when one
    process is killed. A run whose process died is done again, after the others, in a new one.

    Args:
        root: the project's root.
        runs: what to do; the next is taken when a worker is free, and never before what is known
            of the others has been yielded.
        environments: of the workers; one that takes the place of another has the same.
    """
    waiting = iter(runs)
    died_once: list[Run] = []
    busy: dict[Any, tuple[int, Run]] = {}
    with ExitStack() as all_workers:
        all_workers.callback(_join_queues)
        workers = [_new_worker(environment, all_workers) for environment in environments]
        idle = list(range(len(workers)))
        while True:
            for run in islice(waiting, len(idle)):
                number = idle.pop(0)
                busy[workers[number].submit(train_or_fail, root, run)] = (number, run)
            if not busy:
                return
            for future in futures.wait(busy, return_when=futures.FIRST_COMPLETED).done:
                number, run = busy.pop(future)
                idle.append(number)
                if not isinstance(future.exception(), futures.BrokenExecutor):
                    yield future.result()
                    continue
                workers[number] = _new_worker(environments[number], all_workers)
                if run in died_once:
                    yield record_death(root, run, str(future.exception()))
                else:
                    died_once.append(run)
                    waiting = chain(waiting, [run])


def record_death(root: Path, run: Run, error: str) -> Outcome:
    """Record a run as failed; loky's message says how its process ended: `SIGKILL(-9)`."""
    codes = ", ".join(re.findall(r"exit codes of the workers are \{(.*)\}", error))
    question = "is there memory for sweep.jobs runs at a time?"
    return record_failure(root, run, f"its process died twice ({codes}); {question}")


def _new_worker(environment: dict[str, str], all_workers: ExitStack) -> Any:
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
    all_workers.callback(worker.shutdown, kill_workers=True)
    return worker


def _join_queues() -> None:
    """Wait for the threads that fed closed pools, which loky does not.

    One that is cut off at Python's end has removed a semaphore without saying so: loky warns then.
    """
    for thread in threading.enumerate():
        if thread.name == "QueueFeederThread":
            thread.join()


def begin(parent: int) -> None:
    """Leave Ctrl-C to the parent, and end when it is killed: an orphan would write its run yet."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=watch, daemon=True).start()
