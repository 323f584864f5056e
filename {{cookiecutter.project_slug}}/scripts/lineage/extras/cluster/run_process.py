"""A process that does runs for a worker of the cluster, one after another."""

import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any


def main(connection: Connection) -> None:
    """Say what keeps runs from being done here, or nothing; then read runs, and answer each.

    The current folder is the project's root: a copy of what runs need.
    """
    root = Path.cwd()
    try:
        import xetrack  # noqa: F401  # needed last, when hours may have gone by

        from lineage.core.experiment_file import load_experiment
        from lineage.runs.workers import begin

        begin(os.getppid())
        load_experiment(root)
    except Exception as error:  # whatever importing raises
        connection.send(str(error).partition("\n")[0])
        return
    connection.send("")
    while True:
        connection.send(_do(root, connection.recv()))


def _do(root: Path, run: Any) -> Any:
    """Do a run, and take its files away.

    Args:
        root: the project's root.
        run: a `Run`.

    Returns:
        an `Outcome`, and content by path relative to the root.
    """
    from filelock import FileLock

    from lineage.runs.train_run import train_or_fail
    from lineage.tracked.whole_file import remove

    run = replace(run, facts=replace(run.facts, platform=platform.platform()))
    made = run.files(root)
    lock = Path(f"{made.folder}.lock")
    with FileLock(lock):  # the process of a worker that was killed may live half a second longer
        outcome = train_or_fail(root, run)
        files = read_files(root, made)
        remove(made.folder)
        remove(lock)
    return outcome, files


def read_files(root: Path, places: Iterable[Path]) -> dict[str, bytes]:
    """Read files, and all that lies in folders, by path relative to the root."""
    from lineage.runs.model_file import files_of_model

    files = {}
    for place in places:
        for path in files_of_model(place):
            if path.is_relative_to(root):
                files[path.relative_to(root).as_posix()] = path.read_bytes()
    return files


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])))
