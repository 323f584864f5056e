"""The one way to make a Git worktree in which DVC works: main's cache and credentials, every recorded output present."""

import re
import shutil
from pathlib import Path

from lineage.core.errors import Refused
from lineage.tracked.cache import cache_folder, object_path
from lineage.tracked.git import git, main_root, must_git
from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.remote import listing
from lineage.tracked.whole_file import same_bytes

LOCAL = ".dvc/config.local"
MADE_AGAIN = re.compile(
    r"\.venv/?|\.dvc/(tmp|cache|config\.local)\b.*|dvc_plots/|.*\.tmp"
    r"|(.*/)?(__pycache__/|[^/]*\.pyc|\.\w+_cache/"
    r"|\.ipynb_checkpoints/|\.DS_Store|[^/]*\.egg-info/)"
)
"""Ignored files that a tool writes anew."""

HOOKS_OFF = ("-c", "core.hooksPath=/dev/null")
"""The hook post-checkout would look for data before the cache is known."""

ALL_FILES = (
    "--no-renames",
    "--untracked-files=all",
    "--ignored=matching",
    "--ignore-submodules=none",
    "-z",
)
"""Options of `git status`, given in full since the user's configuration may hide files."""


def add_worktree(root: Path, folder: Path, *options: str) -> Path:
    """Make a worktree that uses cache, remotes and credentials of the main one.

    Args:
        root: the project's root.
        folder: the new worktree.
        options: of `git worktree add`; the last one is the commit to check out.

    Returns:
        the project's root in it.

    Raises:
        Refused: Git refuses.

    """
    *flags, commit = options
    must_git(root, *HOOKS_OFF, "worktree", "add", "--quiet", *flags, str(folder), commit)
    project = folder / (git(root, "rev-parse", "--show-prefix") or "")
    try:
        _share_configuration(main_root(root), project)
    except BaseException:
        remove_worktree(root, folder)
        raise
    return project


def remove_worktree(root: Path, folder: Path) -> None:
    """Remove a worktree whatever is in it; nothing happens when it is not one."""
    git(root, "worktree", "remove", "--force", "--force", str(folder))


def _share_configuration(main: Path, project: Path) -> None:
    """Give a worktree main's local DVC configuration; what is relative in it keeps its place."""
    from dvc.config import Config

    if not (project / ".dvc").is_dir():  # the commit is older than DVC in this project
        return
    if (main / LOCAL).exists():
        shutil.copy(main / LOCAL, project / LOCAL)  # with its mode: it may hold credentials
    ours = Config(dvc_dir=str(main / ".dvc"))
    with Config(dvc_dir=str(project / ".dvc")).edit("local") as local:
        local.update(ours.load_one("local"))
        local["cache"]["dir"] = str(cache_folder(main))
        for name, settings in ours["remote"].items():
            local["remote"].setdefault(name, {})["url"] = str(settings["url"])


def check_outputs(project: Path, reason: str = "") -> None:
    """Check that every recorded file of a worktree is there, and is its object or has its bytes.

    Args:
        project: the project's root in the worktree.
        reason: what DVC said when it checked them out.

    Raises:
        Refused: one is not; names the output.

    """
    for path, md5 in recorded_outputs(project).items():
        files = listing(project, md5) if md5.endswith(".dir") else {"": md5}
        for name, file_md5 in files.items():
            if not _is_object(project / path / name, object_path(project, file_md5)):
                said = f": {' '.join(reason.split())[-300:]}" if reason else ""
                raise Refused(f"{path} is not as dvc.lock records it{said}", "make doctor")


def _is_object(file: Path, known: Path) -> bool:
    there = file.is_file() and known.is_file()
    return there and (file.samefile(known) or same_bytes(file, known))


def unsaved(folder: Path, prefix: str = "") -> tuple[list[str], list[str]]:
    """Find the files of a worktree that neither Git nor DVC would bring back.

    Args:
        folder: the worktree.
        prefix: of the project in it, with a slash at the end; empty: it is the project.

    Returns:
        what is changed or new, and what is ignored although no tool makes it again; paths in the project.

    Raises:
        Refused: `git status` fails.

    """
    status = git(folder, "status", "--porcelain", *ALL_FILES)
    if status is None:
        raise Refused(f"git status fails in {folder}", f"cd {folder} && git status")
    project = folder / prefix
    outputs = tuple(f"{path}/" for path in recorded_outputs(project))
    changed = []
    unknown = []
    for line in status.split("\0")[:-1]:
        name = line[3:].removeprefix(prefix)
        if not line.startswith("!!"):
            changed.append(name)
        elif not MADE_AGAIN.fullmatch(name) and not f"{name}/".startswith(outputs):
            unknown.append(name)
    return changed, [name for name in unknown if _holds_files(project / name)]


def _holds_files(path: Path) -> bool:
    return not path.is_dir() or any(file.is_file() for file in path.rglob("*"))
