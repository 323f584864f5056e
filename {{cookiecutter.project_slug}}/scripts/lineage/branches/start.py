"""Start an experiment in a Git worktree beside the main one: same cache, same credentials, every output present."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from lineage.branches.worktree import add_worktree, check_outputs, remove_worktree
from lineage.core import paths
from lineage.core.console import Say
from lineage.core.errors import BadInput, Refused
from lineage.tracked.cache import cache_folder
from lineage.tracked.dvc import run_dvc
from lineage.tracked.git import git
from lineage.tracked.guarded_output import locked
from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.remote import obtain, with_files
from lineage.tracked.whole_file import write_text

NAME = re.compile(r"\w[\w.+-]*(/\w[\w.+-]*)*")


LOCK_REASON = "an experiment is in it; bring it home with ./scripts/finish_worktree.sh"


@dataclass(frozen=True)
class Experiment:
    """An experiment `exp/NAME` in a worktree of its own, and the main working tree that it comes home to."""

    main: Path
    name: str

    @property
    def branch(self) -> str:
        return f"exp/{self.name}"

    @property
    def folder(self) -> Path:
        return self.main.parent / f"exp-{self.name.replace('/', '-')}"

    @property
    def base(self) -> str:
        """The ref that keeps the commit it began from."""
        return f"refs/lineage/{self.branch}"

    def go(self, command: str) -> str:
        """A command as typed in the experiment's folder."""
        return f"cd ../{self.folder.name} && {command}"


def find_experiment(name: str) -> Experiment:
    """Check a name and find the main working tree, from anywhere in the project or in one of its worktrees.

    Raises:
        BadInput: a name that cannot be a branch and a folder; not in a project; no main working tree.
        Refused: the project has no commit yet.
    """
    root = paths.find_root()
    listed = git(root, "worktree", "list", "--porcelain")
    if not listed or git(root, "rev-parse", "--show-prefix"):
        raise BadInput(
            f"{root} is not the top of a Git repository, which worktrees need", "make setup"
        )
    place, *facts = listed.split("\n\n", 1)[0].splitlines()
    main = Path(place.removeprefix("worktree "))
    if "bare" in facts:
        raise BadInput(
            f"{main} is a bare repository: it has no main working tree to bring results home to"
        )
    if not NAME.fullmatch(name) or git(root, "check-ref-format", "--branch", f"exp/{name}") is None:
        allowed = "letters, digits, - _ . + and /, as in deeper-net or ada/deeper-net"
        raise BadInput(f"{name!r} cannot be the name of a branch and a folder", f"use {allowed}")
    if git(main, "rev-parse", "--verify", "--quiet", "HEAD") is None:
        raise Refused(
            "the project has no commit yet to branch from", 'git add --all && git commit -m "Start"'
        )
    return Experiment(main, name)


def start(experiment: Experiment, shared_cache: str | None, say: Say) -> None:
    """Make worktree and branch from main's HEAD, with everything that main records linked from the cache.

    A failure removes what was made; after a kill, the same command undoes or completes it.

    Args:
        experiment: from `find_experiment`.
        shared_cache: the cache folder that is expected; None: main's.
        say: called with what was done.
    Raises:
        Refused: run in a worktree; the folder or the branch exists; another cache; an object is nowhere.
    """
    main, folder = experiment.main, experiment.folder
    if paths.find_root() != main.resolve():
        raise Refused(
            "an experiment starts from the main working tree, and this is another worktree",
            f"cd {main}",
        )
    cache = cache_folder(main)
    if shared_cache and (wanted := Path(shared_cache).expanduser().resolve()) != cache.resolve():
        remedy = f"cp -rn {cache}/. {wanted} && dvc cache dir --local {wanted}   # moves main; then try again"
        raise Refused(
            f"main uses the cache {cache}; with {wanted} the experiment would share nothing with it",
            remedy,
        )
    if git(main, "status", "--porcelain"):
        say(
            "note: what is not committed here stays here; the experiment starts from the last commit"
        )
    journal = main / ".dvc/tmp/lineage" / f"{folder.name}.setup"
    with locked(main, folder.name):
        found = journal.read_text(encoding="utf-8") if journal.exists() else ""
        if found == "adding":  # killed before Git was done
            erase(experiment)
        if found != "added":
            _refuse_existing(experiment)
            for md5 in with_files(main, recorded_outputs(main, "HEAD").values()):
                obtain(main, md5)
            write_text(journal, "adding")
        try:
            if found != "added":
                git(main, "update-ref", experiment.base, "HEAD")
                add_worktree(main, folder, "-b", experiment.branch, experiment.base)
                write_text(journal, "added")
            if (main / ".venv").is_dir() and not (folder / ".venv").exists():
                (folder / ".venv").symlink_to((main / ".venv").resolve())
            check_outputs(folder, run_dvc(folder, "checkout").stderr)
            git(
                main,
                "worktree",
                "lock",
                "--reason",
                f"{LOCK_REASON} {experiment.name}",
                str(folder),
            )
        except BaseException:
            if found != "added":
                erase(experiment)
                journal.unlink(missing_ok=True)
            raise
        journal.unlink()
    say(f"{folder} is ready, on branch {experiment.branch}; cache: {cache}")
    say(
        f"  → {experiment.go('dvc repro')}\n  → ./scripts/finish_worktree.sh {experiment.name}   # when it is done"
    )


def _refuse_existing(experiment: Experiment) -> None:
    main, folder, branch = experiment.main, experiment.folder, experiment.branch
    if folder.exists() or folder.is_symlink():
        raise Refused(f"{folder} exists already", f"cd ../{folder.name}   # or choose another name")
    if git(main, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}") is not None:
        raise Refused(
            f"the branch {branch} exists already",
            f"git branch -m {branch} {branch}-old   # or another name",
        )


def erase(experiment: Experiment) -> bool:
    """Remove folder, then Git's record of it, then the branch: a kill between any two leaves a state that finishes again.

    Returns:
        whether the branch was there and could be deleted.
    """
    main, folder = experiment.main, experiment.folder
    trash = folder.with_name(f".{folder.name}.removed.tmp")
    os.chdir(main)  # this process may have been started in the folder that goes
    if folder.exists():
        folder.rename(trash)  # at once: half a folder would look like work that is not committed
    shutil.rmtree(trash, ignore_errors=True)
    remove_worktree(main, folder)
    git(main, "update-ref", "-d", experiment.base)
    return git(main, "branch", "-D", experiment.branch) is not None
