"""DVC, run as a command that waits for its turn."""

import sys
import time
from pathlib import Path
from subprocess import DEVNULL, PIPE, CompletedProcess, run

WAITS = (1, 2, 4, 8, 16)
"""Seconds between tries when another DVC command holds the lock of a working tree; DVC itself gives up after three."""

BUSY = ("Unable to acquire lock", "is busy, it is being blocked by")

TORN = "Unable to read RWLock-file"
"""DVC's list of who reads and writes, left half written by a process that was killed; DVC does not mend it."""


def run_dvc(root: Path, *arguments: str, show: bool = False) -> CompletedProcess[str]:
    """Run dvc in a working tree; while another DVC command holds its lock, wait and try again.

    Args:
        root: the working tree.
        arguments: of dvc.
        show: let the user see what it prints; else the result holds all of it.
    """
    command = [sys.executable, "-m", "dvc", *arguments]
    for wait in (*WAITS, None):
        done = run(
            command,
            cwd=root,
            stdin=DEVNULL,
            stdout=None if show else PIPE,
            stderr=PIPE,
            text=True,
            check=False,
        )
        if wait is None or not any(words in done.stderr for words in (*BUSY, TORN)):
            break
        if TORN in done.stderr:
            (root / ".dvc/tmp/rwlock").unlink(missing_ok=True)
        else:
            time.sleep(wait)
    if show:
        print(done.stderr, file=sys.stderr, end="", flush=True)
    return done
