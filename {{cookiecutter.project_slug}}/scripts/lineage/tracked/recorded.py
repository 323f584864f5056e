"""What DVC has recorded: the outputs that `dvc.lock` and `.dvc` files name, and their hashes."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from yaml import YAMLError

from lineage.core.errors import BadInput
from lineage.core.paths import (
    INCOMING_DATA,
    INCOMING_RESULTS,
    METRICS_FILE,
    PIPELINE,
    PIPELINE_LOCK,
)
from lineage.core.yaml_as_text import read_as_text
from lineage.tracked.git import git, git_bytes

PIPELINE_WRITES = (PIPELINE_LOCK, METRICS_FILE, f"{INCOMING_DATA}.dvc", f"{INCOMING_RESULTS}.dvc")
"""Files of Git that `dvc repro` writes."""

Entries = Iterator[tuple[str, Any]]
"""The path of each output, relative to the project's root, and what a file says about it."""


def recorded_outputs(
    root: Path, revision: str | None = None, *, pushed: bool = False
) -> dict[str, str]:
    """Map every cached output that `.dvc` files and `dvc.lock` name to its hash.

    Args:
        root: the project's root; the outputs' paths are POSIX paths relative to it.
        revision: a commit or tag; None: the working tree.
        pushed: without those that are marked `push: false`.

    Raises:
        BadInput: a file cannot be read (a merge conflict, for example).
    """
    needed = {"cache", "push"} if pushed else {"cache"}  # cache: false, and Git holds the file
    outputs: dict[str, str] = {}
    for name in [*_pointers(root, revision), PIPELINE_LOCK, PIPELINE]:
        for path, entry in _entries(root, name, revision):
            if any(entry.get(option, "").lower() == "false" for option in needed):
                outputs.pop(path, None)
            elif md5 := entry.get("md5"):
                outputs[path] = md5
    return outputs


def recorded_md5(root: Path, path: str, revision: str | None = None) -> str | None:
    """Look one output up in `dvc.lock`, then in its own `.dvc` file.

    Arguments and errors are those of `recorded_outputs`.
    """
    for name in (PIPELINE_LOCK, f"{path}.dvc"):
        entries = dict(_entries(root, name, revision))
        if path in entries:
            return entries[path].get("md5")
    return None


def way_back(root: Path) -> list[str]:
    """Write the line that says how everything goes back to the last commit, the inboxes too.

    There is none where that has recorded no outputs.
    """
    commit = git(root, "rev-parse --short HEAD")
    listed = git(root, "ls-tree --name-only HEAD", *PIPELINE_WRITES) or ""
    names = listed.split()
    if PIPELINE_LOCK not in names:
        return []
    command = f"git checkout {commit} -- {' '.join(names)} && dvc checkout"
    return [f"to take it back: {command}   # all outputs and inboxes, as {commit} has them"]


@cache
def yaml_in_git(root: Path, commit: str, name: str) -> Any:
    """Read a YAML file of a commit as DVC reads it; without one, it is an empty mapping.

    Raises:
        BadInput: it is not YAML.
    """
    from ruamel.yaml import YAMLError as ParamsError

    from lineage.core.params import parse_yaml

    try:
        return parse_yaml(git_bytes(root, "show", f"{commit}:./{name}") or b"") or {}
    except ParamsError as error:
        raise _unreadable(f"{commit[:7]}:{name}", error) from None


def _pointers(root: Path, revision: str | None) -> list[str]:
    """List the `.dvc` files."""
    command = "ls-files --cached --others --exclude-standard"
    if revision:
        command = f"ls-tree -r --name-only {revision}"
    listed = git(root, f"{command} -z -- .") or ""
    names = listed.split("\0")
    return sorted(name for name in names if name.endswith(".dvc"))


def _entries(root: Path, name: str, revision: str | None) -> Entries:
    """Yield the outputs of `dvc.yaml`, `dvc.lock` or a `.dvc` file; none where there is no file."""
    try:
        if revision:
            data = git_bytes(root, "show", f"{revision}:./{name}") or b""
        else:
            data = (root / name).read_bytes()
        content = read_as_text(data) or {}
        stages = content.get("stages") or {"": content}  # a .dvc file is like one stage
        for stage in stages.values():
            yield from _outputs_of(stage, name)
    except FileNotFoundError:
        return
    except (YAMLError, ValueError, AttributeError, TypeError, KeyError) as error:
        where = f"{revision}:{name}" if revision else name
        remedy = None if revision else f"git checkout -- {name}"
        raise _unreadable(where, error, remedy) from None


def _unreadable(where: str, error: Exception, remedy: str | None = None) -> BadInput:
    return BadInput(f"{where} cannot be read: {' '.join(str(error).split())}", remedy)


def _outputs_of(stage: dict[str, Any], name: str) -> Entries:
    """Yield the outputs of a stage; of those in `dvc.yaml`, what has options."""
    folder = PurePosixPath(name).parent
    for kind in ("outs", "metrics", "plots"):
        for entry in stage.get(kind) or []:
            if name != PIPELINE:
                yield (folder / entry["path"]).as_posix(), entry
            elif isinstance(entry, dict):
                for path, options in entry.items():
                    yield path, options or {}
