"""The one way in which an accumulated output is written: locked, checked against its record, whole or not at all.

Nothing is overwritten unless its exact bytes can be brought back, or all its rows live on in what replaces it.
"""

import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lineage.core.errors import Refused
from lineage.tracked.cache import cached_object, recorded_manifest, store_object
from lineage.tracked.hashes import folder_manifest, path_md5
from lineage.tables.kept_rows import holds_all_rows
from lineage.tracked.recorded import recorded_md5

LOCK_SECONDS = 600.0

Contains = Callable[[Path, Path], bool]
"""Tells whether the first file holds every row of the second."""


@contextmanager
def locked(root: Path, path: str, *, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the lock of one output; wait for another process first.

    Args:
        root: the project's root.
        path: the output, relative to it.
        seconds: how long to wait.
    Raises:
        Refused: still locked after that time; names the process that holds it.
    """
    from filelock import FileLock, Timeout

    folder = root / ".dvc" / "tmp" / "lineage" if (root / ".dvc").is_dir() else root
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f".{path.replace('/', '-')}.lock"
    holder = file.with_suffix(".holder")
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(
            f"waiting for {_read_holder(holder)}, which is writing {path} …",
            file=sys.stderr,
            flush=True,
        )
        try:
            lock.acquire(timeout=seconds)
        except Timeout:
            problem = (
                f"{path} is still being written by {_read_holder(holder)} after {seconds:.0f} s"
            )
            raise Refused(problem, "wait for it, or end that process; then try again") from None
    try:
        holder.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _read_holder(holder: Path) -> str:
    try:
        return holder.read_text(encoding="utf-8")
    except OSError:
        return "another process"


def check_base(root: Path, path: str, contains: Contains = holds_all_rows) -> Path | None:
    """Find the accumulated output that new rows may be added to.

    Args:
        root: the project's root.
        path: the output (a file or a folder), relative to it.
        contains: tells whether a file holds all rows of another. For a folder that lacks recorded files, it is asked
            whether they may be missing, and is given the folder and the object that lists them.
    Returns:
        the output's path, or None when there is none yet and none is recorded.
    Raises:
        Refused: the output is missing although `dvc.lock` names it (a clone without `dvc pull`), is another recorded
            version (a checkout without `dvc checkout`), or lacks recorded rows (edited by hand).
    """
    base = root / path
    recorded = recorded_md5(root, path)
    if recorded is None:
        return base if base.exists() else None
    if not base.exists():
        command = "dvc checkout" if cached_object(root, recorded) else "dvc pull"
        problem = (
            f"{path} is missing although dvc.lock records it; going on would start its history over"
        )
        raise Refused(problem, f"{command} {path}")
    md5 = path_md5(base)
    if md5 == recorded:
        return base
    if cached_object(root, md5):
        problem = f"{path} is not the version that dvc.lock records but another one, left behind by a git checkout"
        raise Refused(problem, "dvc checkout")
    if not _holds_recorded(root, path, recorded, contains):
        problem = f"{path} lacks rows or files that dvc.lock records; it was edited, or belongs to another commit"
        raise Refused(
            problem,
            f"cp -r {path} {path}.mine   # if you want to keep it\n  → dvc checkout --force {path}",
        )
    return base


def _holds_recorded(root: Path, path: str, recorded: str, contains: Contains) -> bool:
    """Tell whether a changed base still holds everything recorded, as after a kill between rename and `dvc.lock`."""
    base, known = root / path, cached_object(root, recorded)
    if known is not None:
        manifest = recorded_manifest(root, recorded) or {} if base.is_dir() else None
        in_folder = manifest is not None and manifest.items() <= folder_manifest(base).items()
        return in_folder or contains(base, known)
    problem = f"{path} differs from what dvc.lock records, and the recorded version is not in the cache to compare"
    raise Refused(problem, f"dvc fetch {path}")


def keep_recoverable(root: Path, path: str) -> None:
    """See to it that the exact bytes of an output can be had again before it is replaced.

    What `dvc.lock` names but the local cache lacks (it may only be in the remote) is put into the cache.

    Raises:
        Refused: the bytes are recorded nowhere.
    """
    target, recorded = root / path, recorded_md5(root, path)
    files = (
        {target / name: md5 for name, md5 in folder_manifest(target).items()}
        if target.is_dir()
        else {}
    )
    files = files or {target: path_md5(target)}
    missing = [file for file, md5 in files.items() if not cached_object(root, md5)]
    if not missing:
        return
    if recorded is None:
        problem = f"{path} would be replaced, and its bytes are recorded nowhere"
        raise Refused(
            problem,
            f"mv {path} {path}.old   # or: dvc add {path}; by hand --backup-tag NAME pins it",
        )
    if recorded != path_md5(target):
        problem = f"{path} would lose rows or files, and its present bytes are recorded nowhere"
        remedy = f"dvc commit   # records it; by hand --backup-tag NAME pins it\n  → dvc checkout --force {path}   # or goes back"
        raise Refused(problem, remedy)
    for file in missing:
        store_object(root, file, files[file])
