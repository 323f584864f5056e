"""How two versions of a recorded output become one: folders file by file, databases and data row by row.

Each `merge_…` takes three versions by their hashes and returns the hash of the merged one, whose object it has put into
DVC's cache.
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
from lineage.merge.data import merge_data, write_new_rows
from lineage.merge.databases import merge_databases
from lineage.merge.rules import Rules
from lineage.runs.run_database import METRICS
from lineage.tables.sqlite_files import describe_tables, open_read_only
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
    base: ByName, ours: ByName, theirs: ByName, both_changed: Callable[..., Any]
) -> dict[str, Any]:
    """Take what only one side changed, and ask about the rest.

    For example `{"a": 1, "b": 1}`, `{"a": 2, "b": 1}`, `{"a": 1, "c": 3}` become `{"a": 2, "c": 3}`: what one side
    dropped and the other left alone is gone. What one side dropped and the other changed stays.

    Args:
        base: name to content in the common ancestor.
        ours: name to content on our side.
        theirs: name to content on theirs.
        both_changed: is given a name and its content in `base` (None: not there), `ours` and `theirs`, and returns the
            content to take.

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


def merge_folders(root: Path, versions: Versions) -> str:
    """Merge folders file by file.

    Raises:
        Refused: both sides changed a file, which is named; or an object of a file is nowhere.

    """

    def refuse(name: str, *_: Any) -> Any:
        raise Refused(f"both sides changed {name}", "delete or rename it on one side")

    def files(md5: str) -> dict[str, str]:
        return listing(root, md5) if md5.endswith(".dir") else {}

    base = files(versions.base)
    theirs = files(versions.theirs)
    if not versions.may_drop:
        theirs = {**base, **theirs}
    merged = three_way(base, files(versions.ours), theirs, refuse)
    for md5 in merged.values():
        obtain(root, md5)
    with TemporaryDirectory() as folder:
        file = Path(folder, "listing")
        file.write_text(write_listing(merged), encoding="utf-8")
        return _store(root, file, ".dir")


def merge_results(root: Path, versions: Versions) -> str:
    """Merge results databases: every run of both; a run that only one side dropped, as a rebase does, is gone.

    Raises:
        Refused: both sides changed a row differently; shows the first ones.

    """

    def write_new(file: Path, old: Path, output: Path) -> None:
        merge_databases(None, [file], output, Rules("merge", ancestors={file: old}))

    def merge(base: Path, incoming: Path, output: Path, on_conflict: str) -> None:
        merge_databases(base, [incoming], output, Rules("merge", on_conflict=on_conflict))

    with TemporaryDirectory() as folder:
        merged = _merge_rows(root, versions, Path(folder), write_new, merge)
        if versions.base and versions.may_drop:
            dropped = run_ids(obtain(root, versions.base)) - run_ids(obtain(root, versions.theirs))
            _delete_runs(merged, dropped - run_ids(Path(folder, OUR_NEW_ROWS)))
        return _store(root, merged)


def run_ids(database: Path) -> set[str]:
    """Read every `track_id` of table `metrics`; none without that table."""
    with open_read_only(database) as connection:
        if METRICS not in describe_tables(connection):
            return set()
        return {row[0] for row in connection.execute(f"SELECT track_id FROM {METRICS}")}


def _delete_runs(database: Path, runs: set[str]) -> None:
    if runs:
        statement = f"DELETE FROM {METRICS} WHERE track_id IN (SELECT value FROM json_each(?))"
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            connection.execute(statement, [json.dumps(sorted(runs))])


def merge_training_data(root: Path, versions: Versions, key_columns: Sequence[str]) -> str:
    """Merge training data: the rows of both; a row that one side corrected is taken corrected.

    Args:
        root: the project's root.
        versions: of the parquet file.
        key_columns: what makes two rows the same row; empty: all columns.

    Raises:
        Refused: both sides changed a row differently; shows the first ones.

    """

    def merge(base: Path, incoming: Path, output: Path, on_conflict: str) -> None:
        rules = Rules("merge", tuple(key_columns), on_conflict=on_conflict)
        merge_data([base], [incoming], output, rules, paths.TRAIN_DATA)

    with TemporaryDirectory() as folder:
        return _store(root, _merge_rows(root, versions, Path(folder), write_new_rows, merge))


OUR_NEW_ROWS = "ours"
"""The file with what our side added or changed since the ancestor, in the folder that `_merge_rows` fills."""


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
        write_new: `write_new(file, old, output)` writes the rows of a file that an older version of it lacks.
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
    their_rows = folder / "theirs"
    write_new(ours, base, our_rows)
    write_new(theirs, base, their_rows)
    merge(our_rows, their_rows, folder / "both", "fail")  # refuses what both changed differently
    merge(ours, their_rows, merged, "incoming")
    return merged


def _store(root: Path, file: Path, ending: str = "") -> str:
    md5 = file_md5(file) + ending
    store_object(root, file, md5)
    return md5
