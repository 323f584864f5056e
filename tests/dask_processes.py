"""A real Dask cluster on loopback: a scheduler and workers, each a process that a test can kill."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"
QUIET = ("--dashboard-address", f"{HOST}:0", "--no-dashboard")
SECONDS_TO_START = 60
QUICK = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "2s"}
"""For a command that has to find out that nobody answers; by default that takes 30 seconds."""


@dataclass
class Cluster:
    """Processes of this test's own. Workers know nothing of a project but what it sends them.

    Attributes:
        folder: of the scheduler's address, the workers' own files, and the logs.
        processes: by name, the scheduler first; a worker is a nanny, which starts a worker again that died.
    """

    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """As `sweep.address` has it."""
        return str(json.loads((self.folder / "scheduler.json").read_text("utf-8"))["address"])

    def start(self, name: str, *arguments: str, command: Sequence[str] = (), **environment: str) -> None:
        """Start a process of Dask's in a session of its own, without what the test has on its path.

        Its command may be given as it is typed: `dask scheduler` takes a moment longer.
        """
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        module = f"distributed.cli.dask_{'scheduler' if name == 'scheduler' else 'worker'}"
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *(command or [module]), *QUIET, *arguments],
                cwd=self.folder,
                env={**kept, "PYTHONDONTWRITEBYTECODE": "1", **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_scheduler(
        self, *arguments: str, port: str = "0", command: Sequence[str] = (), **environment: str
    ) -> None:
        """Start it on any free port, or on one that it had, and wait until it has written its address."""
        file = self.folder / "scheduler.json"
        file.unlink(missing_ok=True)
        places = ("--host", HOST, "--port", port, "--scheduler-file", str(file))
        self.start("scheduler", *places, *arguments, command=command, **environment)
        self._wait(file)

    def start_worker(self, name: str, *arguments: str, memory: str = "1GB", **environment: str) -> None:
        """Start a worker with one thread."""
        common = ("--host", HOST, "--nthreads", "1", "--memory-limit", memory, "--name", name)
        if "--local-directory" not in arguments:
            arguments = (*arguments, "--local-directory", str(self.folder / name))
        self.start(name, self.address, *common, *arguments, **environment)

    def wait_for_workers(self, number: int) -> None:
        """Wait until so many workers have come."""
        from distributed import Client

        with Client(self.address) as client:
            client.wait_for_workers(number, timeout=SECONDS_TO_START)

    def kill(self, name: str) -> None:
        """End a process and all that it started as a power cut would (SIGKILL)."""
        process = self.processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _wait(self, file: Path) -> None:
        last = time.monotonic() + SECONDS_TO_START
        while not file.exists() or not file.read_text("utf-8"):
            if time.monotonic() > last or self.processes["scheduler"].poll() is not None:
                raise RuntimeError((self.folder / "scheduler.log").read_text("utf-8", errors="replace"))
            time.sleep(0.05)


@contextlib.contextmanager
def cluster(folder: Path, workers: int = 2, shared_disk: Path | None = None) -> Iterator[Cluster]:
    """Run a scheduler and workers while the block runs; each has files of its own, or all on a disk that they share."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Cluster(folder)
    try:
        made.start_scheduler()
        for number in range(workers):
            made.start_worker(f"worker-{number}", "--local-directory", str(shared_disk or folder / f"worker-{number}"))
        yield made
    finally:
        for name in reversed(list(made.processes)):
            made.kill(name)
