"""Merge three versions of each output in `MERGED`: folders file by file, tables row by row.

Each `merge_…` takes three versions by their hashes, puts the merged one into DVC's cache, and
returns its hash.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from lineage.core import paths
from lineage.core.errors import Refused
from lineage.extras.git_merge.three_way import Conflict
from lineage.extras.git_merge.three_way_files import merge_three_data_files, merge_three_databases
from lineage.tracked.cache import store, store_listing
from lineage.tracked.remote import link_objects, listing, obtain

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


def merge_by_name(
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
    merged = merge_by_name(refuse, base, ours, theirs)
    for md5 in merged.values():
        obtain(root, md5)
    return store_listing(root, merged)


def merge_results(root: Path, hashes: Hashes, conflicts: list[Conflict]) -> str:
    """Merge results databases, row by row and cell by cell; see `three_way.py`.

    Args:
        root: the project's root.
        hashes: of the three versions of the database.
        conflicts: what both sides changed differently is added here, and ours stays.
    """
    base = obtain(root, hashes.base) if hashes.base else None
    ours = obtain(root, hashes.ours)
    theirs = obtain(root, hashes.theirs)
    with TemporaryDirectory() as folder:
        merged = Path(folder, "merged")
        found = merge_three_databases(base, ours, theirs, merged, hashes.may_drop)
        conflicts += found
        return hashes.ours if found else store(root, merged)


def merge_training_data(
    root: Path, hashes: Hashes, conflicts: list[Conflict], key_columns: Sequence[str]
) -> str:
    """Merge training data as results are merged; parts that all versions have are not read.

    Args:
        root: the project's root.
        hashes: of the three versions, each a file or a folder of parts.
        conflicts: what both sides changed differently is added here, and ours stays.
        key_columns: what makes two rows the same row; empty: all columns.
    """
    sides = [listing(root, md5) for md5 in (hashes.ours, hashes.theirs, hashes.base) if md5]
    ours = sides[0]
    alike = {}
    for name in sorted(ours)[:-2]:  # without the record and the last part: new ones follow
        if all(side.get(name) == ours[name] for side in sides):
            alike[name] = ours[name]
    with TemporaryDirectory() as folder:
        places = []
        for place, side in zip(("ours", "theirs", "base"), sides):
            places.append(Path(folder, place))
            link_objects(root, dict(side.items() - alike.items()), places[-1])
        merged = Path(folder, ".ours.merged")  # as a draft of ours, which links the parts that stay
        found = merge_three_data_files(places, merged, key_columns, paths.TRAIN_DATA)
        conflicts += found
        return hashes.ours if found else store(root, merged, alike)


MERGED = {
    paths.DATABASE: merge_results,
    paths.PREDICTIONS: merge_folders,
    paths.CANDIDATES: merge_folders,
    paths.ARTIFACTS: merge_folders,
}
"""Outputs of stages that accumulate, but the training data, and how they are merged.

When an experiment is collected, main's `dvc repro` merges its new batches, by main's rules.
"""


def files_in(root: Path, md5: str) -> dict[str, str]:
    """Name to hash of the files of a recorded folder; none of what is no folder, or not there."""
    return listing(root, md5) if md5.endswith(".dir") else {}
