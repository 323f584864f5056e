"""The files of a commit, read from Git and hashed as DVC would hash them; those of a folder."""

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from lineage.tracked.git import git, git_bytes
from lineage.tracked.hashes import listing_md5

DVC = "dvc"
LINK = "120000"
BLOB = re.compile(r"(?:^|\0)(\d+) blob (\w+)\t([^\0]+)")
"""An entry of what Git lists, each of which ends with NUL."""


class StoredFile(NamedTuple):
    """A file as it is stored.

    Attributes:
        mode: as Git writes it (`100644`, `LINK`), or `DVC`.
        name: of the blob in Git, or the md5 in DVC's cache.
    """

    mode: str
    name: str


def files_in_git(
    root: Path,
    commit: str,
    folder: str = ".",
) -> dict[str, StoredFile]:
    """List the files that Git stores of a commit, by their paths relative to `root`.

    Submodules are none of them.
    """
    listed = git(root, f"ls-tree -r -z {commit} --", folder) or ""
    return {path: StoredFile(mode, name) for mode, name, path in BLOB.findall(listed)}


def blob_bytes(root: Path, blob: str) -> bytes:
    """Read a blob of Git."""
    return git_bytes(root, f"cat-file blob {blob}") or b""


@cache
def blob_md5(root: Path, blob: str) -> str:
    """Hash a blob of Git as DVC hashes a file."""
    return hashlib.md5(blob_bytes(root, blob), usedforsecurity=False).hexdigest()


def hashes_by_name(files: Mapping[str, str]) -> dict[str, str]:
    """Map what lies in a recorded folder, models most of all, to its hash.

    Args:
        files: of the folder, also inside its own folders; relative path to md5.
    """
    folders: dict[str, dict[str, str]] = {}
    for path, md5 in files.items():
        name, _, inside = path.partition("/")
        folders.setdefault(name, {})[inside] = md5
    return {name: inside.get("") or listing_md5(inside) for name, inside in folders.items()}
