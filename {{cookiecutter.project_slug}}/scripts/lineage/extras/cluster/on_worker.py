"""What a worker of the cluster keeps for a sweep: files, and processes that do its runs.

This module travels to the workers by value, and imports nothing of the project. What a worker has
of another project, or of another version of this one, plays no part.
"""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from distributed import WorkerPlugin, get_worker

TOPIC = "lineage"
"""Under which the scheduler passes on what runs log."""

SECONDS = 0.5
"""How often a worker looks what a run has logged, and whether it is still wanted."""


@dataclass
class Session(WorkerPlugin):
    """The files of a project on a worker, and its processes; gone when the sweep ends.

    Attributes:
        name: of the session; it takes the place of an earlier one of this name.
        files: of the project, by path relative to its root.
        environment: variables of the processes.
    """

    name: str
    files: dict[str, bytes]
    environment: dict[str, str]

    def setup(self, worker: Any) -> None:
        """Write the files. Folders of runs that go on lie outside, to outlive the worker."""
        self.processes: dict[Connection, Any] = {}
        self.idle: list[Connection] = []
        self.root = Path(mkdtemp(prefix="lineage-", dir=worker.local_directory)).resolve()
        shared = self.root.parents[1] / "lineage-unfinished"
        shared.mkdir(exist_ok=True)
        (self.root / "results").mkdir()
        self.unfinished = self.root / "results/unfinished"
        self.unfinished.symlink_to(shared)
        while self.files:
            name, content = self.files.popitem()
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def teardown(self, worker: Any) -> None:
        """End all runs."""
        for process in list(self.processes.values()):
            process.kill()
        shutil.rmtree(self.root, ignore_errors=True)

    def do(self, folder: str, run: bytes) -> bytes | str:
        """Do a run in a process, and once more if that dies.

        Args:
            folder: the name of the run's folder while it goes on.
            run: what `run_process` does, pickled.

        Returns:
            what `run_process` answers, pickled; or how its process died twice.

        Raises:
            RuntimeError: no process can do runs here.
        """
        for _ in range(2):
            connection = self.idle.pop() if self.idle else self._start()
            try:
                connection.send_bytes(run)
                self._watch(connection, folder)
                answer = connection.recv_bytes()
            except (EOFError, OSError):
                code = self.processes.pop(connection).wait()
            else:
                self.idle.append(connection)
                return answer
        name = signal.Signals(-code).name if code < 0 else "EXIT"
        return f"exit codes of the workers are {{{name}({code})}}"  # as loky says it

    def _start(self) -> Connection:
        """Start a process, which says first what keeps it from doing runs."""
        ours, theirs = Pipe()
        path = f"{self.root}/scripts:{os.environ.get('PYTHONPATH', '')}"
        process = subprocess.Popen(
            [sys.executable, "-m", "lineage.extras.cluster.run_process", str(theirs.fileno())],
            cwd=self.root,
            env={**os.environ, "PYTHONHASHSEED": "0", **self.environment, "PYTHONPATH": path},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        self.processes[ours] = process
        if problem := ours.recv():
            raise RuntimeError(f"{get_worker().address}: {problem}")
        return ours

    def _watch(self, connection: Connection, folder: str) -> None:
        """Wait for an answer; meanwhile tell what the run logs, and end it if it is cancelled."""
        worker = get_worker()
        task = worker.state.tasks[worker.get_current_task()]
        file = self.unfinished / folder / "events.csv"
        told = 0
        ended = False
        while not ended:
            ended = connection.poll(SECONDS)
            if task.state == "cancelled":
                self.processes.pop(connection).kill()
                raise RuntimeError("nobody waits for this run")  # nor for another try of it
            events = file.read_bytes() if file.exists() else b""
            if events[told:]:
                worker.log_event(TOPIC, (folder, told, events[told:]))
                told = len(events)
