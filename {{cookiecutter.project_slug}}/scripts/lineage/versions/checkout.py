"""Check a version out as a folder beside the project, list such folders, and clean them up."""

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
from lineage.tracked.version_tags import find_tag

COMMAND = "python scripts/experiment_explorer.py"
MARKER = "lineage-explore"
"""A file in Git's own folder of a worktree that `checkout` made; it goes when the worktree goes."""


@dataclass(frozen=True)
class Worktree:
    """A worktree that `checkout` made.

    Attributes:
        version: `eX.Y.Z`.
        folder: where it lies.
        changes: what in it would be lost; empty: nothing.
    """

    version: str
    folder: Path
    changes: list[str]


def checkout(root: Path, version: str) -> Path:
    """Make `../explore-VERSION`: the version's code, with every DVC output present and verified.

    Raises:
        Refused: no such tag, the folder exists, or an output cannot be brought back; nothing is
            left behind.
    """
    tag = find_tag(root, version)
    top = git(root, "rev-parse", "--show-toplevel")
    folder = Path(top or root).with_name(f"explore-{version}")
    if folder.exists():
        is_ours = folder in [made.folder for made in worktrees(root)]
        cleanup_it = f"{COMMAND} cleanup --version {version}"
        raise Refused(
            f"{folder} exists",
            cleanup_it if is_ours else f"mv {folder} {folder}.old",
        )
    project = add_worktree(root, folder, "--detach", tag.commit)
    try:
        own = git(folder, "rev-parse", "--absolute-git-dir") or ""
        Path(own, MARKER).write_text(f"{version} {tag.commit}", encoding="utf-8")
        _fill(root, project)
    except BaseException:
        remove_worktree(root, folder)
        raise
    return project


def _fill(root: Path, project: Path) -> None:
    """Check the outputs of a worktree out, and verify each."""
    from dvc.repo import Repo

    storage = main_root(root)
    for md5 in with_files(storage, recorded_outputs(project).values()):
        obtain(storage, md5)
    if (project / ".dvc").is_dir():  # else the commit is older than DVC in this project
        with Repo(str(project)) as repo:
            repo.checkout(force=True, allow_missing=True)
    check_outputs(project)


def worktrees(root: Path) -> list[Worktree]:
    """List the worktrees that `checkout` made and that still exist."""
    shared = common_folder(root) or root
    found = []
    for marker in sorted(shared.glob(f"worktrees/*/{MARKER}")):
        version, commit = marker.read_text(encoding="utf-8").split()
        link = marker.with_name("gitdir").read_text(encoding="utf-8")
        folder = Path(link.strip()).parent
        if (folder / ".git").is_file():
            found.append(Worktree(version, folder, _changes(root, folder, commit)))
    return found


def _changes(
    root: Path,
    folder: Path,
    commit: str,
) -> list[str]:
    """Name what would be lost with a worktree that was made of a commit.

    Those are commits, changed and new files, also those that Git ignores, and changed outputs.
    """
    prefix = git(root, "rev-parse", "--show-prefix") or ""
    project = folder / prefix
    changed, unknown = unsaved(folder, prefix)
    if git(folder, "rev-parse", "HEAD") != commit:
        changed.insert(0, "commits")
    outputs = []
    for path, md5 in recorded_outputs(project, commit).items():
        if (project / path).exists() and path_md5(project / path) != md5:
            outputs.append(path)
    return changed + unknown + outputs


def cleanup(
    root: Path,
    version: str | None,
    force: bool,
) -> list[Worktree]:
    """Remove worktrees that `checkout` made, and no others.

    Args:
        root: the project's root.
        version: only this one; None: all.
        force: also those with changes, which are lost.

    Returns:
        Those removed.

    Raises:
        Refused: one has changes, there is none of that version, or Git refuses. Nothing was
            removed.
    """
    chosen = [made for made in worktrees(root) if version in (None, made.version)]
    if version and not chosen:
        raise Refused(f"checkout made no worktree of {version}", f"{COMMAND} worktrees")
    for made in chosen:
        if made.changes and not force:
            changes = ", ".join(made.changes[:5])
            raise Refused(f"{made.folder} has changes: {changes}", "save them, or cleanup --force")
        if root.is_relative_to(made.folder):
            main = (common_folder(root) or root).parent
            raise Refused(f"{made.folder} is where you are", f"cd {main}")
    for made in chosen:
        must_git(root, "worktree", "remove", "--force", str(made.folder))
    return chosen
