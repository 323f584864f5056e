"""Which files an ignore rule keeps from Git, although Git must track them."""

from pathlib import Path

from lineage.core.check_result import Step, done, skipped
from lineage.core.errors import Refused
from lineage.tracked.git import git

NO_REPOSITORY = "there is no Git repository"
MUST_BE_TRACKED = """
    dvc.yaml dvc.lock params.yaml requirements.lock experiment.py results/metrics.json
    data/*.dvc results/*.dvc scripts/*.py
"""
"""Patterns of Git, in which a star goes over folders, too."""


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
