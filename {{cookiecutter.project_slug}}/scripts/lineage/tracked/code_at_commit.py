"""The project's code as a commit has it: hashed as that of the working tree, and searched for."""

import tarfile
from contextlib import suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from lineage.core.code_hash import code_files, code_hash
from lineage.core.errors import BadInput
from lineage.core.paths import PIPELINE
from lineage.tracked.git import git, git_bytes

CODE = ("*.py", PIPELINE, ":(exclude)scripts")


@cache
def code_hash_at(root: Path, commit: str) -> str:
    """Hash the code of a commit as `code_hash` does; an empty text where that cannot be."""
    archive = git_bytes(root, "archive --format=tar", commit, "--", *CODE) or b""
    with TemporaryDirectory() as folder, suppress(BadInput, tarfile.ReadError):
        with tarfile.open(fileobj=BytesIO(archive)) as files:
            files.extractall(folder)  # Git writes no path that leads out of it
        return code_hash(code_files(Path(folder)))
    return ""


def find_code(root: Path, md5: str, *revisions: str) -> str | None:
    """Find the newest commit in some history whose code has a hash.

    Args:
        root: the project's root.
        md5: from `code_hash`.
        revisions: as `git log` takes them, such as `--all`.
    """
    listed = git(root, "log --format=%H", *revisions, "--", *CODE) or ""
    for commit in listed.split():
        if code_hash_at(root, commit) == md5:
            return commit
    return None
