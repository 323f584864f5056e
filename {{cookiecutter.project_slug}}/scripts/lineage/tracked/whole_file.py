"""Files and folders that appear whole or not at all: the one way to write them."""

import ctypes
import filecmp
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lineage.core.errors import Refused

# from linux/fcntl.h and linux/fs.h
AT_FDCWD = -100
RENAME_EXCHANGE = 2


@dataclass(frozen=True)
class Draft:
    """A file or folder that is written beside the output whose place it takes when published.

    Attributes:
        output: what to make or replace. A link to the DVC cache is replaced, never written through.
        path: where to write.
        before: what the output was like when the draft was opened; None: that does not matter.
    """

    output: Path
    path: Path
    before: tuple[int, ...] | None
    is_locked: bool

    def publish(self) -> bool:
        """Rename the draft into place; a killed process leaves the old file as it was.

        Returns:
            whether the output changed. Equal bytes count as unchanged.

        Raises:
            Refused: another program wrote to the output meanwhile.
        """
        output = self.output
        if same_bytes(self.path, output):
            return False
        if self.is_locked and _state(output) != self.before:
            problem = f"{output} was changed by another program meanwhile; it is as that left it"
            raise Refused(problem, "try again")
        swap_in(self.path, output)
        return True


@contextmanager
def draft_of(output: Path, *, locked: bool = True) -> Iterator[Draft]:
    """Open a draft of a file or folder; unless it is published, it is gone at the end.

    Args:
        output: what to make or replace.
        locked: the caller holds the output's lock, so what killed processes left beside it can go.

    Raises:
        Refused: another program is writing to the output.
    """
    with temporary_beside(output) as temporary:
        before = _state(output) if locked else None
        if locked:
            _sweep(output)
        yield Draft(output, temporary, before, locked)


def write_whole(output: Path, build: Callable[[Path], bool], *, locked: bool = True) -> bool:
    """Build a file beside `output` and rename it into place.

    Args:
        output: the file to make or replace.
        build: writes the new file at the path it is given; returns False when nothing changes.
        locked: as in `draft_of`.

    Returns:
        whether `output` changed.

    Raises:
        Refused: as in `Draft.publish` and `draft_of`.
    """
    with draft_of(output, locked=locked) as draft:
        return build(draft.path) and draft.publish()


def write_text(path: Path, text: str) -> None:
    """Write a text file whole."""
    data = text.encode("utf-8")
    write_whole(path, lambda temporary: temporary.write_bytes(data) >= 0)


@contextmanager
def temporary_beside(output: Path) -> Iterator[Path]:
    """Name a temporary file beside `output`; at the end it is gone, and what is named after it."""
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield output.with_name(f".{output.name}.{os.getpid()}.tmp")
    finally:
        _sweep(output, str(os.getpid()))


def _sweep(output: Path, process: str = "[0-9]+") -> None:
    """Remove the temporary files of one process, or of all: those that were killed left theirs."""
    name = re.compile(rf"\.{re.escape(output.name)}\.{process}\.tmp.*")
    for file in output.parent.iterdir():
        if name.fullmatch(file.name):
            remove(file)


def _state(output: Path) -> tuple[int, ...]:
    """Read what changes when a file is written to or replaced.

    Raises:
        Refused: it is a database with a write-ahead log, which would be replayed over the file
            that takes its place.
    """
    log = output.with_name(f"{output.name}-wal")
    if log.exists() and log.stat().st_size:
        problem = "has rows in its write-ahead log; a program has it open, or was killed"
        remedy = f"sqlite3 {output} 'PRAGMA journal_mode = DELETE'"
        raise Refused(f"{output} {problem}", remedy)
    state: list[int] = []
    for path in (output, *sorted(output.glob("*"))):
        if path.exists():
            about = path.stat()
            state += [about.st_ino, about.st_size, about.st_mtime_ns]
    return tuple(state)


def same_bytes(left: Path, right: Path) -> bool:
    """Compare two files by size, then by content; two folders by the names and files in them."""
    if left.is_file() and right.is_file():
        return left.samefile(right) or filecmp.cmp(left, right, shallow=False)
    names = {path.name for path in left.glob("*")}
    if not (left.is_dir() and right.is_dir()) or names != {path.name for path in right.glob("*")}:
        return False
    return all(same_bytes(left / name, right / name) for name in names)


def flush_to_disk(path: Path) -> None:
    """Flush a file or a folder (fsync), so that a rename survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file, a link or a whole folder, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def replace_folder(folder: Path, build: Callable[[Path], None]) -> None:
    """Build a folder beside `folder` and swap it in.

    `recover_folder` undoes or completes a swap that was killed.

    Args:
        folder: the folder to make or replace.
        build: fills the empty folder it is given.
    """
    recover_folder(folder)
    new = _new_name(folder)
    new.mkdir(parents=True)
    build(new)
    swap_in(new, folder)
    recover_folder(folder)


def swap_in(new: Path, output: Path) -> None:
    """Flush a file or folder, and let it take the place of one beside it, or of none.

    What was there may be under the name of the new one then.
    """
    for path in (*new.rglob("*"), new):
        flush_to_disk(path)
    if new.is_file() and not output.is_dir():
        new.replace(output)
    elif output.exists() and not exchange(new, output):
        output.rename(_old_name(output))
    if new.exists() and not output.exists():
        new.rename(output)
    flush_to_disk(output.parent)
    remove(_old_name(output))


def exchange(left: Path, right: Path) -> bool:
    """Swap two files or folders in one step, so that neither name is ever missing.

    Returns:
        whether that was possible (renameat2(2): on Linux only, and not on all file systems).
    """
    swap = getattr(ctypes.CDLL(None), "renameat2", None)
    if swap is None:
        return False
    places = (AT_FDCWD, os.fsencode(left), AT_FDCWD, os.fsencode(right))
    return swap(*places, RENAME_EXCHANGE) == 0


def recover_folder(folder: Path) -> None:
    """Bring a folder back to a whole state after a killed swap.

    That is the old state, unless the new one is in place. After an exchange, what was old lies
    under the name of the new.
    """
    old = _old_name(folder)
    if old.exists() and not folder.exists():
        old.rename(folder)
    for leftover in (_new_name(folder), old):
        remove(leftover)


def _new_name(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.new.tmp")


def _old_name(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old.tmp")
