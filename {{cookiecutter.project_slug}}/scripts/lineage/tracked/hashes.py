"""Hashes of files and folders, as DVC computes them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

CHUNK_BYTES = 1 << 20
IGNORED = {"__pycache__", ".DS_Store"}
"""Names that `.dvcignore` has, beside our own temporary files."""


def file_md5(path: Path) -> str:
    """Hash a file as DVC does: md5 of its bytes, 32 hexadecimal digits."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def folder_manifest(folder: Path) -> dict[str, str]:
    """Map each file of a folder (POSIX path relative to it) to its md5.

    What the project's `.dvcignore` names is left out.
    """
    manifest = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        is_left_out = path.match(".*.tmp") or not IGNORED.isdisjoint(name.parts)
        if path.is_file() and not is_left_out:
            manifest[name.as_posix()] = file_md5(path)
    return manifest


def path_md5(path: Path) -> str:
    """Hash a file or a folder as DVC does; a folder's hash is that of its listing, and `.dir`."""
    return listing_md5(folder_manifest(path)) if path.is_dir() else file_md5(path)


def listing_md5(files: Mapping[str, str]) -> str:
    """Hash a folder by its files, relative path to md5."""
    digest = hashlib.md5(write_listing(files).encode(), usedforsecurity=False)
    return digest.hexdigest() + ".dir"


def write_listing(files: Mapping[str, str]) -> str:
    """Write the object of a folder from its files, relative path to md5."""
    entries = []
    for name, md5 in sorted(files.items()):
        entries.append({"md5": md5, "relpath": name})
    return json.dumps(entries)
