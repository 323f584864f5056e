"""How three versions of a recorded output become one: folders file by file, tables row by row.

Each `merge_…` takes three versions by their hashes, puts the merged one into DVC's cache, and
returns its hash.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from lineage.core import paths
from lineage.core.errors import Refused
from lineage.merge.three_way import Conflict
from lineage.merge.three_way_files import merge_three_databases
from lineage.tracked.cache import store_object
from lineage.tracked.hashes import file_md5, write_listing
from lineage.tracked.remote import listing, obtain

ByName = Mapping[str, Any]


class Hashes(NamedTuple):
    """Three versions of an output, as the hashes that DVC records; empty: it is not there.

    Attributes:
        base: the common ancestor's.
        ours: the one of the branch that is merged into.
        theirs: the one of the branch that comes.
        may_drop: what theirs dropped, and ours left alone, goes; else it stays.
    """

    base: str
    ours: str
    theirs: str
    may_drop: bool = True


def three_way(
    both_changed: Callable[..., Any],
    base: ByName,
    ours: ByName,
    theirs: ByName,
) -> dict[str, Any]:
    """Take what only one side changed, and ask about the rest.

    For example `{"a": 1, "b": 1}`, `{"a": 2, "b": 1}`, `{"a": 1, "c": 3}` become
    `{"a": 2, "c": 3}`: what one side dropped and the other left alone is gone. What one side
    dropped and the other changed stays.

    Args:
        both_changed: is given a name and its content in `base` (None: not there), `ours` and
            `theirs`, and returns the content to take.
        base: name to content in the common ancestor.
        ours: name to content on our side.
        theirs: name to content on theirs.

    """
    merged = {}
    for name in dict.fromkeys([*ours, *theirs]):
        old = base.get(name)
        mine = ours.get(name)
        other = theirs.get(name)
        if other in (old, mine):
            chosen = mine
        elif mine == old:
            chosen = other
        elif mine and other:
            chosen = both_changed(name, old, mine, other)
        else:
            chosen = mine or other
        if chosen:
            merged[name] = chosen
    return merged


def files_in(root: Path, md5: str) -> dict[str, str]:
    """Name to hash of the files of a recorded folder; none of what is no folder, or not there."""
    return listing(root, md5) if md5.endswith(".dir") else {}


def merge_folders(root: Path, hashes: Hashes, _: list[Conflict]) -> str:
    """Merge folders file by file.

    Raises:
        Refused: both sides changed a file, which is named; or an object of a file is nowhere.

    """

    def refuse(name: str, *_: str) -> str:
        raise Refused(f"both sides changed {name}", "delete or rename it on one side")

    base = files_in(root, hashes.base)
    theirs = files_in(root, hashes.theirs)
    if not hashes.may_drop:
        theirs = {**base, **theirs}
    ours = files_in(root, hashes.ours)
    merged = three_way(refuse, base, ours, theirs)
    for md5 in merged.values():
        obtain(root, md5)
    with TemporaryDirectory() as folder:
        file = Path(folder, "listing")
        file.write_text(write_listing(merged), encoding="utf-8")
        return _store(root, file, ".dir")


def merge_results(root: Path, hashes: Hashes, conflicts: list[Conflict]) -> str:
    """Merge results databases, row by row and cell by cell; see `merge.three_way`."""
    merge = partial(merge_three_databases, may_drop=hashes.may_drop)
    return merge_rows(root, hashes, conflicts, merge)


def merge_rows(
    root: Path,
    hashes: Hashes,
    conflicts: list[Conflict],
    merge: Callable[[Path | None, Path, Path, Path], list[Conflict]],
) -> str:
    """Merge three versions of a file with rows.

    Args:
        root: the project's root.
        hashes: of the three versions.
        conflicts: what both sides changed differently is added here, and ours stays.
        merge: merges base, ours and theirs into a fourth file, and returns what is in conflict.
    """
    base = obtain(root, hashes.base) if hashes.base else None
    ours = obtain(root, hashes.ours)
    theirs = obtain(root, hashes.theirs)
    with TemporaryDirectory() as folder:
        merged = Path(folder, "merged")
        found = merge(base, ours, theirs, merged)
        conflicts += found
        return hashes.ours if found else _store(root, merged)


def _store(root: Path, file: Path, ending: str = "") -> str:
    md5 = file_md5(file) + ending
    store_object(root, file, md5)
    return md5


MERGED = {
    paths.DATABASE: merge_results,
    paths.PREDICTIONS: merge_folders,
    paths.CANDIDATES: merge_folders,
    paths.ARTIFACTS: merge_folders,
}
"""Outputs of stages that accumulate, but the training data, and how they are merged.

When an experiment is collected, main's `dvc repro` merges its new batches, by main's rules.
"""
