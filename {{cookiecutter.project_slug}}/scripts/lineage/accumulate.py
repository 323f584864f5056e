"""The one way in which an accumulated output is written: locked, checked against its record, whole or not at all.

Nothing is overwritten unless its exact bytes can be brought back, or all its rows live on in what replaces it.
"""

import ctypes
import os
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lineage import records
from lineage.errors import Refused

LOCK_SECONDS = 600.0
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h

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
        print(f"waiting for {_read_holder(holder)}, which is writing {path} …", file=sys.stderr, flush=True)
        try:
            lock.acquire(timeout=seconds)
        except Timeout:
            problem = f"{path} is still being written by {_read_holder(holder)} after {seconds:.0f} s"
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


def check_base(root: Path, path: str, contains: Contains) -> Path | None:
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
    recorded = records.recorded_md5(root, path)
    if recorded is None:
        return base if base.exists() else None
    if not base.exists():
        command = "dvc checkout" if records.cached_object(root, recorded) else "dvc pull"
        problem = f"{path} is missing although dvc.lock records it; going on would start its history over"
        raise Refused(problem, f"{command} {path}")
    md5 = records.path_md5(base)
    if md5 == recorded:
        return base
    if records.cached_object(root, md5):
        problem = f"{path} is not the version that dvc.lock records but another one, left behind by a git checkout"
        raise Refused(problem, "dvc checkout")
    if not _holds_recorded(root, path, recorded, contains):
        problem = f"{path} lacks rows or files that dvc.lock records; it was edited, or belongs to another commit"
        raise Refused(problem, f"cp -r {path} {path}.mine   # if you want to keep it\n  → dvc checkout --force {path}")
    return base


def _holds_recorded(root: Path, path: str, recorded: str, contains: Contains) -> bool:
    """Tell whether a changed base still holds everything recorded, as after a kill between rename and `dvc.lock`."""
    base, known = root / path, records.cached_object(root, recorded)
    if known is not None:
        manifest = records.recorded_manifest(root, recorded) or {} if base.is_dir() else None
        in_folder = manifest is not None and manifest.items() <= records.folder_manifest(base).items()
        return in_folder or contains(base, known)
    problem = f"{path} differs from what dvc.lock records, and the recorded version is not in the cache to compare"
    raise Refused(problem, f"dvc fetch {path}")


def keep_recoverable(root: Path, path: str) -> None:
    """See to it that the exact bytes of an output can be had again before it is replaced.

    What `dvc.lock` names but the local cache lacks (it may only be in the remote) is put into the cache.

    Raises:
        Refused: the bytes are recorded nowhere.
    """
    target, recorded = root / path, records.recorded_md5(root, path)
    files = {target / name: md5 for name, md5 in records.folder_manifest(target).items()} if target.is_dir() else {}
    files = files or {target: records.path_md5(target)}
    missing = [file for file, md5 in files.items() if not records.cached_object(root, md5)]
    if not missing:
        return
    if recorded is None:
        problem = f"{path} would be replaced, and its bytes are recorded nowhere"
        raise Refused(problem, f"mv {path} {path}.old   # or: dvc add {path}; by hand --backup-tag NAME pins it")
    if recorded != records.path_md5(target):
        problem = f"{path} would lose rows or files, and its present bytes are recorded nowhere"
        remedy = f"dvc commit   # records it; by hand --backup-tag NAME pins it\n  → dvc checkout --force {path}   # or goes back"
        raise Refused(problem, remedy)
    for file in missing:
        store_object(root, file, files[file])


def write_whole(output: Path, build: Callable[[Path], bool], *, locked: bool = True) -> bool:
    """Build a file beside `output` and rename it into place; a killed process leaves the old file as it was.

    Args:
        output: the file to make or replace. A link to the DVC cache is replaced, never written through.
        build: writes the new file at the path it is given; returns False when nothing changes.
        locked: the caller holds the output's lock, so what killed processes left beside it can go.
    Returns:
        whether `output` changed. Equal bytes count as unchanged.
    Raises:
        Refused: another program is writing to the output, or did meanwhile.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    before = _state(output) if locked else None
    if locked:
        _sweep_temporaries(output)
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        if not build(temporary):
            return False
        if output.is_file() and same_bytes(temporary, output):
            return False
        flush_to_disk(temporary)
        if locked and _state(output) != before:
            raise Refused(f"{output} was changed by another program meanwhile; it is as that left it", "try again")
        temporary.replace(output)
        flush_to_disk(output.parent)
        return True
    finally:
        _sweep_temporaries(output, os.getpid())


def store_object(root: Path, file: Path, md5: str) -> None:
    """Copy a file into DVC's cache under its hash, whole and read-only as DVC does it."""
    place = records.object_path(root, md5)

    def build(temporary: Path) -> bool:
        shutil.copyfile(file, temporary)
        temporary.chmod(0o444)
        return True

    write_whole(place, build, locked=False)


def _sweep_temporaries(output: Path, process: int | None = None) -> None:
    """Remove what killed processes, or one process, left."""
    name = re.compile(rf"\.{re.escape(output.name)}\.{process or '[0-9]+'}\.tmp.*")
    for leftover in output.parent.iterdir():
        if name.fullmatch(leftover.name):
            leftover.unlink(missing_ok=True)


def _state(output: Path) -> tuple[int, ...] | None:
    """What changes when a file is written to or replaced.

    Raises:
        Refused: it is a database with a write-ahead log, which would be replayed over the file that takes its place.
    """
    log = output.with_name(f"{output.name}-wal")
    if log.exists() and log.stat().st_size:
        remedy = f"sqlite3 {output} 'PRAGMA journal_mode = DELETE'"
        raise Refused(f"{output} has rows in its write-ahead log; a program has it open, or was killed", remedy)
    about = output.stat() if output.exists() else None
    return about and (about.st_ino, about.st_size, about.st_mtime_ns)


def same_bytes(left: Path, right: Path) -> bool:
    """Compare two files by size, then by content."""
    return left.stat().st_size == right.stat().st_size and records.path_md5(left) == records.path_md5(right)


def flush_to_disk(path: Path) -> None:
    """fsync a file or a folder, so that a rename survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_folder(folder: Path, build: Callable[[Path], None]) -> None:
    """Build a folder beside `folder` and swap it in. `recover_folder` undoes or completes a swap that was killed.

    Args:
        folder: the folder to make or replace.
        build: fills the empty folder it is given.
    """
    recover_folder(folder)
    new, old = _swap_names(folder)
    new.mkdir(parents=True)
    build(new)
    for path in (*new.rglob("*"), new):
        flush_to_disk(path)
    if folder.exists() and not exchange(new, folder):
        folder.rename(old)
    if not folder.exists():
        new.rename(folder)
    flush_to_disk(folder.parent)
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)


def exchange(left: Path, right: Path) -> bool:
    """Swap two files or folders in one step, so that neither name is ever missing.

    Returns:
        whether that was possible (renameat2(2): on Linux only, and not on all file systems).
    """
    function = getattr(ctypes.CDLL(None), "renameat2", None)
    places = (AT_FDCWD, os.fsencode(left), AT_FDCWD, os.fsencode(right))
    return function is not None and function(*places, RENAME_EXCHANGE) == 0


def recover_folder(folder: Path) -> None:
    """Bring a folder back to a whole state after a killed `replace_folder`: the old one, unless the new one is in place.

    After an exchange, what was old lies under the name of the new.
    """
    new, old = _swap_names(folder)
    if old.exists() and not folder.exists():
        old.rename(folder)
    for leftover in (new, old):
        if leftover.exists():
            shutil.rmtree(leftover)


def _swap_names(folder: Path) -> tuple[Path, Path]:
    return folder.with_name(f".{folder.name}.new.tmp"), folder.with_name(f".{folder.name}.old.tmp")
