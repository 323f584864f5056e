"""Which files an ignore rule keeps from Git or DVC, although they must track them."""

import re
from contextlib import suppress
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
        raise Refused(
            f"Git ignores files that it must track: {hidden}",
            f"git add --force {hidden} && git commit -m 'Track what was ignored'"
            "   # then: make setup",
        )
    return done("tracked", "no ignore rule hides a file that Git must track")


def check_seen(root: Path) -> Step:
    """Look for files that Git must track, and for those of Git's that DVC does not see.

    DVC reads ignore rules by dulwich, to which `data/*` on a machine hides the folder data itself.

    Raises:
        Refused: there are some; names them.
    """
    step = check_tracked(root)
    seen = _stage_files(root)
    if seen is None:
        return step
    listed = git(root, "ls-files -- *.dvc") or ""
    unseen = sorted(set(listed.splitlines()) - seen)
    if not unseen:
        return step
    rule = git(root, "check-ignore --verbose --no-index --", unseen[0]) or ""
    own = re.match(r"([^/:][^:]*):(\d+):[^!]", rule)
    remedy = f"sed -i {own[2]}d {own[1]}" if own else "git config core.excludesFile /dev/null"
    raise Refused(
        f"DVC passes over {', '.join(unseen)}, which an ignore rule hides from it",
        f"{remedy} && make setup",
    )


def _stage_files(root: Path) -> set[str] | None:
    """List the files of stages that DVC finds; None: it is not here, or fails, and says why."""
    try:
        from dvc.exceptions import DvcException
        from dvc.repo import Repo
    except ModuleNotFoundError:  # the Python that bakes may have no DVC
        return None
    with suppress(DvcException), Repo(str(root)) as repo:
        return {stage.path_in_repo for stage in repo.index.stages}
    return None
