"""`train.py` started in a session of its own, to be stopped; and what its runs hold before and after."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterable
from typing import Any

from conftest import Project
from toy_runs import md5


def start(project: Project) -> subprocess.Popen[str]:
    """Start train.py in a session of its own."""
    return subprocess.Popen(
        ["python", "scripts/train.py"], cwd=project.path, env=project.environment, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )  # fmt: skip


def wait_for(condition: Any, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def contents(project: Project, folder: str, track_ids: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Hashes of the database and the predictions of runs."""
    places = {track_id: project.path / folder / track_id for track_id in track_ids}
    return {
        track_id: (md5(place.with_suffix(".db")), md5(place.with_suffix(".parquet")))
        for track_id, place in places.items()
    }
