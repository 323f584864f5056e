"""Start an experiment in a Git worktree beside the main one: same cache, same credentials, every output present."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, CompletedProcess

from lineage import layout
from lineage.accumulate import locked, same_bytes
from lineage.errors import BadInput, Refused
from lineage.objects import listing, obtain, with_files
from lineage.records import cache_folder, cached_object, recorded_outputs
from lineage.report import write_text
from lineage.repository import git
from lineage.steps import run

Say = Callable[[str], None]
NAME = re.compile(r"\w[\w.+-]*(/\w[\w.+-]*)*")
WAITS = (1, 2, 4, 8, 16)
"""Seconds between tries when another DVC command holds the lock of a working tree; DVC itself gives up after three."""

BUSY = ("Unable to acquire lock", "is busy, it is being blocked by")
TORN = "Unable to read RWLock-file"
"""DVC's list of who reads and writes, left half written by a process that was killed; DVC does not mend it."""

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
    root = layout.find_root()
    listed = git(root, "worktree", "list", "--porcelain")
    if not listed or git(root, "rev-parse", "--show-prefix"):
        raise BadInput(f"{root} is not the top of a Git repository, which worktrees need", "make setup")
    first = listed.split("\n\n", 1)[0].splitlines()
    main = Path(first[0].removeprefix("worktree "))
    if "bare" in first:
        raise BadInput(f"{main} is a bare repository: it has no main working tree to bring results home to")
    if not NAME.fullmatch(name) or git(root, "check-ref-format", "--branch", f"exp/{name}") is None:
        allowed = "letters, digits, - _ . + and /, as in deeper-net or ada/deeper-net"
        raise BadInput(f"{name!r} cannot be the name of a branch and a folder", f"use {allowed}")
    if git(main, "rev-parse", "--verify", "--quiet", "HEAD") is None:
        raise Refused(
            "the project has no commit yet, so there is nothing to branch from",
            'git add --all && git commit -m "Start"',
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
    if layout.find_root() != main.resolve():
        raise Refused("an experiment starts from the main working tree, and this is another worktree", f"cd {main}")
    cache = _check_cache(main, shared_cache)
    if git(main, "status", "--porcelain"):
        say("note: what is not committed here stays here; the experiment starts from the last commit")
    journal = main / ".dvc/tmp/lineage" / f"{folder.name}.setup"
    with locked(main, folder.name):
        found = journal.read_text(encoding="utf-8") if journal.exists() else ""
        if found == "adding":  # killed before Git was done
            _undo(experiment)
        if found != "added":
            _refuse_existing(experiment)
            for md5 in with_files(main, recorded_outputs(main, "HEAD").values()):
                obtain(main, md5)
            write_text(journal, "adding")
        try:
            if found != "added":
                _add(experiment)
                write_text(journal, "added")
            _share_configuration(main, folder, cache)
            if (main / ".venv").is_dir() and not (folder / ".venv").exists():
                (folder / ".venv").symlink_to((main / ".venv").resolve())
            done = run_dvc(folder, "checkout")
            _check_outputs(folder, done.stderr)
            git(main, "worktree", "lock", "--reason", f"{LOCK_REASON} {experiment.name}", str(folder))
        except BaseException:
            if found != "added":
                _undo(experiment)
                journal.unlink(missing_ok=True)
            raise
        journal.unlink()
    say(f"{folder} is ready, on branch {experiment.branch}; cache: {cache}")
    say(f"  → {experiment.go('dvc repro')}\n  → ./scripts/finish_worktree.sh {experiment.name}   # when it is done")


def run_dvc(root: Path, *arguments: str, show: bool = False) -> CompletedProcess[str]:
    """Run dvc in a working tree; while another DVC command holds its lock, wait and try again.

    Args:
        root: the working tree.
        arguments: of dvc.
        show: let the user see what it prints; else the result holds all of it.
    """
    command = [sys.executable, "-m", "dvc", *arguments]
    for wait in (*WAITS, None):
        done = subprocess.run(
            command, cwd=root, stdout=None if show else PIPE, stderr=PIPE, text=True, check=False, stdin=DEVNULL
        )
        if wait is None or not any(words in done.stderr for words in (*BUSY, TORN)):
            break
        if TORN in done.stderr:
            (root / ".dvc/tmp/rwlock").unlink(missing_ok=True)
        else:
            time.sleep(wait)
    if show:
        print(done.stderr, file=sys.stderr, end="", flush=True)
    return done


def _check_cache(main: Path, shared_cache: str | None) -> Path:
    cache = cache_folder(main)
    wanted = Path(shared_cache).expanduser().resolve() if shared_cache else cache.resolve()
    if wanted != cache.resolve():
        remedy = f"cp -rn {cache}/. {wanted} && dvc cache dir --local {wanted}   # moves main; then try again"
        raise Refused(f"main uses the cache {cache}; with {wanted} the experiment would share nothing with it", remedy)
    return cache


def _refuse_existing(experiment: Experiment) -> None:
    main, folder, branch = experiment.main, experiment.folder, experiment.branch
    if folder.exists() or folder.is_symlink():
        raise Refused(f"{folder} exists already", f"cd ../{folder.name}   # or choose another name")
    if git(main, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}") is not None:
        raise Refused(f"the branch {branch} exists already", f"git branch -m {branch} {branch}-old   # or another name")


def _add(experiment: Experiment) -> None:
    git(experiment.main, "update-ref", experiment.base, "HEAD")
    hooks_off = "core.hooksPath=/dev/null"  # post-checkout would look for data before the cache is known
    command = ("worktree", "add", "--quiet", "-b", experiment.branch, str(experiment.folder), experiment.base)
    done = run(experiment.main, "git", "-c", hooks_off, *command)
    if done.returncode != 0:
        raise Refused(f"git worktree add: {' '.join(done.stderr.split())}", "choose another name")


def _share_configuration(main: Path, folder: Path, cache: Path) -> None:
    """Give a worktree main's local DVC configuration; what is relative in it keeps its place."""
    from dvc.config import Config

    local = main / ".dvc/config.local"
    if local.exists():
        shutil.copy(local, folder / ".dvc/config.local")  # with its mode: it may hold credentials
    ours, config = Config(dvc_dir=str(main / ".dvc")), Config(dvc_dir=str(folder / ".dvc"))
    with config.edit("local") as edited:
        edited.update(ours.load_one("local"))
        edited["cache"]["dir"] = str(cache)
        for name, settings in ours["remote"].items():
            if config["remote"].get(name, {}).get("url") != settings["url"]:
                edited["remote"].setdefault(name, {})["url"] = str(settings["url"])


def _check_outputs(folder: Path, reason: str) -> None:
    """Raise unless every recorded file is there, and is its object or has its hash."""
    for path, md5 in recorded_outputs(folder).items():
        files = listing(folder, md5) if md5.endswith(".dir") else {"": md5}
        for place, known in ((folder / path / name, cached_object(folder, file)) for name, file in files.items()):
            if known is None or not place.is_file() or not (place.samefile(known) or same_bytes(place, known)):
                raise Refused(f"{path} is not as dvc.lock records it: {' '.join(reason.split())[-300:]}", "make doctor")


def _undo(experiment: Experiment) -> None:
    """Remove folder, administrative folder and branch that a setup made and did not complete."""
    folder = experiment.folder
    common = git(experiment.main, "rev-parse", "--path-format=absolute", "--git-common-dir") or ""
    for pointer in Path(common, "worktrees").glob("*/gitdir"):
        if pointer.read_text(encoding="utf-8").strip() == str(folder / ".git"):
            shutil.rmtree(pointer.parent)
    shutil.rmtree(folder, ignore_errors=True)
    git(experiment.main, "branch", "-D", experiment.branch)
    git(experiment.main, "update-ref", "-d", experiment.base)
