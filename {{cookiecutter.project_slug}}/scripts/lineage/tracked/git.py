"""The one place that runs Git, and what Git says about the code that runs."""

import os
import re
import subprocess
from functools import cache
from pathlib import Path
from subprocess import DEVNULL, PIPE, CompletedProcess, TimeoutExpired
from typing import Any

from lineage.core.errors import Refused

OURS = re.compile("GIT_(?!AUTHOR|COMMITTER|CONFIG_|SSH|SSL|ASKPASS|TERMINAL|HTTP|PROXY|TEST|TRACE)")
"""Variables by which Git tells what it starts, as a hook, of a repository: not always ours.

The others say who commits, what is configured, and how a remote is reached.
"""

FATAL = 128
"""Git's exit code where it cannot work at all: outside a repository, or in one that it refuses."""


def run(
    root: Path,
    *command: str,
    stdout: int | None = PIPE,
    text: bool = True,
    seconds: float | None = None,
    **variables: Any,
) -> CompletedProcess[Any]:
    """Run a command in `root`; Git finds the repository by that folder alone.

    Args:
        root: the working folder.
        command: the program and its arguments.
        stdout: where its output goes; PIPE: into the result; None: to the user.
        text: the result holds text, not bytes.
        seconds: how long it may take; it is then cut off from the terminal, and asks nothing.
        variables: of its environment, as in `GIT_INDEX_FILE=path`.

    Raises:
        FileNotFoundError: the program is not installed.
        TimeoutExpired: it took longer.
    """
    environment = {name: value for name, value in os.environ.items() if not OURS.match(name)}
    environment["LANGUAGE"] = "en"  # Git's words are looked at
    environment["GIT_OPTIONAL_LOCKS"] = "0"  # looking must not rewrite the index
    return subprocess.run(
        command,
        cwd=root,
        env=environment | variables,
        stdin=DEVNULL,
        stdout=stdout,
        stderr=PIPE,
        text=text,
        timeout=seconds,
        start_new_session=seconds is not None,
        check=False,
    )


def git_bytes(root: Path, *arguments: str, **options: Any) -> bytes | None:
    """Run git in `root`, with options of `run`, and return what it printed.

    Args:
        root: the working folder.
        arguments: the command, words with spaces between them, as in `rev-parse --verify HEAD`;
            and what follows, each of them one word.
        options: of `run`.

    Returns:
        None when it fails, takes too long, or is not installed.

    Raises:
        Refused: as `check_repository`.
    """
    try:
        done = _run_git(root, *arguments, **options)
    except (FileNotFoundError, TimeoutExpired):
        return None
    return None if done.returncode else done.stdout


def _run_git(root: Path, command: str, *arguments: str, **options: Any) -> CompletedProcess[bytes]:
    done = run(root, "git", *command.split(), *arguments, text=False, **options)
    if done.returncode == FATAL:
        check_repository(root)
    return done


@cache
def check_repository(root: Path) -> None:
    """Check that Git works in a folder, or that there is no repository around it.

    Raises:
        Refused: there is one that Git refuses (another owner, a broken configuration, …); in Git's
            own words, with the command that it advises.
    """
    said = run(root, "git", "rev-parse", "--git-dir").stderr
    if said and "not a git repository (or any" not in said:
        advice = re.search("^\t(.+)$", said, re.MULTILINE)
        raise Refused(said.splitlines()[0], advice[1] if advice else "git status")


def git(root: Path, *arguments: str, **options: Any) -> str | None:
    """As `git_bytes`, but text, without the last line end."""
    output = git_bytes(root, *arguments, **options)
    return None if output is None else os.fsdecode(output).rstrip("\n")


def must_git(root: Path, *arguments: str, remedy: str | None = None, **options: Any) -> str:
    """As `git`, where an answer is needed.

    Args:
        root: the working folder.
        arguments: as in `git_bytes`.
        remedy: what helps when it fails; a lock that was left, and a committer whom Git does not
            know, have their own.
        options: of `run`.

    Raises:
        Refused: it fails; in Git's own words.
    """
    done = _run_git(root, *arguments, **options)
    if done.returncode:
        reason = " ".join(os.fsdecode(done.stderr or done.stdout).split())
        name = next(word for word in done.args[1:] if word[0] != "-" and "=" not in word)
        lock = re.search(r"Unable to create ('.+\.lock'): File exists", reason)
        if lock:
            remedy = f"rm {lock[1]}   # if no other git is at work; then the same again"
        elif "tell me who you are" in reason:
            remedy = 'git config --global user.name "…" && git config --global user.email "…"'
        raise Refused(f"git {name} failed: {reason}", remedy)
    return os.fsdecode(done.stdout).rstrip("\n")


def common_folder(root: Path) -> Path:
    """Find Git's folder that all working trees share; outside Git, where it would be."""
    common = git(root, "rev-parse --path-format=absolute --git-common-dir")
    return Path(common or root / ".git")


@cache
def main_root(root: Path) -> Path:
    """Find the project in the main working tree, whose `.dvc/config.local` a linked one may lack.

    Returns:
        its root there; `root` itself where that has such a file, or the main tree has none.
    """
    local = ".dvc/config.local"
    if (root / local).exists():
        return root
    main = common_folder(root).parent / (git(root, "rev-parse --show-prefix") or "")
    return main if (main / local).exists() else root


def code_state(root: Path, *written_by_pipeline: str) -> tuple[str | None, int | None]:
    """Read which commit the code is of, and whether it was changed since.

    Args:
        root: the project's root.
        written_by_pipeline: paths that `dvc repro` itself rewrites; they say nothing of the code.

    Returns:
        the commit that HEAD names, and 1 when tracked files differ from it, else 0. Both are None
        outside Git or without a commit.
    """
    commit = git(root, "rev-parse --verify --quiet HEAD")
    excluded = [f":(exclude){path}" for path in written_by_pipeline]
    changed = git(root, "status --porcelain --untracked-files=no -- .", *excluded)
    if commit is None or changed is None:
        return commit, None
    return commit, int(changed != "")
