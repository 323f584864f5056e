"""A file system of its own with little room, for what a full disk does. It is mounted, which root can."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_disk(folder: Path, size: str = "size=100k,nr_inodes=100") -> Iterator[Path]:
    """A file system of 100 kB and 100 files, or of another size."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
