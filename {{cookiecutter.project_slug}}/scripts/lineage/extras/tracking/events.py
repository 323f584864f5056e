"""Read the file of what a run logged (`active_run` writes it), and make its table `events`."""

import json
import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from math import inf
from pathlib import Path
from typing import Any

from lineage.core.paths import EVENTS
from lineage.runs.run_database import KEY, UNSYNCED, create_table

Event = dict[str, Any]
"""What was logged at once: `timestamp` (seconds since 1970), numbers by name, a `step` or none."""

ANEW = b"\n\n"
"""Stands before what a process logs: a run that was killed goes on in another one."""

TIMESTAMP = "%Y-%m-%d %H:%M:%S.%f"
"""xetrack's format of the local time."""


def read_events(file: Path) -> list[Event]:
    """Read what was logged.

    A run that goes on from a checkpoint comes again to steps that it had logged when it was
    killed: what it logs now counts.
    """
    events: list[Event] = []
    for logged in file.read_bytes().split(ANEW):
        new = [json.loads(line) for line in logged.splitlines() if line.endswith(b"}")]
        begins = {tuple(event): event.get("step", inf) for event in reversed(new)}
        events = [one for one in events if one.get("step", 0) < begins.get(tuple(one), inf)]
        events += new
    return events


def logged_events(file: Path, track_id: str) -> Callable[[Path], None] | None:
    """Read what a run has logged; return what writes it into a database, or None for nothing."""
    events = read_events(file)
    return partial(write_events, events, track_id) if events else None


def write_events(events: list[Event], track_id: str, database: Path) -> None:
    """Write the table `events`; each event is a microsecond later than the one before, or more.

    The time is part of the key, and clocks go back.
    """
    types = dict.fromkeys(chain(["step"], *events), "REAL")
    types["step"] = "INTEGER"
    del types["timestamp"]
    rows = []
    last = datetime.min
    for event in events:
        last += timedelta(microseconds=1)
        last = max(last, datetime.fromtimestamp(event["timestamp"]))
        rows.append([*map(event.get, types), track_id, last.strftime(TIMESTAMP)])
    create_table(database, EVENTS, types)
    marks = ", ".join("?" * len([*types, *KEY]))
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(UNSYNCED)
        connection.executemany(f"INSERT INTO {EVENTS} VALUES ({marks})", rows)


def newest_values(files: list[Path]) -> str:
    """Write what was logged last in any of the files: `step=3, loss=0.41`."""
    with suppress(OSError, ValueError, IndexError):  # its run has just ended, or logged nothing yet
        file = max(files, key=os.path.getmtime)
        event = json.loads(re.findall(rb"{.*}", file.read_bytes())[-1])
        del event["timestamp"]
        numbers = [pair for pair in event.items() if pair[1] is not None]
        return ", ".join(f"{name}={value:.6g}" for name, value in numbers)
    return ""
