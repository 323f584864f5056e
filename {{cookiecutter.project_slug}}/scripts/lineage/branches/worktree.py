"""Git worktrees in which DVC works: the main tree's configuration, and every recorded output present."""

import re
import shutil
from pathlib import Path

from lineage.core.errors import Refused
from lineage.tracked.cache import cache_folder, cached_object
from lineage.tracked.git import git, main_root, must_git
from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.remote import listing
from lineage.tracked.whole_file import same_bytes

LOCAL = ".dvc/config.local"
MADE_AGAIN = re.compile(
    r"\.venv/?|\.dvc/(tmp|cache|config\.local)\b.*|dvc_plots/|.*\.tmp|(.*/)?(__pycache__/|[^/]*\.pyc|\.\w+_cache/"
    r"|\.ipynb_checkpoints/|\.DS_Store|[^/]*\.egg-info/)"
)
"""Ignored files that a tool writes anew."""


def add_worktree(root: Path, folder: Path, *options: str) -> Path:
    """Make a worktree that uses cache, remotes and credentials of the main one; return the project's root in it.

    Args:
        root: the project's root.
        folder: the new worktree.
        options: of `git worktree add`: what it checks out.
    Raises:
        Refused: Git refuses.
    """
    hooks_off = (
        "core.hooksPath=/dev/null"  # post-checkout would look for data before the cache is known
    )
    must_git(
        root, "-c", hooks_off, "worktree", "add", "--quiet", *options[:-1], str(folder), options[-1]
    )
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
    # said in full, since the user's configuration may hide files
    options = (
        "--no-renames",
        "--ignored=matching",
        "--untracked-files=all",
        "--ignore-submodules=none",
        "-z",
    )
    if (status := git(folder, "status", "--porcelain", *options)) is None:
        raise Refused(f"git status fails in {folder}", f"cd {folder} && git status")
    found = [(line[:2], line[3:].removeprefix(prefix)) for line in status.split("\0")[:-1]]
    ignored = [name for state, name in found if state == "!!" and not MADE_AGAIN.fullmatch(name)]
    outputs = tuple(f"{path}/" for path in recorded_outputs(folder / prefix))
    unknown = [
        name
        for name in ignored
        if not f"{name}/".startswith(outputs) and _holds_files(folder / prefix / name)
    ]
    return [name for state, name in found if state != "!!"], unknown


def _holds_files(path: Path) -> bool:
    return not path.is_dir() or any(file.is_file() for file in path.rglob("*"))


def _share_configuration(main: Path, project: Path) -> None:
    """Give a worktree main's local DVC configuration; what is relative in it keeps its place."""
    from dvc.config import Config

    if not (project / ".dvc").is_dir():  # the commit is older than DVC in this project
        return
    if (main / LOCAL).exists():
        shutil.copy(main / LOCAL, project / LOCAL)  # with its mode: it may hold credentials
    ours, config = Config(dvc_dir=str(main / ".dvc")), Config(dvc_dir=str(project / ".dvc"))
    with config.edit("local") as edited:
        edited.update(ours.load_one("local"))
        edited["cache"]["dir"] = str(cache_folder(main))
        for name, settings in ours["remote"].items():
            if config["remote"].get(name, {}).get("url") != settings["url"]:
                edited["remote"].setdefault(name, {})["url"] = str(settings["url"])


def check_outputs(project: Path, reason: str = "") -> None:
    """Raise `Refused` unless every recorded file is there, and is its object or has its bytes.

    Args:
        project: the project's root in the worktree.
        reason: what DVC said when it checked them out.
    """
    for path, md5 in recorded_outputs(project).items():
        files = listing(project, md5) if md5.endswith(".dir") else {"": md5}
        for place, known in (
            (project / path / name, cached_object(project, file)) for name, file in files.items()
        ):
            if (
                known is None
                or not place.is_file()
                or not (place.samefile(known) or same_bytes(place, known))
            ):
                said = " ".join(reason.split())[-300:]
                raise Refused(
                    f"{path} is not as dvc.lock records it{': ' if said else ''}{said}",
                    "make doctor",
                )
