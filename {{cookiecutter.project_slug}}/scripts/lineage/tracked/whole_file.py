"""Files and folders that appear whole or not at all: the one way to write them."""

import ctypes
import filecmp
import os
import re
import shlex
import shutil
from collections.abc import Iterator
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
        before: what the output was like when the draft was opened.
    """

    output: Path
    path: Path
    before: tuple[int, ...]

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
        if _state(output) != self.before:
            raise Refused(
                f"{output} was changed by another program meanwhile; it is as that left it",
                "try again",
            )
        swap_in(self.path, output)
        return True


@contextmanager
def draft_of(output: Path) -> Iterator[Draft]:
    """Open a draft of a file or folder; unless it is published, it is gone at the end.

    Nobody else may write to the output, so what killed processes left beside it goes.

    Args:
        output: what to make or replace.

    Raises:
        Refused: another program is writing to the output.
    """
    with temporary_beside(output) as temporary:
        before = _state(output)
        _sweep(output)
        yield Draft(output, temporary, before)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole."""
    with draft_of(path) as draft:
        draft.path.write_bytes(text.encode("utf-8"))
        draft.publish()


@contextmanager
def written_whole(output: Path) -> Iterator[Path]:
    """Let what is written in this block take the place of a file or folder, unless it is equal.

    Others may do the same at the same time.

    Args:
        output: what to make or replace. `recover` undoes or completes what was killed.

    Yields:
        the path at which to write the new file, or to make the new folder.
    """
    with temporary_beside(output) as temporary:
        yield temporary
        if not same_bytes(temporary, output):
            swap_in(temporary, output)


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
    for file in output.parent.glob("*"):
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
        raise Refused(
            f"{output} has rows in its write-ahead log; a program has it open, or was killed",
            f"sqlite3 {shlex.quote(str(output))} 'PRAGMA journal_mode = DELETE'",
        )
    state: list[int] = []
    for path in (output, *sorted(output.glob("*"))):
        if path.exists():
            about = path.stat()
            state += [about.st_ino, about.st_size, about.st_mtime_ns]
    return tuple(state)


def same_bytes(left: Path, right: Path) -> bool:
    """Compare two files by size, then by content; two folders by the names and files in them."""
    if left.is_dir() and right.is_dir():
        names = {path.name for path in (*left.glob("*"), *right.glob("*"))}
        return all(same_bytes(left / name, right / name) for name in names)
    if not (left.is_file() and right.is_file()):
        return False
    return left.samefile(right) or filecmp.cmp(left, right, shallow=False)


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


def recover(output: Path) -> None:
    """Bring a file or folder back to a whole state after a killed swap.

    That is the old state, unless the new one is in place. After an exchange, what was old lies
    under the name of the new.
    """
    old = _old_name(output)
    if old.exists() and not output.exists():
        old.rename(output)
    remove(old)
    _sweep(output)


def _old_name(output: Path) -> Path:
    return output.with_name(f".{output.name}.old.tmp")
