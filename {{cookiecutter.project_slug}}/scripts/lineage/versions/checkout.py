"""The verbs behind `checkout`, `worktrees` and `cleanup`: a version as a folder beside the project."""

from dataclasses import dataclass
from pathlib import Path

from lineage.branches.worktree import (
    add_worktree,
    check_outputs,
    remove_worktree,
    unsaved,
)
from lineage.core.errors import Refused
from lineage.tracked.git import common_folder, git, main_root, must_git
from lineage.tracked.hashes import path_md5
from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.remote import obtain, with_files
from lineage.versions.tags import find_tag

MARKER = "lineage-explore"
"""A file in Git's own folder of a worktree that `checkout` made; it goes when the worktree goes."""


@dataclass(frozen=True)
class Worktree:
    """A worktree that `checkout` made: its version, its folder, and what in it would be lost (empty: nothing)."""

    version: str
    folder: Path
    changes: list[str]


def checkout(root: Path, version: str) -> Path:
    """Make `../explore-VERSION`: the version's code, with every DVC output present and verified.

    Raises:
        Refused: no such tag, the folder exists, or an output cannot be brought back; nothing is left behind.
    """
    tag = find_tag(root, version)
    folder = Path(git(root, "rev-parse", "--show-toplevel") or root).parent / f"explore-{version}"
    if folder.exists():
        mine = folder in [made.folder for made in worktrees(root)]
        cleaning = f"python scripts/experiment_explorer.py cleanup --version {version}"
        raise Refused(f"{folder} exists", cleaning if mine else f"mv {folder} {folder}.old")
    project = add_worktree(root, folder, "--detach", tag.commit)
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

    for md5 in with_files(main_root(root), recorded_outputs(project).values()):
        obtain(main_root(root), md5)
    if (project / ".dvc").is_dir():
        with Repo(str(project)) as repo:
            repo.checkout(force=True, allow_missing=True)
    check_outputs(project)


def worktrees(root: Path) -> list[Worktree]:
    """The worktrees that `checkout` made and that still exist, with what is changed in each."""
    prefix, found = git(root, "rev-parse", "--show-prefix") or "", []
    for marker in sorted((common_folder(root) or root).glob(f"worktrees/*/{MARKER}")):
        folder = Path(marker.with_name("gitdir").read_text(encoding="utf-8").strip()).parent
        version, commit = marker.read_text(encoding="utf-8").split()
        if (folder / ".git").is_file():
            found.append(Worktree(version, folder, _changes(folder, prefix, commit)))
    return found


def _changes(folder: Path, prefix: str, commit: str) -> list[str]:
    """What would be lost with a worktree: commits, changed and new files, also those that Git ignores, changed outputs."""
    project = folder / prefix
    commits = [] if git(folder, "rev-parse", "HEAD") == commit else ["commits"]
    present = {
        path: md5
        for path, md5 in recorded_outputs(project, commit).items()
        if (project / path).exists()
    }
    outputs = [path for path, md5 in present.items() if path_md5(project / path) != md5]
    changed, unknown = unsaved(folder, prefix)
    return [*commits, *changed, *unknown, *outputs]


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
        raise Refused(
            f"checkout made no worktree of {version}",
            "python scripts/experiment_explorer.py worktrees",
        )
    for made in chosen:
        if made.changes and not force:
            raise Refused(
                f"{made.folder} has changes: {', '.join(made.changes[:5])}",
                "save them, or cleanup --force",
            )
        if root.is_relative_to(made.folder):
            raise Refused(
                f"{made.folder} is where you are", f"cd {(common_folder(root) or root).parent}"
            )
    for made in chosen:
        must_git(root, "worktree", "remove", "--force", str(made.folder))
    return chosen
