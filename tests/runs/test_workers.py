"""What the processes of a sweep leave behind when all runs are done."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from rooms import SCRIPTS

POOLS = """
import threading
from contextlib import ExitStack
from lineage.runs import workers

for _ in range(6):
    with ExitStack() as all_workers:
        all_workers.callback(workers._join_queues, set(threading.enumerate()))
        pools = [workers._new_worker({}, all_workers) for _ in range(2)]
        print([pool.submit(abs, -3).result() for pool in pools])
    print([thread.name for thread in threading.enumerate()])
"""


ENDLESS = """
import threading
import time
from contextlib import ExitStack
from lineage.runs import workers

began = time.monotonic()
with ExitStack() as all_workers:
    all_workers.callback(workers._join_queues, set(threading.enumerate()))
    workers._new_worker({}, all_workers).submit(len, b"x" * 1_000_000)  # does not fit into a pipe
print(time.monotonic() - began < 15)
"""


def run_python(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    script = folder / "pools.py"
    script.write_text(f"import sys\nsys.path.insert(0, {str(SCRIPTS)!r})\n{text}", encoding="utf-8")
    return subprocess.run([sys.executable, "-B", script], capture_output=True, text=True, timeout=120)


@pytest.mark.slow
def test_a_large_task_for_a_worker_that_is_gone_does_not_hold_python_up(tmp_path: Path) -> None:
    """As after Ctrl-C just when a run with long lists among its params was sent."""
    ended = run_python(tmp_path, ENDLESS)
    assert (ended.returncode, ended.stdout) == (0, "True\n")


@pytest.mark.slow
def test_no_thread_of_a_worker_is_cut_off_when_python_ends(tmp_path: Path) -> None:
    """One that is, has removed a semaphore and not said so: loky then warns of a leak, after the run's own line."""
    ended = run_python(tmp_path, POOLS)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == ["[3, 3]", "['MainThread']"] * 6
