"""What an incoming database began as a copy of: only what changed since then comes in."""

from collections.abc import Sequence, Set
from dataclasses import replace
from pathlib import Path

from lineage.core.paths import DATABASE, INCOMING_RESULTS, PIPELINE_LOCK
from lineage.merge.rules import Rules
from lineage.tables.kept_rows import holds_all_rows
from lineage.tables.sources import read_sources
from lineage.tables.sqlite_files import is_sqlite
from lineage.tracked.cache import cached_object
from lineage.tracked.git import common_folder, git
from lineage.tracked.recorded import recorded_md5
from lineage.tracked.remote import obtain

VERSIONS = 200
"""So many recorded versions, newest first, are compared with a copy of unknown origin."""


def know_origins(root: Path, base: Path | None, sources: Sequence[Path], rules: Rules) -> Rules:
    """Give the rules the origins of databases that came into the inbox as copies of ours."""
    inbox = root / INCOMING_RESULTS
    copies = [path for path in sources if path.is_relative_to(inbox)]
    return replace(rules, ancestors=find_origins(root, DATABASE, base, copies))


def find_origins(
    root: Path, name: str, base: Path | None, sources: Sequence[Path]
) -> dict[Path, Path]:
    """Find the origins of those sources that began as copies; see `find_origin`."""
    origins = {source: find_origin(root, name, base, source) for source in sources}
    return {source: origin for source, origin in origins.items() if origin}


def find_origin(root: Path, name: str, base: Path | None, source: Path) -> Path | None:
    """Find the version of an accumulated database that `source` began as a copy of.

    In another worktree of the same repository that is the version recorded at the merge base.
    Elsewhere (a copy in `results/incoming`) it is the version into which most of the files were
    merged that the source carries in its record, and fewest others; of such, or without a record,
    the newest one whose rows the source holds all.

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
    if base is None or not is_sqlite(source):
        return None
    commit = _merge_base(root, source)
    if commit:
        recorded = recorded_md5(root, name, commit)
        return None if recorded is None else obtain(root, recorded)
    merged = read_sources(source).keys()
    if not merged and holds_all_rows([base], [source]):
        return None
    versions = _recorded_versions(root, name)
    alike = _most_alike(versions, merged) if merged else []
    holding = (version for version in alike or versions if holds_all_rows([source], [version]))
    return next(holding, next(iter(alike), None))


def _most_alike(versions: Sequence[Path], merged: Set[str]) -> list[Path]:
    """Pick the versions into which most of some files were merged, and fewest others."""
    likeness = {}
    for version in versions:
        record = read_sources(version).keys()
        if shared := record & merged:
            likeness[version] = (len(shared), -len(record - merged))
    most = max(likeness.values(), default=None)
    return [version for version, one in likeness.items() if one == most]


def _recorded_versions(root: Path, name: str) -> list[Path]:
    """List the cached objects of an output's recorded versions, newest first."""
    log = git(root, "log", "--format=%H", f"--max-count={VERSIONS}", "--", PIPELINE_LOCK)
    hashes = [recorded_md5(root, name, commit) for commit in (log or "").split()]
    objects = [cached_object(root, md5) for md5 in dict.fromkeys(hashes) if md5]
    return [path for path in objects if path is not None]


def _merge_base(root: Path, source: Path) -> str | None:
    """Find where the branch of the worktree with `source` left ours; None: no such worktree."""
    there = source.resolve().parent
    if common_folder(root) != common_folder(there):
        return None
    top = ("rev-parse", "--show-toplevel")
    if git(root, *top) == git(there, *top):
        return None
    return git(root, "merge-base", "HEAD", git(there, "rev-parse", "HEAD") or "")
