"""What Git says about the code that runs."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CodeState:
    """The commit that HEAD names, and whether tracked files differ from it (None outside Git or without a commit)."""

    commit: str | None
    dirty: bool | None


def git_bytes(root: Path, *arguments: str) -> bytes | None:
    """Run git in `root` and return what it printed; None when it fails or is not installed."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def git(root: Path, *arguments: str) -> str | None:
    """As `git_bytes`, but text, without the last line end."""
    output = git_bytes(root, *arguments)
    return None if output is None else output.decode("utf-8", errors="surrogateescape").rstrip("\n")


def code_state(root: Path, *, written_by_pipeline: tuple[str, ...] = ()) -> CodeState:
    """Read commit and dirtiness.

    Args:
        root: the project's root.
        written_by_pipeline: paths that `dvc repro` itself rewrites, and that say nothing about the code.
    """
    commit = git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    if commit is None:
        return CodeState(None, None)
    excluded = [f":(exclude){path}" for path in written_by_pipeline]
    changed = git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *excluded)
    return CodeState(commit, None if changed is None else bool(changed))
