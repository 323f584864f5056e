"""Find the new files of an inbox by their endings, and describe them for the record of merges."""

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lineage.core import paths
from lineage.core.errors import BadInput, Refused
from lineage.merge.rules import Rules
from lineage.tables.parts import is_parts, parts_of
from lineage.tables.sources import Source, Sources, count_and_read
from lineage.tracked.hashes import listing_md5, manifest_of, path_md5

DATABASES = (".db", ".sqlite", ".sqlite3", ".duckdb")
PARQUET = (".parquet", ".pq")
TEXT = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".json", ".jsonl", ".jsonl.gz", ".ndjson")
OTHERS = (*TEXT, ".feather", ".arrow", ".ipc")
DATA = (*PARQUET, *OTHERS)
"""Endings of files that are merged, in small letters or capitals."""

BESIDE = re.compile(r"(.*/)?(README\.md|_[^./]+|\..*)")
"""Files that the template, or what writes partitions (`_SUCCESS`), leaves beside data; hidden ones.

A hidden folder hides all that is in it.
"""


@dataclass
class Inbox:
    """Files that came to be merged.

    Attributes:
        root: the project's root.
        rules: by which they are merged.
        new: those that were not merged before, in the order in which the later one wins.
        merged: how many others there are.
        by_other_rule: those of them that were merged by another rule than the present one.
    """

    root: Path
    rules: Rules
    new: list[Path] = field(default_factory=list)
    merged: int = 0
    by_other_rule: list[str] = field(default_factory=list)

    @property
    def databases(self) -> list[Path]:
        """The new files without predictions, which come with databases or alone."""
        return [file for file in self.new if ends_with(file, DATABASES)]

    def as_sources(self, read_for: Mapping[Path, Path] = {}) -> Sources:
        """Describe new files for the record of what was merged; of those with a record, that too.

        The order in which they are given does not matter.

        Args:
            read_for: by a file: the parquet file that was read for it.
        """
        sources: Sources = {}
        for file in sorted(self.new, key=natural):
            rows, merged = count_and_read(read_for.get(file, file))
            md5 = source_md5(file)
            name = os.path.relpath(file, self.root)
            sources |= merged
            sources[md5] = Source(md5, name, rows, self.rules.options)
        return sources

    def line(self) -> str:
        """Count the files, as in `2 new files, 12 already merged`."""
        files = "file" if len(self.new) == 1 else "files"
        return f"{len(self.new)} new {files}, {self.merged} already merged"

    def commands_by_hand(self, kind: str, output: str) -> list[str]:
        """Say how files are merged again which another rule let in; nothing where there are none.

        Args:
            kind: `data` or `db`, as in `--base-data`.
            output: the accumulated file, relative to the project's root.
        """
        if not self.by_other_rule:
            return []
        return [
            f"{len(self.by_other_rule)} of them by another rule, which stands; by this one, type:",
            f"  → python scripts/merge_artifacts.py {self.rules.options} --base-{kind} {output}"
            f" --exp-{kind} {shlex.join(self.by_other_rule)} --output-{kind} {output}",
        ]


def new_files(root: Path, folder: str, rules: Rules, merged_before: Sources) -> Inbox:
    """Look through an inbox, in the natural order of names: `b9` comes before `b10`.

    That of results has the runs that `train` did last, too. A run is merged once as well: what has
    taken its place since then stays.

    Args:
        root: the project's root.
        folder: the inbox, relative to it.
        rules: the present ones.
        merged_before: what was merged, whatever it was called. Such files are not opened.

    Raises:
        BadInput: a file that cannot be merged.
        Refused: there are no runs.
    """
    inbox = Inbox(root, rules)
    files = find_files(root / folder)
    endings: Sequence[str] = DATA
    others: Sequence[str] = ()
    if folder == paths.INCOMING_RESULTS:
        endings = DATABASES
        others = PARQUET  # predictions
        files += find_runs(root)
    allowed = [*endings, *others]
    known = set(merged_before)
    for file in files:
        name = file.relative_to(root).as_posix()
        part = parts_of(file)[0]
        if not ends_with(part, allowed):
            problem = f"{name} cannot be merged: it is none of {', '.join(allowed)}"
            raise BadInput(problem, _remedy(name))
        md5 = source_md5(file)
        if md5 not in known:
            known.add(md5)
            inbox.new.append(file)
            continue
        inbox.merged += 1
        before = merged_before.get(md5)
        may_come_again = name.startswith(folder) and ends_with(part, endings)
        if before and before.rule != rules.options and may_come_again:
            inbox.by_other_rule.append(name)
    return inbox


@contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    """Check afterwards that nothing came into a folder, went or changed meanwhile.

    DVC records what is there when a stage ends; a batch that came during a merge would be recorded
    as merged, and never be.

    Raises:
        Refused: something did.
    """
    before = manifest_of(folder)
    yield
    if manifest_of(folder) != before:
        raise Refused(f"{folder} was changed while it was merged", "dvc repro")


def _remedy(name: str) -> str:
    """Name the command after which a file is no longer in the way; a log is part of a database."""
    if name.endswith("-wal"):
        return f"sqlite3 {shlex.quote(name[:-4])} 'PRAGMA journal_mode = DELETE'"
    return f"mv {shlex.quote(name)} .   # out of the inbox"


def source_md5(file: Path) -> str:
    """Hash what comes with a file: its bytes, and the names of the folders that are columns."""
    md5 = path_md5(file)
    folders = partition_of(file)
    return listing_md5({folders: md5}) if folders else md5


def partition_of(file: Path) -> str:
    """Name the folders around a file that are columns of it: `site=north/day=1/`, or none."""
    return re.sub(r"^(.*?/)??((?:[^/=]+=[^/]*/)*)[^/]*$", r"\2", file.as_posix())


def is_other(file: Path) -> bool:
    """Tell whether a file is no parquet, or has columns in the names of its folders."""
    return ends_with(file, OTHERS) or partition_of(file) != ""


def natural(path: Path) -> list[str | int]:
    """Split a path so that its numbers count as numbers: `b9` comes before `b10`."""
    return [
        int(part) if part.isdecimal() else part for part in re.split("([0-9]+)", path.as_posix())
    ]


def find_runs(root: Path) -> list[Path]:
    """Find the databases of the runs that `train` did last.

    Raises:
        Refused: there is none.
    """
    runs = find_files(root / paths.RUNS, DATABASES)
    if not runs:
        raise Refused(f"{paths.RUNS}/ holds no run", f"dvc checkout {paths.RUNS}   # or: dvc repro")
    return runs


def ends_with(file: Path, endings: Sequence[str]) -> bool:
    """Tell whether a file has one of some endings: `X.CSV.GZ` has `.csv.gz`.

    In a folder as `_delta_log` it has none: what lies there is no data.
    """
    return file.name.lower().endswith(tuple(endings)) and not file.parent.name.startswith("_")


def find_files(folder: Path, endings: Sequence[str] = ()) -> list[Path]:
    """Find the files below `folder`, in natural order of names; not hidden ones.

    Args:
        folder: where to look, and below it.
        endings: those to look for; none: all files but such as lie beside data.

    Parts are found as the folder that they are in.

    Raises:
        BadInput: a link that leads nowhere.
    """
    found = sorted(folder.rglob("*"), key=natural)
    whole = set(filter(is_parts, {path.parent for path in found}))
    files = {}
    for path in found:
        name = path.relative_to(folder).as_posix()
        is_wanted = not endings or ends_with(path, endings)
        if path.is_dir() or BESIDE.fullmatch(name) or not is_wanted:
            continue
        if not path.exists():
            raise BadInput(f"{path} is a link that leads nowhere", "dvc checkout   # or remove it")
        files[path.parent if path.parent in whole else path] = name
    return list(files)
