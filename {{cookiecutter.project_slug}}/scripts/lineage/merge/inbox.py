"""The files to merge: those of an inbox, or what the command line names."""

import glob
from collections.abc import Sequence
from pathlib import Path

from lineage.core import paths
from lineage.core.errors import BadInput, Refused


def find_batches(root: Path, *, has_base: bool) -> list[Path]:
    """Find the batches of the inbox for training data.

    Args:
        root: the project's root.
        has_base: there is training data already, so the inbox may be empty.

    Raises:
        BadInput: there is no data at all.
    """
    batches = find_files(root / paths.INCOMING_DATA, ".parquet")
    if not batches and not has_base:
        problem = f"{paths.INCOMING_DATA}/ holds no .parquet file"
        remedy = f"drop a batch into {paths.INCOMING_DATA}/"
        raise BadInput(f"{problem}, and there is no {paths.TRAIN_DATA} yet", remedy)
    return batches


def find_runs(root: Path) -> list[Path]:
    """Find the databases of the runs that `train` did last.

    Raises:
        Refused: there is none.
    """
    runs = find_files(root / paths.RUNS, ".db")
    if not runs:
        raise Refused(f"{paths.RUNS}/ holds no run", "dvc repro train")
    return runs


def find_files(folder: Path, ending: str) -> list[Path]:
    """Find the files below `folder` with an ending, in the order of their names; not hidden ones.

    Raises:
        BadInput: a link that leads nowhere.
    """
    files = []
    for path in sorted(folder.rglob(f"*{ending}")):
        parts = path.relative_to(folder).parts
        if path.is_dir() or any(part.startswith(".") for part in parts):
            continue
        if not path.exists():
            raise BadInput(f"{path} is a link that leads nowhere", "dvc checkout   # or remove it")
        files.append(path)
    return files


def expand(patterns: Sequence[str], ending: str) -> list[Path]:
    """Turn files, folders and globs into files, in the order given; a folder's by name.

    Raises:
        BadInput: a pattern that matches nothing.
    """
    files: list[Path] = []
    for pattern in patterns:
        if not pattern:
            problem = "an empty word stands where a path belongs; is a variable not set?"
            raise BadInput(problem)
        matched = _matches(pattern, ending)
        if not matched:
            raise BadInput(f"{pattern} matches no {ending} file")
        files += matched
    return list(dict.fromkeys(files))


def _matches(pattern: str, ending: str) -> list[Path]:
    path = Path(pattern)
    if path.is_dir():
        return find_files(path, ending)
    if path.exists():
        return [path]
    names = glob.glob(pattern, recursive=True)  # noqa: PTH207 — Path.glob takes no absolute pattern
    return [Path(name) for name in sorted(names)]
