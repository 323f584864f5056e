"""What an incoming database began as a copy of: only what changed since then is news."""

from pathlib import Path

from lineage.core.paths import PIPELINE_LOCK
from lineage.merge.duckdb_source import is_duckdb
from lineage.tables.kept_rows import holds_all_rows
from lineage.tracked.cache import cached_object
from lineage.tracked.git import common_folder, git
from lineage.tracked.recorded import recorded_md5
from lineage.tracked.remote import obtain

VERSIONS = 200
"""Recorded versions, newest first, that are compared with a copy of unknown origin."""


def find_ancestor(root: Path, name: str, base: Path | None, source: Path) -> Path | None:
    """Find the version of an accumulated database that `source` began as a copy of.

    In another worktree of the same repository that is the version recorded at the merge base. Elsewhere (a copy in
    `results/incoming`) it is the newest recorded version whose rows the source holds all.

    Args:
        root: the project's root.
        name: the accumulated database, relative to it.
        base: its present file; None: there is none.
        source: an incoming database.
    Returns:
        the object in the cache; None when the source is no copy, or brings nothing new.
    Raises:
        Refused: the version at the merge base is neither in the cache nor in the remote.
    """
    if base is None or is_duckdb(source):
        return None
    if branch_point := _merge_base(root, source):
        recorded = recorded_md5(root, name, branch_point)
        return None if recorded is None else obtain(root, recorded)
    if holds_all_rows(base, source):
        return None
    commits = (
        git(root, "log", "--format=%H", f"--max-count={VERSIONS}", "--", PIPELINE_LOCK) or ""
    ).split()
    hashes = dict.fromkeys(
        found for commit in commits if (found := recorded_md5(root, name, commit))
    )
    objects = [path for md5 in hashes if (path := cached_object(root, md5))]
    return next((path for path in objects if holds_all_rows(source, path)), None)


def _merge_base(root: Path, source: Path) -> str | None:
    """Where the branch of the worktree that holds `source` left ours; None when it lies in no other worktree of ours."""
    there = source.resolve().parent
    places = [common_folder(folder) for folder in (root, there)]
    tops = [git(folder, "rev-parse", "--show-toplevel") for folder in (root, there)]
    if places[0] is None or places[0] != places[1] or tops[0] == tops[1]:
        return None
    return git(root, "merge-base", "HEAD", git(there, "rev-parse", "HEAD") or "")
