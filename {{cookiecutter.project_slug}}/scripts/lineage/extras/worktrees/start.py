"""Start an experiment in a worktree beside main, or erase one: its name, folder and branch."""

import os
import re
import shutil
from pathlib import Path
from typing import NamedTuple

from lineage.core import paths
from lineage.core.console import say
from lineage.core.errors import BadInput, Refused
from lineage.extras.retrieve.worktree import add_worktree, fill_worktree, remove_worktree
from lineage.tracked.cache import cache_folder
from lineage.tracked.git import common_folder, git
from lineage.tracked.guarded_output import locked
from lineage.tracked.whole_file import write_text

NAME = re.compile(r"\w[\w.+-]*(/\w[\w.+-]*)*")
LOCK_REASON = "an experiment is in it; bring it home with ./scripts/finish_worktree.sh"

ADDING = "adding"
"""The journal of a start says so while Git makes the worktree."""

ADDED = "added"
"""The journal of a start says so when Git is done, and the rest is still to do."""


class Experiment(NamedTuple):
    """An experiment `exp/NAME` in a worktree of its own.

    Attributes:
        main: the main working tree, which it comes home to.
        name: as its user calls it, as in `deeper-net` or `ada/deeper-net`.
    """

    main: Path
    name: str

    @property
    def branch(self) -> str:
        """The branch."""
        return f"exp/{self.name}"

    @property
    def folder(self) -> Path:
        """The worktree."""
        return self.main.parent / f"exp-{self.name.replace('/', '-')}"

    def go(self, command: str) -> str:
        """A command as typed in the experiment's folder."""
        return f"cd ../{self.folder.name} && {command}"

    def commit(self, reference: str) -> str | None:
        """The commit that a ref of main names; None when there is no such ref."""
        return git(self.main, f"rev-parse --verify --quiet {reference}")


def find_experiment(name: str) -> Experiment:
    """Check a name, and find the main working tree from anywhere in it or one of its worktrees.

    Raises:
        BadInput: a name that cannot be a branch and a folder; not in a project; no main working
            tree.
        Refused: the project has no commit yet.

    """
    root = paths.find_root()
    common = common_folder(root)
    prefix = git(root, "rev-parse --show-prefix")
    if prefix is None:
        raise BadInput(f"{root} is in no Git repository, which worktrees need", "make setup")
    is_bare = git(common, "rev-parse --is-bare-repository") == "true"
    experiment = Experiment(common if is_bare else common.parent, name)
    ref = f"refs/heads/{experiment.branch}"
    if not NAME.fullmatch(name) or git(root, "check-ref-format", ref) is None:
        allowed = "letters, digits, - _ . + and /, as in deeper-net or ada/deeper-net"
        raise BadInput(f"{name!r} cannot be the name of a branch and a folder", f"use {allowed}")
    if experiment.commit("HEAD") is None:
        problem = "the project has no commit yet to branch from"
        raise Refused(problem, 'git add --all && git commit -m "Start"')
    if prefix or is_bare:
        project = experiment.folder / prefix
        problem = f"{root} has no main working tree of its own, to which results come home"
        remedy = f"git worktree add {experiment.folder} -b {experiment.branch}"
        share = f"cp .dvc/config.local {project}/.dvc && cd {project}"
        raise BadInput(problem, f"{remedy} && {share} && dvc checkout --allow-missing")
    return experiment


def start(experiment: Experiment, shared_cache: str | None) -> None:
    """Make worktree and branch from main's HEAD, with every output of main linked from the cache.

    A failure removes what was made; after a kill, the same command undoes or completes it.

    Args:
        experiment: from `find_experiment`.
        shared_cache: the cache folder that is expected; None: main's.

    Raises:
        Refused: in a worktree; the folder or the branch exists; another cache; an object is
            nowhere.

    """
    main = experiment.main
    folder = experiment.folder
    if paths.find_root() != main.resolve():
        raise Refused(
            "an experiment starts from the main working tree, and this is another worktree",
            f"cd {main}",
        )
    _check_cache(main, shared_cache)
    journal = main / ".dvc/tmp/lineage" / f"{folder.name}.setup"
    with locked(main, folder.name):
        state = journal.read_text(encoding="utf-8") if journal.exists() else ""
        if state == ADDED:  # somebody may have worked in it since
            _fill(experiment)
        else:
            if state != ADDING:
                _check_free(experiment)
            _start_anew(experiment, journal)
        journal.unlink()
    say(f"{folder} is ready, on branch {experiment.branch}; cache: {cache_folder(main)}")
    done = f"./scripts/finish_worktree.sh {experiment.name}   # when it is done"
    say(f"  → {experiment.go('dvc repro')}\n  → {done}")


def _check_cache(main: Path, expected: str | None) -> None:
    cache = cache_folder(main)
    wanted = Path(expected or cache).expanduser().resolve()
    if wanted != cache.resolve():
        problem = f"main uses the cache {cache}; with {wanted} the experiment would share nothing"
        move = f"cp -rn {cache}/. {wanted} && dvc cache dir --local {wanted}"
        raise Refused(f"{problem} with it", f"{move}   # moves main; then try again")


def _check_free(experiment: Experiment) -> None:
    """Raise `Refused` where the folder or the branch exists."""
    folder = experiment.folder
    branch = experiment.branch
    if os.path.lexists(folder):
        raise Refused(f"{folder} exists already", f"cd ../{folder.name}   # or choose another name")
    if experiment.commit(f"refs/heads/{branch}"):
        raise Refused(
            f"the branch {branch} exists already",
            f"git branch -m {branch} {branch}-old   # or another name",
        )


def _start_anew(experiment: Experiment, journal: Path) -> None:
    """Make the worktree and fill it; whatever fails, nothing of it is left behind.

    What a start that was killed has made is made again, the branch without deleting it: a kill
    while Git deletes one leaves a lock by which it deletes no other.
    """
    write_text(journal, ADDING)
    erase(experiment)
    try:
        add_worktree(experiment.main, experiment.folder, "-B", experiment.branch, "HEAD")
        write_text(journal, ADDED)
        _fill(experiment)
    except BaseException:
        erase(experiment)
        git(experiment.main, f"branch -D {experiment.branch}")
        journal.unlink()
        raise


def _fill(experiment: Experiment) -> None:
    """Link main's environment, check every output out, and lock the worktree."""
    main = experiment.main
    folder = experiment.folder
    environment = main / ".venv"
    if environment.is_dir() and not (folder / ".venv").exists():
        (folder / ".venv").symlink_to(environment.resolve())
    fill_worktree(main, folder)
    git(main, "worktree lock --reason", f"{LOCK_REASON} {experiment.name}", str(folder))


def erase(experiment: Experiment) -> None:
    """Remove the folder, then Git's record of it; a kill between them leaves what can be erased.

    The branch stays.
    """
    main = experiment.main
    folder = experiment.folder
    trash = folder.with_name(f".{folder.name}.removed.tmp")
    os.chdir(main)  # this process may have been started in the folder that goes
    if folder.exists():
        folder.rename(trash)  # at once: half a folder would look like work that is not committed
    shutil.rmtree(trash, ignore_errors=True)
    remove_worktree(main, folder)
