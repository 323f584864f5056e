"""Git worktrees in which DVC works: made, filled, searched for what is not saved, removed.

Each has main's cache, remotes and credentials, and every recorded output is present in it.
"""

import re
import shutil
from pathlib import Path

from lineage.core.errors import Refused
from lineage.tracked.cache import cache_folder, dvc_config
from lineage.tracked.dvc import run_dvc
from lineage.tracked.git import git, main_root, must_git
from lineage.tracked.hashes import path_md5
from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.remote import obtain, with_files

LOCAL = ".dvc/config.local"
MADE_AGAIN = re.compile(
    r"\.venv/?|\.dvc/(tmp|cache|config\.local)\b.*|dvc_plots/|.*\.tmp"
    r"|(.*/)?(__pycache__/|[^/]*\.pyc|\.\w+_cache/"
    r"|\.ipynb_checkpoints/|\.DS_Store|[^/]*\.egg-info/)"
)
"""Ignored files that a tool writes anew."""

HOOKS_OFF = "-c core.hooksPath=/dev/null"
"""The hook post-checkout would look for data before the cache is known."""

ALL_FILES = (
    "status --porcelain -z --no-renames --untracked-files=all --ignored=matching"
    " --ignore-submodules=none"
)
"""Options are given in full, since the user's configuration may hide files."""


def add_worktree(root: Path, folder: Path, *options: str) -> Path:
    """Make a worktree that uses cache, remotes and credentials of the main one.

    Args:
        root: the project's root.
        folder: the new worktree.
        options: of `git worktree add`, and the commit to check out.

    Returns:
        the project's root in it.

    Raises:
        Refused: Git refuses.

    """
    must_git(root, f"{HOOKS_OFF} worktree add --quiet", str(folder), *options)
    project = folder / (git(root, "rev-parse --show-prefix") or "")
    try:
        _share_configuration(main_root(root), project)
    except BaseException:
        remove_worktree(root, folder)
        raise
    return project


def remove_worktree(root: Path, folder: Path) -> None:
    """Remove a worktree whatever is in it; nothing happens when it is not one."""
    git(root, "worktree remove --force --force", str(folder))


def _share_configuration(main: Path, project: Path) -> None:
    """Give a worktree main's local DVC configuration; what is relative in it keeps its place."""
    if not (project / ".dvc").is_dir():  # the commit is older than DVC in this project
        return
    if (main / LOCAL).exists():
        shutil.copy(main / LOCAL, project / LOCAL)  # with its mode: it may hold credentials
    ours = dvc_config(main)
    with dvc_config(project).edit("local") as local:
        local.update(ours.load_one("local"))
        local["cache"]["dir"] = str(cache_folder(main))
        for name, settings in ours["remote"].items():
            local["remote"].setdefault(name, {})["url"] = str(settings["url"])


def fill_worktree(root: Path, project: Path) -> None:
    """Check every recorded output out, from the cache or the remote, and verify each.

    Args:
        root: the project's root in the worktree that this one was made from.
        project: its root in this worktree.

    Raises:
        Refused: an object is nowhere, or an output is not as it is recorded; names it.

    """
    outputs = recorded_outputs(project)
    for md5 in with_files(root, outputs.values()):
        obtain(root, md5)
    if not outputs:  # the commit may be older than DVC in this project
        return
    said = run_dvc(project, "checkout").stderr
    for path, md5 in outputs.items():
        output = project / path
        if not output.exists() or path_md5(output) != md5:
            reason = " ".join(said.split())[-300:]
            raise Refused(f"{path} is not as dvc.lock records it: {reason}", "make doctor")


def unsaved(folder: Path, prefix: str = "") -> tuple[list[str], list[str]]:
    """Find the files of a worktree that neither Git nor DVC would bring back.

    Args:
        folder: the worktree.
        prefix: of the project in it, with a slash at the end; empty: it is the project.

    Returns:
        what is changed or new, and what is ignored although no tool makes it again; paths in the
            project.

    Raises:
        Refused: `git status` fails.

    """
    status = must_git(folder, ALL_FILES, remedy=f"cd {folder} && git status")
    project = folder / prefix
    outputs = tuple(f"{path}/" for path in recorded_outputs(project))
    changed = []
    unknown = []
    for line in status.split("\0")[:-1]:
        name = line[3:].removeprefix(prefix)
        is_known = MADE_AGAIN.fullmatch(name) or f"{name}/".startswith(outputs)
        if not line.startswith("!!"):
            changed.append(name)
        elif not is_known and _holds_files(project / name):
            unknown.append(name)
    return changed, unknown


def _holds_files(path: Path) -> bool:
    if path.is_dir():
        return any(file.is_file() for file in path.rglob("*"))
    return True
