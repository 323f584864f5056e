"""Find which recorded version (of the newest 200, see `LOG`) a copy of the database began as."""

from collections.abc import Iterable, Set
from pathlib import Path

from lineage.core.paths import PIPELINE_LOCK
from lineage.tables.kept_rows import holds_all_rows
from lineage.tables.sources import read_sources
from lineage.tracked.cache import cached_object
from lineage.tracked.git import common_folder, git
from lineage.tracked.recorded import recorded_md5
from lineage.tracked.remote import obtain

LOG = "log --format=%H --max-count=200 --"
"""Lists commits; so many versions, newest first, are compared with a copy."""


def origins_of(
    root: Path,
    name: str,
    base: Path,
    copies: Iterable[Path],
) -> dict[Path, Path]:
    """Find the versions of an accumulated database that copies of it began as.

    In another worktree of the same repository that is the version recorded at the merge base.
    Elsewhere (a copy in `results/incoming`) it is the version into which most of the files were
    merged that the copy carries in its record, and fewest others; of such, or without a record,
    the newest one whose rows the copy holds all.

    Args:
        root: the project's root.
        name: the accumulated database, relative to it.
        base: its present file.
        copies: incoming databases.

    Returns:
        by copy, the object in the cache; none of a copy that brings nothing new.

    Raises:
        Refused: the version at a merge base is neither in the cache nor in the remote.
    """
    origins: dict[Path, Path | None] = {}
    versions = _recorded_versions(root, name)
    for copy in copies:
        merged = read_sources(copy).keys()
        if commit := _merge_base(root, copy):
            md5 = recorded_md5(root, name, commit)
            origins[copy] = obtain(root, md5) if md5 else None
        elif merged or not holds_all_rows([base], [copy]):
            alike = _most_alike(versions, merged)
            holding = (one for one in alike or versions if holds_all_rows([copy], [one]))
            origins[copy] = next(holding, next(iter(alike), None))
    return {copy: origin for copy, origin in origins.items() if origin}


def _merge_base(root: Path, copy: Path) -> str | None:
    """Find where the branch of the worktree with a copy left ours; None: no such worktree."""
    there = copy.resolve().parent
    if common_folder(root) != common_folder(there):
        return None
    top = ("rev-parse", "--show-toplevel")
    if git(root, *top) == git(there, *top):
        return None
    return git(root, "merge-base", "HEAD", git(there, "rev-parse", "HEAD") or "")


def _recorded_versions(root: Path, name: str) -> list[Path]:
    """List the cached objects of an output's recorded versions, newest first."""
    commits = git(root, LOG, PIPELINE_LOCK) or ""
    hashes = [recorded_md5(root, name, commit) for commit in commits.split()]
    known = filter(None, dict.fromkeys(hashes))
    objects = [cached_object(root, md5) for md5 in known]
    return list(filter(None, objects))


def _most_alike(versions: Iterable[Path], merged: Set[str]) -> list[Path]:
    """Pick the versions into which most of some files were merged, and fewest others."""
    alike = {}
    for version in versions:
        record = read_sources(version).keys()
        if shared := record & merged:
            others = record - merged
            alike[version] = (len(shared), -len(others))
    most = max(alike.values(), default=None)
    return [version for version in alike if alike[version] == most]
