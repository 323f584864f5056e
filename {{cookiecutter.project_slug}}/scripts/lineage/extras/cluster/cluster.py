"""Connect to a Dask cluster: one that runs, one on this machine, or one of batch jobs."""

import logging
import re
import signal
import warnings
from typing import Any

import dask
from distributed import Client

from lineage.core.errors import BadInput, Refused
from lineage.core.params import Sweep

SILENT = logging.CRITICAL + 1
MISMATCH = "Mismatched versions"
DASHBOARD = "127.0.0.1:0"
"""Where a dashboard listens: Dask would have it listen on every address, even if it shows none."""

SAME_PACKAGES = "make setup EXTRAS=cluster   # on every machine of the cluster, by the same locks"
REMEDY = "export DASK_JOBQUEUE__SLURM__CORES=4 DASK_JOBQUEUE__SLURM__MEMORY=16GB"


def connect(sweep: Sweep, workers: int) -> Client:
    """Give the client of a cluster; use it in a `with` statement, which closes it.

    What was started for the client ends with it, or with this process at the latest.

    Args:
        sweep: its `address` is that of a scheduler, `tcp://scheduler:8786` or `tls://…`; empty:
            start a cluster. Its `scheduler` is that of batch jobs which are the workers, `slurm` or
            `pbs`; empty: they are processes on this machine, which nobody else can reach.
        workers: how many workers to start, each with one thread; how many jobs, with `scheduler`.

    Raises:
        BadInput: the address is none, or Dask's configuration does not say what jobs ask for.
        Refused: no scheduler answers, or it or a worker has another Python or other versions of
            packages than this process.
    """
    for name in ("distributed", "distributed.client"):  # our messages say it
        logging.getLogger(name).setLevel(SILENT)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", MISMATCH)
        if sweep.address:
            client = _reach(sweep.address)
        elif sweep.scheduler:
            client = Client(_start_jobs(sweep.scheduler, workers))
        else:
            client = Client(
                n_workers=workers,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address=DASHBOARD,
                silence_logs=SILENT,
            )
        warnings.filterwarnings("error", MISMATCH)  # duckdb counts, too
        try:
            client.get_versions(check=True, packages=["duckdb"])
        except UserWarning as error:  # Dask's own table of what differs
            client.close()
            raise Refused(str(error), SAME_PACKAGES) from None
    return client


def _reach(address: str) -> Client:
    if not re.fullmatch(r"(tcp|tls)://\S+:\d+", address):
        problem = f"{address!r} is no address of a Dask scheduler"
        raise BadInput(f"{problem}; allowed: as tcp://scheduler:8786, or tls://…")
    try:
        return Client(address)
    except (OSError, TypeError) as error:  # the other: TLS without certificates
        problem = f"no Dask scheduler answers at {address}: {error}"
        raise Refused(problem, "dask scheduler   # there, and workers beside it") from None


def _start_jobs(scheduler: str, workers: int) -> Any:
    """Submit batch jobs as `jobqueue.slurm` in Dask's configuration says: cores, memory, queue."""
    interrupted = signal.getsignal(signal.SIGINT)
    import dask_jobqueue

    signal.signal(signal.SIGINT, interrupted)  # importing it makes Ctrl-C end with code 0
    listening = {
        "dashboard_address": DASHBOARD,
        **dask.config.get(f"jobqueue.{scheduler}.scheduler-options"),
    }
    kind = getattr(dask_jobqueue, f"{scheduler.upper()}Cluster")
    try:
        cluster = kind(scheduler_options=listening)
    except ValueError as error:
        raise BadInput(f"jobqueue.{scheduler} in Dask's configuration: {error}", REMEDY) from None
    cluster.scale(jobs=workers)
    return cluster
