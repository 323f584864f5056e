"""Work done in a process of its own, so that what crashes or hangs in it is a result like any other."""

from __future__ import annotations

import faulthandler
import os
import pickle
import select
import signal
import time
from collections.abc import Callable
from typing import Any

SECONDS = 60.0
"""How long a piece of work may take before it counts as hanging."""


def in_a_fork(work: Callable[[], Any], seconds: float = SECONDS) -> tuple[str, Any]:
    """Do work in a fork of this process.

    Returns:
        `done` and what the work returned; `traceback` and the error's words; `crash` and the signal; or `hang`.
    """
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reading)
        _work(work, writing)
    os.close(writing)
    until = time.monotonic() + seconds
    told = b""
    with os.fdopen(reading, "rb", buffering=0) as answer:
        while select.select([answer], [], [], max(0.0, until - time.monotonic()))[0]:
            chunk = answer.read(1 << 20)
            if not chunk:
                break
            told += chunk
        else:
            os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    if time.monotonic() > until:
        return "hang", f"more than {seconds:.0f} s"
    if os.WIFSIGNALED(status):
        return "crash", signal.Signals(os.WTERMSIG(status)).name
    return pickle.loads(told)


def _work(work: Callable[[], Any], writing: int) -> None:
    faulthandler.disable()  # a crash is an answer here
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        told = ("done", work())
    except BaseException as error:
        told = ("traceback", f"{type(error).__name__}: {error}")
    with os.fdopen(writing, "wb") as answer:
        pickle.dump(told, answer)
    os._exit(0)
