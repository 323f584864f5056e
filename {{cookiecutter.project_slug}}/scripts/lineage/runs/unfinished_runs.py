"""Find runs that a stopped `train` has done, and move whole runs to where DVC takes them.

Runs are made in folders of their own and moved to those that DVC takes when all have ended. So a
stage that fails changes none of its outputs, and what is unfinished waits until a plan asks for the
same run: same code, data and params, by `run_hash`.
"""

import sqlite3
from pathlib import Path

from lineage.core import paths
from lineage.core.errors import BadInput
from lineage.runs.run import ARTIFACTS_SUFFIX, FINISHED, UNFINISHED, Folders, run_files
from lineage.runs.run_plan import Plan
from lineage.runs.train_run import check_code
from lineage.tables.sqlite_files import open_read_only
from lineage.tracked.cache import cached_object
from lineage.tracked.hashes import file_md5, path_md5
from lineage.tracked.whole_file import remove

PARTS = (".tmp", ".parquet", ".bin", ARTIFACTS_SUFFIX)
FIND_RUN = """
SELECT run_hash, model_hash, predictions_hash
FROM metrics
WHERE track_id = ? AND status = 'ok'
"""


def find_done(root: Path) -> dict[str, str]:
    """Find the runs that are done already, of whatever plan.

    Returns:
        their ids by `run_hash`.
    """
    for folder in (*UNFINISHED, *FINISHED):
        (root / folder).mkdir(parents=True, exist_ok=True)
    databases = sorted((root / paths.UNFINISHED_RUNS).glob("[!.]*.db"))
    for database in sorted((root / paths.RUNS).glob("[!.]*.db")):
        if not cached_object(root, file_md5(database)):
            databases.append(database)  # its stage was stopped before DVC cached it
    track_ids = [database.stem for database in databases]
    for track_id in track_ids:
        _move(root, track_id, FINISHED, UNFINISHED)
    _remove_parts(root, track_ids)
    done = {_run_hash_if_whole(root, track_id): track_id for track_id in track_ids}
    done.pop("", None)
    return done


def finish(plan: Plan, done: dict[str, str]) -> None:
    """Move runs to where DVC takes them from, in place of earlier ones, which are in its cache.

    Args:
        plan: all of its runs are done.
        done: ids of those that were done before, by `run_hash`.

    Raises:
        Refused: the code was changed since; DVC would record the code that lies there now.
    """
    check_code(plan.root, next(iter(plan.runs.values())))
    for folder in FINISHED:
        for path in (plan.root / folder).iterdir():
            remove(path)
    for run_hash, run in plan.runs.items():
        _move(plan.root, done.get(run_hash, run.track_id), UNFINISHED, FINISHED)


def _move(root: Path, track_id: str, source: Folders, target: Folders) -> None:
    """Move the files that a run has, its database last."""
    new_files = run_files(root, target, track_id)
    for old, new in zip(run_files(root, source, track_id), new_files):
        if old.exists():
            old.replace(new)


def _remove_parts(root: Path, whole: list[str]) -> None:
    """Remove what killed runs left: temporary files, models and predictions without a database."""
    for folder in UNFINISHED:
        for path in (root / folder).iterdir():
            track_id = path.name.partition(".")[0].removesuffix("_model")
            if path.suffix in PARTS and track_id not in whole:
                remove(path)


def _run_hash_if_whole(root: Path, track_id: str) -> str:
    """Read the `run_hash` of a run that ended well with the files that it recorded; else ''."""
    model, _, predictions, database = run_files(root, UNFINISHED, track_id)
    try:
        with open_read_only(database) as connection:
            found = connection.execute(FIND_RUN, (track_id,)).fetchone()
    except (BadInput, sqlite3.Error):
        return ""
    run_hash, *recorded = found or [""]
    present = [path_md5(path) for path in (model, predictions) if path.exists()]
    return run_hash if present == recorded else ""
