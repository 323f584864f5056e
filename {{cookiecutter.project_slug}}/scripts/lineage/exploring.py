"""The verbs behind `checkout`, `worktrees` and `cleanup`: a version as a folder beside the project."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from lineage.errors import Refused
from lineage.objects import obtain, with_files
from lineage.records import path_md5, recorded_outputs
from lineage.repository import common_folder, git, main_root, must_git
from lineage.versions import find_tag

MARKER = "lineage-explore"
"""A file in Git's own folder of a worktree that `checkout` made; it goes when the worktree goes."""

LOCAL = ".dvc/config.local"


@dataclass(frozen=True)
class Worktree:
    """A worktree that `checkout` made: its version, its folder, and what in it would be lost (empty: nothing)."""

    version: str
    folder: Path
    changes: list[str]


def add_worktree(root: Path, commit: str, folder: Path) -> Path:
    """Make a detached worktree of a commit with this machine's DVC configuration; return the project's root in it."""
    must_git(root, "-c", "core.hooksPath=/dev/null", "worktree", "add", "--detach", str(folder), commit)
    project = folder / (git(root, "rev-parse", "--show-prefix") or "")
    if (main_root(root) / LOCAL).exists():
        shutil.copyfile(main_root(root) / LOCAL, project / LOCAL)
    return project


def remove_worktree(root: Path, folder: Path) -> None:
    """Remove a worktree whatever is in it; nothing happens when it is not one."""
    git(root, "worktree", "remove", "--force", "--force", str(folder))


def checkout(root: Path, version: str) -> Path:
    """Make `../explore-VERSION`: the version's code, with every DVC output present and verified.

    Raises:
        Refused: no such tag, the folder exists, or an output cannot be brought back; nothing is left behind.
    """
    tag = find_tag(root, version)
    top = Path(git(root, "rev-parse", "--show-toplevel") or root)
    folder = top.parent / f"explore-{version}"
    if folder.exists():
        mine = folder in [made.folder for made in worktrees(root)]
        cleaning = f"python scripts/experiment_explorer.py cleanup --version {version}"
        raise Refused(f"{folder} exists", cleaning if mine else f"mv {folder} {folder}.old")
    project = add_worktree(root, tag.commit, folder)
    try:
        own = Path(git(folder, "rev-parse", "--absolute-git-dir") or "")
        (own / MARKER).write_text(f"{version} {tag.commit}", encoding="utf-8")
        _fill(root, project)
    except BaseException:
        remove_worktree(root, folder)
        raise
    return project


def _fill(root: Path, project: Path) -> None:
    """Check the outputs of a worktree out, and verify each."""
    from dvc.repo import Repo

    outputs = recorded_outputs(project)
    for md5 in with_files(main_root(root), outputs.values()):
        obtain(main_root(root), md5)
    with Repo(str(project)) as repo:
        repo.checkout(force=True, allow_missing=True)
    wrong = [path for path, md5 in outputs.items() if not (project / path).exists() or path_md5(project / path) != md5]
    if wrong:
        raise Refused(f"{wrong[0]} did not come back whole", "make doctor")


def worktrees(root: Path) -> list[Worktree]:
    """The worktrees that `checkout` made and that still exist, with what is changed in each."""
    common = common_folder(root) or root
    prefix, found = git(root, "rev-parse", "--show-prefix") or "", []
    for marker in sorted(common.glob(f"worktrees/*/{MARKER}")):
        folder = Path(marker.with_name("gitdir").read_text(encoding="utf-8").strip()).parent
        version, commit = marker.read_text(encoding="utf-8").split()
        if (folder / ".git").is_file():
            found.append(Worktree(version, folder, _changes(folder, prefix, commit)))
    return found


def _changes(folder: Path, prefix: str, commit: str) -> list[str]:
    """What would be lost with a worktree: commits, changed and new files, also those that Git ignores, changed outputs."""
    changes = [] if git(folder, "rev-parse", "HEAD") == commit else ["commits"]
    outputs = recorded_outputs(folder / prefix, commit)
    for entry in (git(folder, "status", "--porcelain", "-z", "--no-renames", "--ignored") or "").split("\0")[:-1]:
        name = entry[3:].removeprefix(prefix).rstrip("/")
        known = any(f"{name}/".startswith(f"{path}/") for path in [*outputs, ".dvc"]) or "__pycache__" in name
        changes += [] if known and entry.startswith("!!") else [name]
    present = {path: folder / prefix / path for path in outputs}
    return changes + [path for path, place in present.items() if place.exists() and path_md5(place) != outputs[path]]


def cleanup(root: Path, version: str | None, force: bool) -> list[Worktree]:
    """Remove worktrees that `checkout` made, and no others.

    Args:
        root: the project's root.
        version: only this one; None: all.
        force: also those with changes, which are lost.
    Returns:
        those removed.
    Raises:
        Refused: one has changes, there is none of that version, or Git refuses. Nothing was removed.
    """
    chosen = [made for made in worktrees(root) if version in (None, made.version)]
    if version is not None and not chosen:
        raise Refused(f"checkout made no worktree of {version}", "python scripts/experiment_explorer.py worktrees")
    for made in chosen:
        if made.changes and not force:
            raise Refused(f"{made.folder} has changes: {', '.join(made.changes[:5])}", "save them, or cleanup --force")
        if root.is_relative_to(made.folder):
            raise Refused(f"{made.folder} is where you are", f"cd {main_root(root)}")
    for made in chosen:
        must_git(root, "worktree", "remove", "--force", str(made.folder))
    return chosen
