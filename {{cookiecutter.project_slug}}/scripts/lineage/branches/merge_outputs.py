"""How two versions of a recorded output become one: folders file by file, tables row by row.

Each `merge_…` takes three versions by their hashes, puts the merged one into DVC's cache, and
returns its hash.
"""

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lineage.core import paths
from lineage.core.errors import Refused
from lineage.core.paths import METRICS
from lineage.merge.data import merge_data, write_new_rows
from lineage.merge.databases import merge_databases
from lineage.merge.rules import Rules
from lineage.tables.sources import add_sources, read_sources
from lineage.tables.sqlite_files import open_read_only
from lineage.tracked.cache import store_object
from lineage.tracked.hashes import file_md5, write_listing
from lineage.tracked.remote import listing, obtain

ByName = Mapping[str, Any]


@dataclass(frozen=True)
class Versions:
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


def merge_folders(root: Path, versions: Versions) -> str:
    """Merge folders file by file.

    Raises:
        Refused: both sides changed a file, which is named; or an object of a file is nowhere.

    """

    def refuse(name: str, *_: str) -> str:
        raise Refused(f"both sides changed {name}", "delete or rename it on one side")

    base = files_in(root, versions.base)
    theirs = files_in(root, versions.theirs)
    if not versions.may_drop:
        theirs = {**base, **theirs}
    ours = files_in(root, versions.ours)
    merged = three_way(refuse, base, ours, theirs)
    for md5 in merged.values():
        obtain(root, md5)
    with TemporaryDirectory() as folder:
        file = Path(folder, "listing")
        file.write_text(write_listing(merged), encoding="utf-8")
        return _store(root, file, ".dir")


DELETE_RUNS = f"DELETE FROM {METRICS} WHERE track_id IN (SELECT value FROM json_each(?))"


def merge_results(root: Path, versions: Versions) -> str:
    """Merge results databases: every run of both.

    A run that one side dropped, as a rebase does, and the other left alone is gone.

    Raises:
        Refused: both sides changed a row differently; shows the first ones.

    """

    def write_new(file: Path, old: Path, output: Path) -> None:
        rules = Rules("merge", ancestors={file: old})
        merge_databases(None, [file], output, rules)

    def merge(base: Path, incoming: Path, output: Path, on_conflict: str) -> None:
        rules = Rules("merge", on_conflict=on_conflict)
        merge_databases(base, [incoming], output, rules)

    with TemporaryDirectory() as folder:
        merged = _merge_rows(root, versions, Path(folder), write_new, merge)
        add_sources(merged, read_sources(obtain(root, versions.theirs)))
        if versions.base and versions.may_drop:
            dropped = run_ids(obtain(root, versions.base))
            dropped -= run_ids(obtain(root, versions.theirs))
            dropped -= run_ids(Path(folder, OUR_NEW_ROWS))
            with closing(sqlite3.connect(merged, isolation_level=None)) as connection:
                connection.execute(DELETE_RUNS, [json.dumps(list(dropped))])
        return _store(root, merged)


def run_ids(database: Path) -> set[str]:
    """Read every `track_id` of table `metrics`."""
    with open_read_only(database) as connection:
        return {row[0] for row in connection.execute(f"SELECT track_id FROM {METRICS}")}


def merge_training_data(
    root: Path,
    versions: Versions,
    key_columns: Sequence[str],
) -> str:
    """Merge training data: the rows of both; a row that one side corrected is taken corrected.

    Args:
        root: the project's root.
        versions: of the parquet file.
        key_columns: what makes two rows the same row; empty: all columns.

    Raises:
        Refused: both sides changed a row differently; shows the first ones.

    """
    theirs = read_sources(obtain(root, versions.theirs))

    def merge(base: Path, incoming: Path, output: Path, on_conflict: str) -> None:
        rules = Rules("merge", tuple(key_columns), on_conflict=on_conflict)
        merge_data([base], [incoming], output, rules, paths.TRAIN_DATA, theirs)

    with TemporaryDirectory() as folder:
        merged = _merge_rows(root, versions, Path(folder), write_new_rows, merge)
        return _store(root, merged)


OUR_NEW_ROWS = "our-new-rows"
"""Name of the file with what our side added or changed since the ancestor."""


def _merge_rows(
    root: Path,
    versions: Versions,
    folder: Path,
    write_new: Callable[..., None],
    merge: Callable[..., None],
) -> Path:
    """Merge the rows of two files; the ancestor tells which side changed a row that differs.

    Args:
        root: the project's root.
        versions: of the file.
        folder: an empty one, for the merged file and what leads to it.
        write_new: `write_new(file, old, output)` writes the rows that an older version lacks.
        merge: `merge(base, incoming, output, on_conflict)` writes the rows of both.

    Returns:
        the merged file.

    """
    ours = obtain(root, versions.ours)
    theirs = obtain(root, versions.theirs)
    merged = folder / "merged"
    if not versions.base:
        merge(ours, theirs, merged, "fail")
        return merged
    base = obtain(root, versions.base)
    our_rows = folder / OUR_NEW_ROWS
    their_rows = folder / "their-new-rows"
    write_new(ours, base, our_rows)
    write_new(theirs, base, their_rows)
    merge(our_rows, their_rows, folder / "both", "fail")  # refuses what both changed differently
    merge(ours, their_rows, merged, "incoming")
    return merged


def _store(root: Path, file: Path, ending: str = "") -> str:
    md5 = file_md5(file) + ending
    store_object(root, file, md5)
    return md5
