"""Find runs that a stopped `train` has begun or done, and move whole runs to where DVC takes them.

Each run is made in a folder of its own, and its files move to those that DVC takes when all have
ended. So a stage that fails changes none of its outputs, and what is unfinished waits until a plan
asks for the same run: same code, data and params, by `run_hash`.
"""

import shutil
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from lineage.core import paths
from lineage.core.errors import BadInput
from lineage.runs.run import Run, RunFiles, run_files, unfinished_files
from lineage.tables.sqlite_reading import open_read_only
from lineage.tracked.cache import cached_object
from lineage.tracked.hashes import file_md5, path_md5
from lineage.tracked.whole_file import remove

FIND_RUN = "SELECT run_hash, status, model_hash, predictions_hash FROM metrics"


def begun_runs(root: Path) -> dict[str, str]:
    """Find the runs that have a folder, and those that DVC has not cached since they were done.

    Returns:
        their ids by `run_hash`.
    """
    folders = filter(Path.is_dir, (root / paths.UNFINISHED_RUNS).glob("*.*"))
    begun = dict(folder.name.split(".", 1) for folder in folders)
    for database in sorted((root / paths.RUNS).glob("[!.]*.db")):
        if not cached_object(root, file_md5(database)):
            run_hash = _read_row(database)[0]
            begun[run_hash] = database.stem
    return begun


def present_files(root: Path, run_hash: str, track_id: str) -> RunFiles:
    """Name the files of a run where they are: of a `train` that was killed, some have moved."""
    both = zip(unfinished_files(root, run_hash, track_id), run_files(root, track_id))
    return RunFiles(*[old if old.exists() else new for old, new in both])


def is_done(root: Path, run_hash: str, track_id: str) -> bool:
    """Tell whether a run has ended well, and has the files that it recorded."""
    files = present_files(root, run_hash, track_id)
    present = [path_md5(path) for path in (files.model, files.predictions) if path.exists()]
    return _read_row(files.database) == [run_hash, "ok", *present]


def finish(root: Path, runs: Iterable[Run]) -> None:
    """Move runs to where DVC takes them from, in place of earlier ones.

    Those are in DVC's cache; one that is not, since its stage was stopped, waits as others do.

    Args:
        root: the project's root.
        runs: all of a plan; they are done.
    """
    for run_hash, track_id in begun_runs(root).items():
        _move(run_files(root, track_id), unfinished_files(root, run_hash, track_id))
    for folder in (paths.RUNS, paths.TRAINED_MODELS):
        for path in (root / folder).glob("*"):
            remove(path)
    for run in runs:
        files = run.files(root)
        _move(files, run_files(root, run.track_id))
        remove(files.folder)


def _move(source: RunFiles, target: RunFiles) -> None:
    """Move the files that a run has, its database last; what has been moved or made anew stays."""
    for old, new in zip(source, target):
        if old.exists() and not new.exists():
            new.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(old, new)


def _read_row(database: Path) -> list[str]:
    """Read what a run depends on, how it ended, and the hashes of its files."""
    try:
        with open_read_only(database) as connection:
            return list(connection.execute(FIND_RUN).fetchone() or [""])
    except (BadInput, sqlite3.Error):
        return [""]
