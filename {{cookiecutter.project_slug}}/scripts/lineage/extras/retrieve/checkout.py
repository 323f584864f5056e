"""Check a version out as a folder beside the project, list such folders, and clean them up."""

from pathlib import Path
from typing import NamedTuple

from lineage.core.errors import Refused
from lineage.extras.retrieve.worktree import add_worktree, fill_worktree, remove_worktree, unsaved
from lineage.tracked.git import common_folder, git, must_git
from lineage.tracked.hashes import path_md5
from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.version_tags import find_tag

COMMAND = "python scripts/experiment_explorer.py"
MARKER = "lineage-explore"
"""A file in Git's own folder of a worktree that `checkout` made; it goes when the worktree goes."""


class Worktree(NamedTuple):
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
    top = git(root, "rev-parse --show-toplevel")
    folder = Path(top or root).with_name(f"explore-{version}")
    if folder.exists():
        is_ours = folder in [made.folder for made in worktrees(root)]
        raise Refused(
            f"{folder} exists",
            f"{COMMAND} cleanup --version {version}" if is_ours else f"mv {folder} {folder}.old",
        )
    project = add_worktree(root, folder, "--detach", tag.commit)
    try:
        own = git(folder, "rev-parse --absolute-git-dir") or ""
        Path(own, MARKER).write_text(f"{version} {tag.commit}", encoding="utf-8")
        fill_worktree(root, project)
    except BaseException:
        remove_worktree(root, folder)
        raise
    return project


def worktrees(root: Path) -> list[Worktree]:
    """List the worktrees that `checkout` made and that still exist."""
    found = []
    for marker in sorted(common_folder(root).glob(f"worktrees/*/{MARKER}")):
        version, commit = marker.read_text(encoding="utf-8").split()
        folder = Path(marker.with_name("gitdir").read_text(encoding="utf-8").strip()).parent
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
    prefix = git(root, "rev-parse --show-prefix") or ""
    project = folder / prefix
    changed, unknown = unsaved(folder, prefix)
    if git(folder, "rev-parse HEAD") != commit:
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
            remedy = f"{COMMAND} cleanup --version {made.version} --force   # or save them first"
            raise Refused(f"{made.folder} has changes: {changes}", remedy)
        if root.is_relative_to(made.folder):
            raise Refused(f"{made.folder} is where you are", f"cd {common_folder(root).parent}")
    for made in chosen:
        must_git(root, "worktree remove --force", str(made.folder))
    return chosen
