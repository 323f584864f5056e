"""The steps of `make setup`, and of a fresh bake. Each can be run again, and keeps what it finds.

Nothing but the standard library is imported at the top: the Python that bakes may have no DVC.
"""

import re
import shlex
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from lineage.core.check_result import Step, done, failed, skipped
from lineage.core.errors import LineageError, Refused, not_installed
from lineage.setup.check_remote import check_remote, make_remote
from lineage.setup.secrets import find_secrets
from lineage.setup.shared_cache import make_cache, pyproject
from lineage.tracked.cache import cached_object, store
from lineage.tracked.git import git, must_git, run
from lineage.tracked.hashes import path_md5
from lineage.tracked.ignored import check_seen

FIRST_COMMIT = "Start from cookiecutter-lineage"
NOT_TOP = "the project is not the top of its Git repository"
MERGE_DRIVER = 'PATH="$PWD/.venv/bin:$PATH" python scripts/git_merge_driver.py %O %A %B %P'
"""What `merge=dvc` in .gitattributes means to Git."""


def run_setup(
    root: Path, first: bool, cache_dir: str | None, profile: str | None, author: str
) -> Iterator[Step]:
    """Run the steps in order. No step raises.

    Args:
        root: the project's root.
        first: freshly baked: no network, no hooks, one first commit.
        cache_dir: folder of the shared cache; None: what pyproject.toml says.
        profile: AWS profile for the S3 remote; None: leave as it is.
        author: `Name <mail>` for the first commit when Git knows nobody.

    Yields:
        one result per step, as soon as it is there.
    """
    steps: dict[str, Callable[[Path], Step]] = {
        "git": _git,
        "secrets": check_secrets,
        "cache": partial(make_cache, answer=cache_dir),
        "remote": make_remote if first else partial(check_remote, profile=profile),
        "data": _data,
        "hooks": _hooks,
        "commit": partial(_commit, author=author),
        "tracked": check_seen,
        "pull": partial(_pull, profile=profile),
    }
    if first:
        del steps["hooks"], steps["pull"]
    for name, step in steps.items():
        result = run_step(name, step, root)
        yield result
        if result.failed and (name == "secrets" or result.text.startswith("fatal: ")):
            return  # the first commit would take it in; or no step works, since Git does not


def run_step(name: str, step: Callable[[Path], Step], root: Path) -> Step:
    """Run one step; whatever it raises becomes a result with the command that helps."""
    try:
        return step(root)
    except ModuleNotFoundError as missing:
        return skipped(name, not_installed(missing).problem, "make setup   # installs it")
    except Exception as error:
        if not isinstance(error, LineageError):  # a broken configuration, say, breaks DVC too
            error = Refused(f"{type(error).__name__}: {error}")
        return failed(name, " ".join(error.problem.split()), error.remedy or "make setup")


def check_secrets(root: Path) -> Step:
    """Look for a secret in the committed configuration."""
    if found := find_secrets(root / ".dvc/config"):
        raise Refused(
            f".dvc/config is committed and holds a secret: {', '.join(found)}",
            f"dvc config --local {found[0]} VALUE   # and take it out of .dvc/config;"
            " was it ever pushed? ask for a new one",
        )
    return done("secrets", "none in .dvc/config")


def repository_top(root: Path) -> Path | None:
    """Find the top of the Git work tree that `root` is in; None outside Git, or without Git."""
    top = git(root, "rev-parse --show-toplevel")
    return None if top is None else Path(top).resolve()


def is_repository(root: Path) -> bool:
    """Tell whether the project is the top of its Git repository, and no folder of a larger one."""
    return repository_top(root) == root.resolve()


def _git(root: Path) -> Step:
    if git(root, "version") is None:
        raise Refused("git is not installed", "install git, then: make setup")
    top = repository_top(root)
    if top == root.resolve():
        return done("git", "repository is there")
    if top and git(root, "check-ignore --quiet .") is None:
        text = f"inside the repository {top}: nothing initialised"
        here = f"git -C {shlex.quote(str(root))}"  # from wherever the project was baked
        return skipped("git", text, f'{here} add . && {here} commit -m "…"')
    must_git(root, "init --quiet")
    must_git(root, "symbolic-ref HEAD refs/heads/main")  # --initial-branch is newer
    return done("git", "repository initialised, branch main")


def _data(root: Path) -> Step:
    """Put tracked data that lies in the workspace, as it was recorded, into the cache."""
    from lineage.tracked.recorded import recorded_outputs

    if repository_top(root) is None:
        return skipped("data", "not put into the cache: there is no Git repository", "make setup")
    stored: list[str] = []
    changed: list[str] = []
    for name, md5 in recorded_outputs(root).items():
        path = root / name
        is_data = path.exists() and (root / f"{name}.dvc").exists()
        if not is_data or cached_object(root, md5):
            continue
        if path_md5(path) == md5:
            store(root, path)
            stored.append(name)
        else:
            changed.append(name)
    if changed:
        return skipped(
            "data",
            f"changed since it was recorded: {', '.join(changed)}",
            "dvc repro   # records it",
        )
    names = ", ".join(stored)
    return done("data", f"put into the cache: {names}" if stored else "nothing new for the cache")


def _hooks(root: Path) -> Step:
    if not is_repository(root):
        return skipped("hooks", NOT_TOP)
    must_git(root, "config merge.dvc.driver", MERGE_DRIVER)
    if elsewhere := git(root, "config --show-scope --show-origin core.hooksPath"):
        scope, origin, folder = elsewhere.split("\t")
        return skipped(
            "hooks",
            f"Git runs those of {folder} only: core.hooksPath is set ({origin})",
            f"git config --{scope} --unset-all core.hooksPath && make setup",
        )
    result = run(root, sys.executable, "-m", "pre_commit", "install")
    if result.returncode:
        said = result.stderr or result.stdout
        raise Refused(said.splitlines()[0], "pre-commit install")
    names = re.findall(r"installed at .*/([a-z-]+)$", result.stdout, re.MULTILINE)
    return done("hooks", f"{', '.join(names)}; git merge knows dvc.lock")


def _commit(root: Path, author: str) -> Step:
    if not is_repository(root):
        return skipped("commit", NOT_TOP)
    if git(root, "rev-parse --verify --quiet HEAD"):
        return done("commit", "the repository has commits")
    identity: list[str] = []
    if not git(root, "config user.email"):  # the environment, if it names somebody, wins
        if not author:
            known = pyproject(root)["project"]["authors"][0]
            author = f"{known['name']} <{known['email']}>"
        name, _, mail = author.rstrip(">").rpartition(" <")
        identity = ["-c", f"user.name={name}", "-c", f"user.email={mail}"]
    remedy = f'git add --all && git commit -m "{FIRST_COMMIT}"'
    must_git(root, "add --all", remedy=remedy)
    commit = ("commit", "--quiet", "--no-verify", "--message", FIRST_COMMIT)
    must_git(root, *identity, *commit, remedy=remedy)
    text = "first commit made as " + must_git(root, "log", "--format=%cn <%ce>")
    if identity and text.endswith(author):
        text += " (Git knows nobody yet: git config --global user.name …)"
    return done("commit", text)


def _pull(root: Path, profile: str | None) -> Step:
    from lineage.tracked.dvc import run_dvc
    from lineage.tracked.remote import missing_in_remote, open_remote, with_files

    lacking = _not_in_workspace(root)
    if not lacking:
        return done("pull", "everything recorded is here")
    remote = run_step("remote", partial(check_remote, profile=profile), root)
    names = ", ".join(lacking)
    if remote.failed:  # DVC would try for minutes
        problem = f"not tried, still missing: {names}"
        return skipped("pull", problem, "make setup   # when it answers")
    from lineage.core.console import progress

    with progress("fetching data, models and results"):
        run_dvc(root, "pull")
    if absent := _not_in_workspace(root):
        raise Refused(
            f"not in the remote: {', '.join(absent)}",
            "dvc push   # where they were made; then here: make setup",
        )
    fetched = f"fetched {len(lacking)}: {names}"
    hashes = with_files(root, lacking.values())
    if unsent := missing_in_remote(root, open_remote(root), hashes):
        problem = f"{fetched}; {len(unsent)} objects came from this machine's cache"
        return skipped("pull", f"{problem}, and the remote lacks them", "dvc push")
    return done("pull", fetched)


def _not_in_workspace(root: Path) -> dict[str, str]:
    """Map the recorded outputs that are not here to their hashes."""
    from lineage.tracked.recorded import recorded_outputs

    recorded = sorted(recorded_outputs(root).items())
    return {path: md5 for path, md5 in recorded if not (root / path).exists()}
