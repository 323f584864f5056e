"""What the processes of a sweep leave behind when all runs are done."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from rooms import SCRIPTS

POOLS = """
import threading
from contextlib import ExitStack
from lineage.runs import workers

for _ in range(6):
    with ExitStack() as all_workers:
        all_workers.callback(workers._join_queues)
        pools = [workers._new_worker({}, all_workers) for _ in range(2)]
        print([pool.submit(abs, -3).result() for pool in pools])
    print([thread.name for thread in threading.enumerate()])
"""


def test_no_thread_of_a_worker_is_cut_off_when_python_ends(tmp_path: Path) -> None:
    """One that is, has removed a semaphore and not said so: loky then warns of a leak, after the run's own line."""
    script = tmp_path / "pools.py"
    script.write_text(f"import sys\nsys.path.insert(0, {str(SCRIPTS)!r})\n{POOLS}", encoding="utf-8")
    ended = subprocess.run([sys.executable, "-B", script], capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == ["[3, 3]", "['MainThread']"] * 6
