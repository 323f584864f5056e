"""The template's files, brought by cruft: it applies what differs between two bakes as a patch."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from lineage.core.check_result import Step, failed
from lineage.core.console import say
from lineage.core.errors import Refused
from lineage.tracked.git import must_git, run

LINK = ".cruft.json"
"""Cruft's file: where the template is, of which of its commits the project is, and the answers."""

COMMIT = "git add --all && git commit --message '{}'"
AGAIN = COMMIT.format("Update the template") + " && make update"


def bring_template(root: Path) -> None:
    """Let cruft change the files that the template has changed.

    Args:
        root: the project's root.

    Raises:
        Refused: the project knows no template, files are not committed, the template cannot be
            had, or files need a hand, each of which is named.
    """
    link = root / LINK
    if not link.is_file():
        remedy = f"cruft link URL   # the same answers as at first; then: {AGAIN}"
        raise Refused(f"there is no {LINK}: the project does not know its template", remedy)
    changed = must_git(root, "status --porcelain").splitlines()
    if changed:
        problem = f"{len(changed)} files are not committed, as {changed[0][3:]}"
        raise Refused(problem, COMMIT.format("Before the update"))
    done = run(root, sys.executable, "-m", "cruft", "update", "--skip-apply-ask")
    if done.returncode:
        url = json.loads(link.read_text(encoding="utf-8"))["template"]
        reason = " ".join((done.stderr or done.stdout).split())
        moved = f"sed -i 's|{url}|URL|' {LINK}"
        remedy = f"make update   # when it answers; has it moved: {moved} && {AGAIN}"
        raise Refused(f"the template cannot be had from {url}: {reason}", remedy)
    steps = list(_by_hand(root))
    for step in steps:
        say(step.line())
    if steps:
        raise Refused(f"{len(steps)} files need your hand (each ✗ above)", AGAIN)


def _by_hand(root: Path) -> Iterator[Step]:
    """Name the files that you and the template have both changed."""
    for name in _list(root, "diff --name-only --diff-filter=U"):
        if name.endswith(".lock"):
            text = "its packages are chosen anew, from what pyproject.toml asks for"
            yield failed(name, f" {text}", f"git checkout --theirs -- {name} && make lock")
        else:
            text = "both changed it: keep what is right between <<<<<<< and >>>>>>>"
            yield failed(name, f" {text}", f"git diff -- {name}")
    for name in _list(root, "ls-files --others --exclude-standard -- *.rej"):
        file = name.removesuffix(".rej")
        text = f"this part of the update does not fit {file}: put it in by hand"
        yield failed(name, f" {text}", f"cat {name}   # and then: rm {name}")


def _list(root: Path, command: str) -> list[str]:
    return must_git(root, command).splitlines()


def say_what_came(root: Path) -> None:
    """Say what the update has changed, and what comes next."""
    changed = [line[3:] for line in must_git(root, "status --porcelain").splitlines()]
    if not changed:
        say("nothing to do: the template has nothing new")
        return
    commit = json.loads((root / LINK).read_text(encoding="utf-8"))["commit"][:7]
    say(f"{len(changed)} files have changed, as the template is at {commit}: git diff HEAD")
    if any(name.endswith(".lock") and name != "dvc.lock" for name in changed):
        say("  → make setup   # packages have changed")
    say(f"  → {COMMIT.format(f'Update the template to {commit}')}")
    say("  → dvc repro   # merges again, which changes nothing; no model is trained")
