"""The steps of `make setup`, and of a fresh bake. Each can be run again, and keeps what it finds.

Nothing but the standard library is imported at the top: the Python that bakes may have no DVC.
"""

import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lineage.core.check_result import Step, done, failed, skipped
from lineage.core.errors import LineageError, Refused
from lineage.setup.remote import check_remote, dvc_config, make_folder, make_remote
from lineage.setup.secrets import REMEDY, find_secrets
from lineage.tracked.cache import cached_object, object_path, store_object
from lineage.tracked.git import git, must_git, run
from lineage.tracked.hashes import folder_manifest, path_md5, write_listing
from lineage.tracked.whole_file import write_text

HOOK_TYPES = ("pre-commit", "pre-push", "post-checkout", "post-merge")
FIRST_COMMIT = "Start from the experiment template"
MERGE_DRIVER = 'PATH="$PWD/.venv/bin:$PATH" python scripts/git_merge_driver.py %O %A %B %P'
"""What `merge=dvc` in .gitattributes means to Git."""


@dataclass(frozen=True)
class Setup:
    """What to set up.

    Attributes:
        root: the project's root.
        first: freshly baked: no network, no hooks, one first commit.
        cache_dir: folder of the shared cache; None: what pyproject.toml says.
        profile: AWS profile for the S3 remote; None: leave as it is.
        author: `Name <mail>` for the first commit when Git knows nobody.
    """

    root: Path
    first: bool = False
    cache_dir: str | None = None
    profile: str | None = None
    author: str = ""


def run_setup(setup: Setup) -> Iterator[Step]:
    """Run the steps in order. No step raises.

    Args:
        setup: what to set up.

    Yields:
        one result per step, as soon as it is there.
    """
    steps = FIRST if setup.first else AGAIN
    for name, step in steps.items():
        result = run_step(name, partial(step, setup))
        yield result
        if name == "secrets" and result.failed:
            return  # the first commit would take it in


def run_step(name: str, step: Callable[[], Step]) -> Step:
    """Run one step; whatever it raises becomes a result with the command that helps."""
    try:
        return step()
    except LineageError as error:
        return failed(name, " ".join(error.problem.split()), error.remedy or "make setup")
    except ModuleNotFoundError as error:
        problem = f"{error.name} is not installed in the Python that runs this"
        return skipped(name, problem, "make setup   # installs it")
    except Exception as error:  # a broken configuration, say, breaks DVC too
        problem = f"{type(error).__name__}: {error}"
        return failed(name, " ".join(problem.split()), "make setup")


def repository_top(root: Path) -> Path | None:
    """Find the top of the Git work tree that `root` is in; None outside Git, or without Git."""
    top = git(root, "rev-parse", "--show-toplevel")
    return None if top is None else Path(top).resolve()


def is_own_repository(root: Path) -> bool:
    """Tell whether the project is the top of its Git repository."""
    return repository_top(root) == root.resolve()


def link_types() -> str:
    """Say how tracked files are linked to the cache: without duplicates, where that is safe.

    DVC makes hard links read-only, which does not keep root from writing through one.
    """
    return "reflink,copy" if os.geteuid() == 0 else "reflink,hardlink,copy"


def check_secrets(root: Path) -> Step:
    """Look for a secret in the committed configuration."""
    found = find_secrets(root / ".dvc/config")
    if found:
        problem = f".dvc/config is committed and holds a secret: {', '.join(found)}"
        raise Refused(problem, REMEDY.format(option=found[0], path=".dvc/config"))
    return done("secrets", "none in .dvc/config")


def _git(setup: Setup) -> Step:
    if git(setup.root, "version") is None:
        raise Refused("git is not installed", "install git, then: make setup")
    if is_own_repository(setup.root):
        return done("git", "repository is there")
    top = repository_top(setup.root)
    if top is not None and git(setup.root, "check-ignore", "--quiet", ".") is None:
        remedy = f"git add {setup.root.name} && git commit"
        return skipped("git", f"inside the repository {top}: nothing initialised", remedy)
    must_git(setup.root, "init", "--quiet")
    must_git(setup.root, "symbolic-ref", "HEAD", "refs/heads/main")  # --initial-branch is newer
    return done("git", "repository initialised, branch main")


def _cache(setup: Setup) -> Step:
    """Make the shared cache, and name it in `.dvc/config.local`; what is set there stays."""
    local = setup.root / ".dvc/config.local"
    known = dvc_config(setup.root).load_one("local")["cache"] if local.exists() else {}
    answer = Path(setup.cache_dir or _configured_cache(setup.root)).expanduser()
    wanted = {"dir": os.path.normpath(setup.root / answer), "type": link_types()} | known
    folder = wanted["dir"]
    remedy = "dvc cache dir --local FOLDER && make setup"
    make_folder(folder, remedy)
    if not os.access(folder, os.W_OK):
        raise Refused(f"{folder} is not writable", remedy)
    if not local.exists():
        options = [f"    {name} = {quoted(value)}\n" for name, value in wanted.items()]
        write_text(local, "".join(["[cache]\n", *options]))
    elif known != wanted:
        with dvc_config(setup.root).edit("local") as config:
            config["cache"] = wanted
    return done("cache", f"{folder} (shared; set in .dvc/config.local)")


def quoted(value: str) -> str:
    """Quote a value of a DVC configuration file as DVC does, so that no DVC is needed for it."""
    if not re.search(r"[,#]|^[\s\"']|[\s\"']$", value):
        return value
    quote = next(quote for quote in ('"', "'", "'''") if quote not in value)
    return f"{quote}{value}{quote}"


def _configured_cache(root: Path) -> str:
    """Read `shared_cache_dir` of [tool.lineage], a line of its own: Python 3.10 reads no TOML."""
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^shared_cache_dir = "(.*)"$', text, re.MULTILINE)
    answer = found[1] if found else "~/.dvc/shared-cache"
    return answer.replace('\\"', '"').replace("\\\\", "\\")


def _data(setup: Setup) -> Step:
    """Put tracked data that lies in the workspace, as it was recorded, into the cache."""
    from lineage.tracked.recorded import recorded_outputs

    root = setup.root
    if repository_top(root) is None:
        return skipped("data", "not put into the cache: there is no Git repository", "make setup")
    recorded = recorded_outputs(root)
    present = [path for path in recorded if (root / path).exists()]
    tracked = [path for path in present if (root / f"{path}.dvc").exists()]
    new = [path for path in tracked if cached_object(root, recorded[path]) is None]
    changed = [path for path in new if path_md5(root / path) != recorded[path]]
    if changed:
        problem = f"changed since it was recorded: {', '.join(changed)}"
        return skipped("data", problem, "dvc repro   # records it")
    for path in new:
        _store(root, root / path, recorded[path])
    if new:
        return done("data", f"put into the cache: {', '.join(new)}")
    return done("data", "nothing new for the cache")


def _store(root: Path, path: Path, md5: str) -> None:
    """Copy a file, or the files of a folder and its listing, into the cache."""
    if path.is_file():
        store_object(root, path, md5)
        return
    manifest = folder_manifest(path)
    for name, file_md5 in manifest.items():
        store_object(root, path / name, file_md5)
    listing = object_path(root, md5)
    write_text(listing, write_listing(manifest))
    listing.chmod(0o444)


def _hooks(setup: Setup) -> Step:
    if not is_own_repository(setup.root):
        return skipped("hooks", "the project is not the top of its Git repository")
    must_git(setup.root, "config", "merge.dvc.driver", MERGE_DRIVER)
    types = [f"--hook-type={kind}" for kind in HOOK_TYPES]
    result = run(setup.root, sys.executable, "-m", "pre_commit", "install", *types)
    if result.returncode != 0:
        reason = (result.stderr or result.stdout).strip().splitlines()[-1:]
        raise Refused(" ".join(reason), f"pre-commit install {' '.join(types)}")
    return done("hooks", f"{', '.join(HOOK_TYPES)}; git merge knows dvc.lock")


def _commit(setup: Setup) -> Step:
    root = setup.root
    if not is_own_repository(root):
        return skipped("commit", "not a repository of its own")
    if git(root, "rev-parse", "--verify", "--quiet", "HEAD") is not None:
        return done("commit", "the repository has commits")
    identity: list[str] = []
    text = "first commit made"
    if "GIT_AUTHOR_EMAIL" not in os.environ and git(root, "config", "user.email") is None:
        author = setup.author or _configured_author(root)
        name, _, mail = author.rpartition(" <")
        identity = ["-c", f"user.name={name}", "-c", f"user.email={mail.rstrip('>')}"]
        text += f" as {author} (Git knows nobody yet: git config --global user.name …)"
    remedy = f'git add --all && git commit -m "{FIRST_COMMIT}"'
    must_git(root, "add", "--all", remedy=remedy)
    commit = ("commit", "--quiet", "--no-verify", "--message", FIRST_COMMIT)
    must_git(root, *identity, *commit, remedy=remedy)
    return done("commit", text)


def _configured_author(root: Path) -> str:
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^authors = \[\{ name = "(.*)", email = "(.*)" \}\]$', text, re.MULTILINE)
    return f"{found[1]} <{found[2]}>" if found else "experimenter <experimenter@localhost>"


def _pull(setup: Setup) -> Step:
    from lineage.tracked.dvc import run_dvc

    lacking = _not_in_workspace(setup.root)
    if not lacking:
        return done("pull", "everything recorded is here")
    if run_step("remote", partial(check_remote, setup.root)).failed:  # DVC would try for minutes
        problem = f"not tried, still missing: {', '.join(lacking)}"
        return skipped("pull", problem, "make setup   # when it answers")
    run_dvc(setup.root, "pull")
    absent = _not_in_workspace(setup.root)
    if absent:
        remedy = "dvc push   # where they were made; then here: make setup"
        raise Refused(f"not in the remote: {', '.join(absent)}", remedy)
    return done("pull", f"fetched {len(lacking)}: {', '.join(lacking)}")


def _not_in_workspace(root: Path) -> list[str]:
    from lineage.tracked.recorded import recorded_outputs

    return sorted(path for path in recorded_outputs(root) if not (root / path).exists())


Steps = dict[str, Callable[[Setup], Step]]

FIRST: Steps = {
    "git": _git,
    "secrets": lambda setup: check_secrets(setup.root),
    "cache": _cache,
    "remote": lambda setup: make_remote(setup.root),
    "data": _data,
    "commit": _commit,
}
"""The steps of a fresh bake: without network, DVC or an environment."""

AGAIN: Steps = {
    "git": _git,
    "secrets": lambda setup: check_secrets(setup.root),
    "cache": _cache,
    "remote": lambda setup: check_remote(setup.root, setup.profile),
    "data": _data,
    "hooks": _hooks,
    "commit": _commit,
    "pull": _pull,
}
"""The steps of `make setup`."""
