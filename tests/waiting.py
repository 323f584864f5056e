"""Waiting for what another process does, and never for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def wait_for(condition: Callable[[], Any], seconds: float = 60, pause: float = 0.05) -> None:
    """Wait until a condition is true, looked at after each pause, in seconds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(pause)
