"""DVC, run as a command that waits for its turn."""

import json
import sys
import time
from pathlib import Path
from subprocess import PIPE, CompletedProcess

from lineage.core.errors import Refused
from lineage.tracked.git import run

WAITS = (0, 1, 2, 4, 8, 16)
"""Seconds before each try, while another DVC command holds the lock; DVC gives up after three."""

BUSY = ("Unable to acquire lock", "is busy, it is being blocked by")

TORN = "Unable to read RWLock-file"
"""DVC's list of who reads and writes, half written by a killed process; DVC does not mend it."""


def run_dvc(root: Path, command: str, *arguments: str, show: bool = False) -> CompletedProcess[str]:
    """Run dvc in a working tree; while another DVC command holds its lock, wait and try again.

    Args:
        root: the working tree.
        command: of dvc, words with spaces between them, as in `status --json`.
        arguments: what follows, each of them one word.
        show: let the user see what it prints; else the result holds all of it.
    """
    words = [sys.executable, "-m", "dvc", *command.split(), *arguments]
    for wait in WAITS:
        time.sleep(wait)
        done = run(root, *words, stdout=None if show else PIPE)
        if TORN in done.stderr:
            (root / ".dvc/tmp/rwlock").unlink(missing_ok=True)
        elif not any(reason in done.stderr for reason in BUSY):
            break
    if show:
        print(done.stderr, file=sys.stderr, end="", flush=True)
    return done


def changed_stages(root: Path) -> list[str]:
    """Name the stages and `.dvc` files that `dvc status` finds changed.

    Raises:
        Refused: it fails.
    """
    status = run_dvc(root, "status --json")
    if status.returncode:
        raise Refused(f"dvc status failed: {' '.join(status.stderr.split())[:200]}", "dvc status")
    return list(json.loads(status.stdout))
