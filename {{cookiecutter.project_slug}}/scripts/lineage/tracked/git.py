"""What Git says about the code that runs."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lineage.core.errors import Refused


@dataclass(frozen=True)
class CodeState:
    """The commit that HEAD names, and whether tracked files differ from it (None outside Git or without a commit)."""

    commit: str | None
    dirty: bool | None


def _run(root: Path, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[bytes]:
    """Run git in `root`; looking must not rewrite the index, as `git status` else does."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    return subprocess.run(
        ["git", *arguments], cwd=root, capture_output=True, check=False, env=environment
    )


def git_bytes(root: Path, *arguments: str) -> bytes | None:
    """Run git in `root` and return what it printed; None when it fails or is not installed."""
    try:
        done = _run(root, arguments)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def git(root: Path, *arguments: str) -> str | None:
    """As `git_bytes`, but text, without the last line end."""
    output = git_bytes(root, *arguments)
    return None if output is None else output.decode("utf-8", errors="surrogateescape").rstrip("\n")


def must_git(root: Path, *arguments: str, remedy: str | None = None) -> str:
    """As `git`, where an answer is needed.

    Raises:
        Refused: it fails; says what git said.
    """
    done = _run(root, arguments)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).decode("utf-8", errors="replace").split())
        command = next(word for word in arguments if word[0] != "-" and "=" not in word)
        raise Refused(f"git {command} failed: {said}", remedy)
    return done.stdout.decode("utf-8", errors="surrogateescape").rstrip("\n")


def has_commit(root: Path, commit: object) -> bool:
    """Tell whether a text (from a database, so it may be anything) names a commit of this clone."""
    known = isinstance(commit, str) and re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", commit)
    return bool(known) and git(root, "cat-file", "-e", f"{commit}^{{commit}}") is not None


def main_root(root: Path) -> Path:
    """The same project in the main working tree, whose `.dvc/config.local` a linked one may lack; else `root`."""
    if (root / ".dvc/config.local").exists() or (common := common_folder(root)) is None:
        return root
    main = common.parent / (git(root, "rev-parse", "--show-prefix") or "")
    return main if (main / ".dvc/config.local").exists() else root


def common_folder(root: Path) -> Path | None:
    """Git's folder that all working trees share; None outside Git."""
    common = git(root, "rev-parse", "--path-format=absolute", "--git-common-dir")
    return Path(common) if common else None


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


def run(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in `root`; raises OSError when it is not installed."""
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
