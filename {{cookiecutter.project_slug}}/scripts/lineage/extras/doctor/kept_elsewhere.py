"""What there is of a project beyond this folder: whether a Git remote has its whole history."""

from pathlib import Path

from lineage.core.check_result import Step, done, skipped
from lineage.tracked.git import git
from lineage.tracked.ignored import NO_REPOSITORY

REMEDIES = (
    "git push --all {0} && git push --tags {0}"
    "   # or, into one file: git bundle create ../history.bundle --all"
)


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
