"""Hashes of files and folders, as DVC computes them."""

import hashlib
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

CHUNK_BYTES = 1 << 20
MD5_DIGITS = 32
IGNORED = {"__pycache__", ".DS_Store"}
"""Names that `.dvcignore` has, beside our own temporary files."""


WORTH_REMEMBERING = 1 << 20
"""Bytes; smaller files are hashed as fast as a hash is looked up."""

SETTLED_SECONDS = 2
"""A file that was written to this recently may be so again without a later time of change."""


def file_md5(path: Path) -> str:
    """Hash a file as DVC does: md5 of its bytes, 32 hexadecimal digits.

    The hash of a large file is remembered in the project around it, as DVC does: by the file's
    inode, size and time of change, so that links and renamed files are known, too.
    """
    note = _note_of(path)
    if note is None:
        return bytes_md5(path)
    with suppress(OSError):
        remembered = note.read_text(encoding="ascii")
        if len(remembered) == MD5_DIGITS:  # else the process that wrote it was killed
            return remembered
    md5 = bytes_md5(path)
    with suppress(OSError):  # a project that can only be read
        if note == _note_of(path):
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(md5, encoding="ascii")
    return md5


def _note_of(path: Path) -> Path | None:
    """Name the file in which the hash of another one is remembered; None where it is not."""
    about = path.stat()
    age = time.time() - about.st_mtime
    if about.st_size < WORTH_REMEMBERING or age < SETTLED_SECONDS:
        return None
    for folder in path.absolute().parents:
        if (folder / ".dvc").is_dir():
            known_by = f"{about.st_ino}-{about.st_size}-{about.st_mtime_ns}"
            return folder / ".dvc/tmp/lineage/hashes" / known_by
    return None


def bytes_md5(path: Path) -> str:
    """Read a file and hash its bytes, whatever is remembered of it."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def manifest_of(place: Path) -> dict[str, str]:
    """Map each file of a folder (POSIX path relative to it) to its md5.

    A file alone has no name; a folder that is not there has no files. What the project's
    `.dvcignore` names is left out.
    """
    if place.is_file():
        return {"": file_md5(place)}
    manifest = {}
    for path in sorted(place.rglob("*")):
        name = path.relative_to(place)
        is_left_out = path.match(".*.tmp") or not IGNORED.isdisjoint(name.parts)
        if path.is_file() and not is_left_out:
            manifest[name.as_posix()] = file_md5(path)
    return manifest


def path_md5(path: Path) -> str:
    """Hash a file or a folder as DVC does; a folder's hash is that of its listing, and `.dir`."""
    return listing_md5(manifest_of(path)) if path.is_dir() else file_md5(path)


def listing_md5(files: Mapping[str, str]) -> str:
    """Hash a folder by its files, relative path to md5."""
    digest = hashlib.md5(write_listing(files).encode(), usedforsecurity=False)
    return digest.hexdigest() + ".dir"


def write_listing(files: Mapping[str, str]) -> str:
    """Write the object of a folder from its files, relative path to md5."""
    return json.dumps([{"md5": md5, "relpath": name} for name, md5 in sorted(files.items())])
