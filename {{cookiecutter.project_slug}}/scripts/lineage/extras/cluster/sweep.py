"""Do runs on a Dask cluster for `runs.sweep`, in place of `runs.workers`; take their files back."""

import asyncio
import pickle
import socket
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import cloudpickle
from distributed import Client, Future, KilledWorker, get_worker, wait
from distributed.comm import CommClosedError

from lineage.core import paths
from lineage.core.code_hash import code_files, listed_paths
from lineage.core.console import say
from lineage.core.errors import Refused
from lineage.extras.cluster import on_worker
from lineage.extras.cluster.cluster import connect
from lineage.extras.cluster.run_process import read_files
from lineage.runs.run import EVENTS_FILE, Outcome, Run
from lineage.runs.run_plan import Plan
from lineage.runs.train_run import record_failure
from lineage.runs.workers import record_death
from lineage.tracked.whole_file import remove, written_whole

SENT = (paths.PARAMS, paths.PIPELINE, "scripts/lineage")
"""What a run needs beside its code and what dvc.yaml lists for `train`, data most of all."""

SECONDS = 1.0
"""How often to look for workers that have come or gone."""

REMEDY = "dvc repro   # when the cluster is well: does what is missing"


def do_on_cluster(
    plan: Plan,
    runs: Iterable[Run],
    environments: list[dict[str, str]],
) -> Generator[Outcome, None, None]:
    """Yield how each run ended, in any order, as `workers.do_all` does.

    Args:
        plan: says where the cluster is.
        runs: what to do; the next is taken when a worker is free.
        environments: of the workers, all the same; becomes as long as there are workers.

    Raises:
        BadInput: params.yaml or Dask's configuration name no cluster.
        Refused: the cluster cannot be reached, or was lost, or a worker cannot do runs.
    """
    if not environments:
        return
    root = plan.root
    cloudpickle.register_pickle_by_value(on_worker)
    sent = {*SENT, *listed_paths(root), *code_files(root)}
    files = read_files(root, map(root.joinpath, sent))
    session = on_worker.Session(f"{socket.gethostname()}:{root}", files, environments[0])
    with connect(plan.params.sweep, len(environments)) as client:
        client.subscribe_topic(on_worker.TOPIC, partial(_keep_events, root))
        client.register_plugin(session)
        try:
            yield from _do_all(client, session.name, root, runs, environments)
        except (CancelledError, CommClosedError):
            problem = f"the Dask scheduler at {client.scheduler.address} was lost"
            raise Refused(problem, REMEDY) from None
        finally:
            with suppress(OSError):
                client.unregister_worker_plugin(session.name)


def _do_all(
    client: Client,
    session: str,
    root: Path,
    runs: Iterable[Run],
    environments: list[dict[str, str]],
) -> Iterator[Outcome]:
    """Yield how each run ended; there are as many at a time as workers have threads."""

    def do(folder: str, run: bytes) -> Any:  # local, so that it travels by value
        plugin: Any = get_worker().plugins[session]
        return plugin.do(folder, run)

    waiting = iter(runs)
    busy: dict[Future, Run] = {}
    while True:
        threads = sum(client.nthreads().values())
        if environments and not threads:
            say("the cluster has no worker; runs go on when one comes")
        environments[:] = [{}] * threads
        for run in islice(waiting, max(0, max(1, threads) - len(busy))):
            folder = run.files(root).folder
            folder.mkdir(parents=True, exist_ok=True)
            future = client.submit(do, folder.name, pickle.dumps(run), pure=False)
            busy[future] = run
        if not busy:
            return
        with suppress(asyncio.TimeoutError):  # the built-in one from Python 3.11 on
            wait(list(busy), SECONDS, "FIRST_COMPLETED")
        for future in list(filter(Future.done, busy)):
            yield _take(root, busy.pop(future), future)


def _take(root: Path, run: Run, future: Future) -> Outcome:
    """Take what a run has left, its database last, so that the run is here whole or not at all.

    Raises:
        Refused: a worker cannot do runs.
    """
    error = future.exception()
    if isinstance(error, KilledWorker):
        return record_failure(root, run, str(error))
    if error:
        remedy = f"make setup EXTRAS=cluster   # there; then: {REMEDY}"
        raise Refused(f"a worker cannot do runs: {error}", remedy)
    answer = future.result()
    if isinstance(answer, str):
        return record_death(root, run, answer)
    outcome, files = pickle.loads(answer)
    remove(run.files(root).folder)
    for name, content in files.items():
        with written_whole(root / name) as new:
            new.write_bytes(content)
    return outcome


def _keep_events(root: Path, event: tuple[float, Any]) -> None:
    """Keep what runs log where a run on this machine has it, and the live line looks for it."""
    folder, place, events = event[1]
    file = root / paths.UNFINISHED_RUNS / folder / EVENTS_FILE
    with suppress(OSError), file.open("r+b" if place else "wb") as opened:  # not an ended run's
        opened.seek(place)
        opened.write(events)
