"""Hashes of files and folders, as DVC computes them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

CHUNK_BYTES = 1 << 20


def file_md5(path: Path) -> str:
    """Hash a file as DVC does: md5 of its bytes, 32 hexadecimal digits."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def folder_manifest(folder: Path) -> dict[str, str]:
    """Map each file of a folder (POSIX path relative to it) to its md5.

    Our own temporary files are left out.
    """
    files = [path for path in folder.rglob("*") if path.is_file() and not is_temporary(path)]
    return {path.relative_to(folder).as_posix(): file_md5(path) for path in sorted(files)}


def path_md5(path: Path) -> str:
    """Hash a file or a folder as DVC does; a folder's hash is that of its listing, and `.dir`."""
    if not path.is_dir():
        return file_md5(path)
    listing = write_listing(folder_manifest(path)).encode("utf-8")
    return hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"


def write_listing(files: Mapping[str, str]) -> str:
    """Write the object of a folder from its files, relative path to md5."""
    entries = [{"md5": md5, "relpath": name} for name, md5 in sorted(files.items())]
    return json.dumps(entries, sort_keys=True)


def is_temporary(path: Path) -> bool:
    """Tell whether a path is one of our temporary files (left by a killed process)."""
    return path.name.startswith(".") and path.name.endswith(".tmp")
