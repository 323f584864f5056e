"""The files that the command line names: files, folders and globs."""

import glob
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten

from lineage.core.console import warn
from lineage.core.errors import BadInput
from lineage.merge.inbox import PARQUET, ends_with, find_files
from lineage.tables.parts import is_parts, parts_of


def expand(patterns: Sequence[str], endings: Sequence[str]) -> list[Path]:
    """Turn files, folders and globs into files, in the order given; a folder's by name.

    Raises:
        BadInput: a pattern that matches nothing.
    """
    files: list[Path] = []
    for pattern in patterns:
        if not pattern:
            problem = "an empty word stands where a path belongs; is a variable not set?"
            raise BadInput(problem)
        matched = _matches(pattern, endings)
        if not matched:
            raise BadInput(f"{pattern} matches no {' or '.join(endings)} file")
        files += matched
    return list(dict.fromkeys(files))


def _matches(pattern: str, endings: Sequence[str]) -> list[Path]:
    path = Path(pattern)
    if path.is_dir() and not is_parts(path):
        known = (*endings, *PARQUET)  # predictions come with databases
        left = [str(file) for file in find_files(path) if not ends_with(parts_of(file)[0], known)]
        if left:
            told = shorten(", ".join(left), 200)
            warn(f"{len(left)} files are not merged, as they are no {endings[0]} …: {told}")
        return find_files(path, endings)
    if path.exists():
        return [path]
    names = glob.glob(pattern, recursive=True)  # noqa: PTH207 — Path.glob takes no absolute pattern
    return [Path(name) for name in sorted(names)]
