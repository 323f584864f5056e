"""Write the file of what a run logs, read it, and make its table `events`.

The file has a line of names wherever they change, and below it a line of numbers for each event.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import datetime
from functools import lru_cache, partial
from itertools import chain
from math import inf, nan
from pathlib import Path
from typing import Any

from lineage.core.paths import EVENTS
from lineage.runs.run_database import KEY, UNSYNCED, check_columns, create_table, to_metrics

Event = dict[str, Any]
"""What was logged at once: `timestamp` (seconds since 1970), numbers by name, a `step` or none."""

TIMESTAMP = "timestamp"
"""The first name of each line of names, and of no line of numbers."""

ANEW = "anew\n"
"""Stands before what a process logs: a run that was killed goes on in another one."""

REMEDY = "log numbers only; run.artifact() keeps any file"
SECOND = 10**6
"""Microseconds of a second."""


class EventFile:
    """The file of what a run logs. Each event is written at once, so a killed process loses none.

    Args:
        path: what stands in it is of a process that was killed, and stays.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("ab", buffering=0)
        self._file.write(ANEW.encode())
        self._names: tuple[str, ...] = ()
        self._seen: set[str] = set()
        self._format = b""

    def log(self, logged: dict[str, Any]) -> None:
        """Write an event: numbers by name, those of numpy and torch, too; None is stored as NaN is.

        Raises:
            BadInput: a name cannot be a column, or a value is not a number.
        """
        if tuple(logged) != self._names:
            self._write_names(logged)
        numbers = [one.item() if hasattr(one, "item") else one for one in logged.values()]
        try:
            line = self._format % (time.time(), *numbers)
        except (TypeError, OverflowError):
            checked = to_metrics(logged, REMEDY)
            numbers = [nan if number is None else number for number in checked.values()]
            line = self._format % (time.time(), *numbers)
        self._file.write(line)

    def _write_names(self, logged: dict[str, Any]) -> None:
        if new := logged.keys() - self._seen:
            to_metrics(logged, REMEDY)
            check_columns([*KEY, *self._seen, *new], EVENTS)
            self._seen |= new
        self._file.write(",".join([TIMESTAMP, *logged]).encode() + b"\n")
        self._format = b",".join([b"%.17g"] * (1 + len(logged))) + b"\n"
        self._names = tuple(logged)

    def close(self) -> None:
        """Close the file, which stays."""
        self._file.close()


def read_events(file: Path) -> list[Event]:
    """Read what was logged.

    A run that goes on from a checkpoint comes again to steps that it had logged when it was
    killed: what it logs now counts.
    """
    events: list[Event] = []
    for logged in file.read_text().split(ANEW):
        new = list(_parse(logged))
        begins = {tuple(event): event.get("step", inf) for event in reversed(new)}
        events = [one for one in events if one.get("step", 0) < begins.get(tuple(one), inf)]
        events += new
    return events


def _parse(logged: str) -> Iterator[Event]:
    """Read what one process logged; a kill may have cut off its last line."""
    for line in logged.split("\n")[:-1]:
        cells = line.split(",")
        if cells[0] == TIMESTAMP:
            names = cells
        else:
            yield dict(zip(names, [None if one == "nan" else float(one) for one in cells]))


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
    del types[TIMESTAMP]
    rows = []
    last = 0
    for event in events:
        last = max(last + 1, round(event[TIMESTAMP] * SECOND))
        second, microsecond = divmod(last, SECOND)
        rows.append([*map(event.get, types), track_id, f"{to_local(second)}.{microsecond:06}"])
    create_table(database, EVENTS, types)
    marks = ", ".join("?" * len([*types, *KEY]))
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(UNSYNCED)
        connection.executemany(f"INSERT INTO {EVENTS} VALUES ({marks})", rows)


@lru_cache
def to_local(second: int) -> str:
    """Write a time in seconds since 1970 as xetrack does: `2026-06-01 09:30:00`, local time."""
    return datetime.fromtimestamp(second).isoformat(" ")


def newest_values(files: list[Path]) -> str:
    """Write what was logged last in any of the files: `step=3, loss=0.41`."""
    with suppress(OSError, ValueError, IndexError):  # its run has just ended, or logged nothing yet
        file = max(files, key=os.path.getmtime)
        names, *lines = file.read_text().rpartition(f"\n{TIMESTAMP},")[2].splitlines(keepends=True)
        (event,) = _parse(f"{TIMESTAMP},{names}{lines[-1]}")
        numbers = [pair for pair in event.items() if pair[1] is not None]
        return ", ".join(f"{name}={value:.6g}" for name, value in numbers[1:])
    return ""
