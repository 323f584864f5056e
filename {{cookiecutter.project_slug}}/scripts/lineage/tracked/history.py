"""What of Git's history is in this folder only, and which files an ignore rule keeps from it."""

from pathlib import Path

from lineage.core.check_result import Step, done, skipped
from lineage.core.errors import Refused
from lineage.tracked.git import git

NO_REPOSITORY = "there is no Git repository"
REMEDIES = (
    "git push --all {0} && git push --tags {0}"
    "   # or, into one file: git bundle create ../history.bundle --all"
)

MUST_BE_TRACKED = """
    dvc.yaml dvc.lock params.yaml requirements.lock experiment.py results/metrics.json
    data/*.dvc results/*.dvc scripts/*.py
"""
"""Patterns of Git, in which a star goes over folders, too."""


def check_history(root: Path) -> Step:
    """Ask the Git remotes which commits and tags of this clone none of them has."""
    there: set[str] = set()
    remotes = (git(root, "remote") or "").split()
    for remote in remotes:
        listed = git(root, "ls-remote", remote)
        if listed is None:
            ask = f"git ls-remote {remote}"
            return skipped("history", f"Git remote {remote} does not answer", ask)
        there.update(listed.split()[::2])  # a hash and a name in each line
    commits = git(root, "rev-list --count --ignore-missing --branches --tags --not", *there)
    named = (git(root, "show-ref --tags") or "").splitlines()
    tags = [line for line in named if line.split()[0] not in there]
    if commits is None:
        return skipped("history", NO_REPOSITORY)
    if commits == "0" and not tags:
        return done("history", f"all commits and tags are in {', '.join(remotes)}")
    problem = f"{commits} commits and {len(tags)} tags are in this folder only"
    if remotes:
        return skipped("history", problem, REMEDIES.format(remotes[0]))
    remedy = f"git remote add origin URL && {REMEDIES.format('origin')}"
    return skipped("history", f"no Git remote: {problem}", remedy)


def check_tracked(root: Path) -> Step:
    """Look for files that Git must track and an ignore rule hides, as one of the machine may.

    Raises:
        Refused: there are some; names them.
    """
    hidden = git(root, f"ls-files --others --ignored --exclude-standard -- {MUST_BE_TRACKED}")
    if hidden is None:
        return skipped("tracked", NO_REPOSITORY)
    if hidden:
        hidden = hidden.replace("\n", " ")
        remedy = f"git add --force {hidden} && git commit -m 'Track what was ignored'"
        problem = f"Git ignores files that it must track: {hidden}"
        raise Refused(problem, f"{remedy}   # then: make setup")
    return done("tracked", "no ignore rule hides a file that Git must track")
