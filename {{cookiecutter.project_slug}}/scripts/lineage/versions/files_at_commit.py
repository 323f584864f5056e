"""The files of a commit, read from Git and hashed as DVC would hash them."""

import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from lineage.tracked.git import git, git_bytes, must_git
from lineage.tracked.hashes import listing_md5

DVC = "dvc"
LINK = "120000"


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
    files = {}
    for entry in listed.split("\0")[:-1]:
        about, _, path = entry.partition("\t")
        mode, kind, name = about.split()
        if kind == "blob":
            files[path] = StoredFile(mode, name)
    return files


def blob_bytes(root: Path, blob: str) -> bytes:
    """Read a blob of Git."""
    return git_bytes(root, f"cat-file blob {blob}") or b""


@cache
def blob_md5(root: Path, blob: str) -> str:
    """Hash a blob of Git as DVC hashes a file."""
    return hashlib.md5(blob_bytes(root, blob), usedforsecurity=False).hexdigest()


def md5_in_git(
    root: Path,
    commit: str,
    path: str,
) -> str | None:
    """Hash a file or folder that Git stores as DVC hashes a dependency.

    Args:
        root: the project's root.
        commit: where to look.
        path: relative to `root`. Of a folder, what `.dvcignore` names is left out.

    Returns:
        The md5, of a folder with `.dir` behind it; None where Git stores no such path.
    """
    from pathspec import GitIgnoreSpec

    files = files_in_git(root, commit, path)
    if path in files:
        return blob_md5(root, files[path].name)
    patterns = git(root, f"show {commit}:./.dvcignore") or ""
    kept = GitIgnoreSpec.from_lines(patterns.splitlines()).match_files(files, negate=True)
    hashes = {name.removeprefix(f"{path}/"): blob_md5(root, files[name].name) for name in kept}
    return listing_md5(hashes) if hashes else None


def changed_files(
    root: Path,
    commit: str,
    *paths: str,
) -> list[str]:
    """Name the files that Git finds changed.

    Args:
        root: the project's root.
        commit: whose files are compared with the working tree; or two, as in `EARLIER..LATER`.
        paths: where to look, as Git takes them.

    Raises:
        Refused: there is no such commit.
    """
    command = f"diff --name-only --no-ext-diff --relative {commit} --"
    return must_git(root, command, *paths).splitlines()
