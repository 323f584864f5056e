"""Files and folders that appear whole or not at all: the one way to write them."""

import ctypes
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from lineage.core.errors import Refused
from lineage.tracked.hashes import path_md5

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


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
            raise Refused(
                f"{output} was changed by another program meanwhile; it is as that left it",
                "try again",
            )
        temporary.replace(output)
        flush_to_disk(output.parent)
        return True
    finally:
        _sweep_temporaries(output, os.getpid())


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
        raise Refused(
            f"{output} has rows in its write-ahead log; a program has it open, or was killed",
            remedy,
        )
    about = output.stat() if output.exists() else None
    return about and (about.st_ino, about.st_size, about.st_mtime_ns)


def same_bytes(left: Path, right: Path) -> bool:
    """Compare two files by size, then by content."""
    return left.stat().st_size == right.stat().st_size and path_md5(left) == path_md5(right)


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


def write_text(path: Path, text: str) -> None:
    """Write a text file whole."""
    write_whole(
        path, lambda temporary: temporary.write_text(text, encoding="utf-8", newline="") >= 0
    )
