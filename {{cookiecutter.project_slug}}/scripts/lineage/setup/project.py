"""The steps of `setup_project.py`. Each is idempotent and ends as done, skipped or failed with the command that helps.

Nothing but the standard library is imported at the top; DVC is used where the interpreter has it.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lineage.core.check_result import Step, done, failed, skipped
from lineage.tracked.git import run

LINK_TYPES = "reflink,hardlink,copy"
"""No duplicates where the file system can share blocks or names; DVC makes hard links read-only."""

HOOK_TYPES = ("pre-commit", "pre-push", "post-checkout", "post-merge")
FIRST_COMMIT = "Start from the experiment template"
MERGE_DRIVER = 'PATH="$PWD/.venv/bin:$PATH" python scripts/git_merge_driver.py %O %A %B %P'  # what merge=dvc means to Git


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
    first: bool
    cache_dir: str | None
    profile: str | None
    author: str


def run_setup(setup: Setup) -> Iterator[Step]:
    """Run the steps in order.

    Args:
        setup: what to set up.
    Yields:
        one result per step, as soon as it is there. No step raises.
    """
    steps: list[tuple[str, Callable[[Setup], Step]]] = [("git", _git), ("secrets", check_secrets)]
    if importlib.util.find_spec("dvc") is None:
        absent = skipped(
            "dvc",
            "DVC is not installed in the interpreter that runs this",
            "make setup   # installs it",
        )
        steps += [("dvc", lambda _: absent), ("commit", _commit)]
    else:
        steps += [("cache", _cache), ("remote", check_remote), ("data", _data)]
        steps += (
            [("commit", _commit)]
            if setup.first
            else [("hooks", _hooks), ("commit", _commit), ("pull", _pull)]
        )
    for name, step in steps:
        try:
            ended = step(setup)
        except Exception as error:
            ended = failed(
                name, f"{type(error).__name__}: {' '.join(str(error).split())}", "make setup"
            )
        yield ended
        if name == "secrets" and ended.failed:
            return  # the first commit would take it in


def repository_top(root: Path) -> Path | None:
    """The top of the Git work tree that `root` is in, or None (also without Git)."""
    result = run(root, "git", "rev-parse", "--show-toplevel") if shutil.which("git") else None
    return Path(result.stdout.strip()).resolve() if result and result.returncode == 0 else None


def _git(setup: Setup) -> Step:
    if shutil.which("git") is None:
        return failed("git", "git is not installed", "install git, then: make setup")
    top = repository_top(setup.root)
    if top == setup.root.resolve():
        return done("git", "repository is there")
    if top is not None and run(setup.root, "git", "check-ignore", "--quiet", ".").returncode != 0:
        remedy = f"git add {setup.root.name} && git commit"
        return skipped("git", f"inside the repository {top}: nothing initialised", remedy)
    run(setup.root, "git", "init", "--quiet")
    run(
        setup.root, "git", "symbolic-ref", "HEAD", "refs/heads/main"
    )  # --initial-branch needs git 2.28
    return done("git", "repository initialised, branch main")


def check_secrets(setup: Setup) -> Step:
    """Look for a secret in the committed configuration."""
    from lineage.setup.secrets import REMEDY, find_secrets

    if found := find_secrets(setup.root / ".dvc" / "config"):
        text = f".dvc/config is committed and holds a secret: {', '.join(found)}"
        return failed("secrets", text, REMEDY.format(option=found[0], path=".dvc/config"))
    return done("secrets", "none in .dvc/config")


def dvc_config(root: Path) -> Any:
    """DVC's configuration of a project, all levels of it."""
    from dvc.config import Config

    return Config(dvc_dir=str(root / ".dvc"))


def _cache(setup: Setup) -> Step:
    config = dvc_config(setup.root)
    local = config.load_one("local").get("cache", {})
    folder = Path(local.get("dir") or setup.cache_dir or _configured_cache(setup.root)).expanduser()
    folder = folder if folder.is_absolute() else (setup.root / folder).resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return failed(
            "cache", f"{folder}: {error.strerror}", "dvc cache dir --local FOLDER && make setup"
        )
    if not os.access(folder, os.W_OK):
        return failed(
            "cache", f"{folder} is not writable", "dvc cache dir --local FOLDER && make setup"
        )
    with config.edit("local") as edited:
        edited.setdefault("cache", {}).setdefault("dir", str(folder))
        edited["cache"].setdefault("type", LINK_TYPES)
    return done("cache", f"{folder} (shared; set in .dvc/config.local)")


def _configured_cache(root: Path) -> str:
    """`shared_cache_dir` of `[tool.lineage]` in pyproject.toml (a literal on one line; Python 3.10 has no TOML parser)."""
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^shared_cache_dir = "(.*)"$', text, re.MULTILINE)
    return (
        found.group(1).replace('\\"', '"').replace("\\\\", "\\") if found else "~/.dvc/shared-cache"
    )


def check_remote(setup: Setup) -> Step:
    """Ask an S3 remote for an object; make a missing folder."""
    config = dvc_config(setup.root)
    if (name := config["core"].get("remote")) is None:
        return skipped(
            "remote",
            "none configured: nothing leaves this machine",
            "dvc remote add --default storage URL",
        )
    if (settings := config["remote"].get(name)) is None:
        return failed(
            "remote", f"{name} is the default but has no URL", f"dvc remote add {name} URL"
        )
    url = settings["url"]
    if url.startswith("s3://"):
        if setup.first:
            return done("remote", f"{url} (credentials are checked by make setup)")
        from lineage.setup.s3 import check_s3

        if problem := check_s3(
            name, {**settings, "profile": setup.profile or settings.get("profile")}
        ):
            return failed("remote", *problem)
        if setup.profile:  # kept only when it works
            with config.edit("local") as edited:
                edited.setdefault("remote", {}).setdefault(name, {})["profile"] = setup.profile
        return done("remote", f"{url} answers, credentials fit")
    if setup.profile:
        return failed(
            "remote", f"an AWS profile does not fit {url}", "make setup   # without PROFILE"
        )
    if "://" in url:
        return done("remote", f"{url} (not checked)")
    if (
        not Path(url).exists() and not (setup.root / "data/incoming").exists()
    ):  # a clone, which brought no data along
        remedy = f"dvc remote modify --local {name} url FOLDER && make setup"
        return failed("remote", f"{url} does not exist here", remedy)
    try:
        Path(url).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return failed(
            "remote",
            f"{url}: {error.strerror}",
            f"dvc remote modify {name} url FOLDER && make setup",
        )
    return done("remote", f"{url} (a folder)")


def _data(setup: Setup) -> Step:
    """Put tracked data that lies in the workspace, unchanged, into the cache."""
    from dvc.repo import Repo

    with Repo(str(setup.root)) as repo:
        sources = [stage.outs[0] for stage in repo.index.stages if stage.is_data_source]
        outs = {os.path.relpath(out.fs_path, setup.root): out for out in sources}
        missing = [name for name, out in outs.items() if not out.exists]
        changed = [name for name, out in outs.items() if out.exists and out.changed_checksum()]
        stored = [
            name
            for name, out in outs.items()
            if name not in {*missing, *changed} and out.changed_cache()
        ]
        for name in stored:
            repo.commit(outs[name].stage.addressing, force=True)
    if changed:
        return skipped(
            "data",
            f"changed since it was recorded: {', '.join(changed)}",
            "dvc repro   # records it",
        )
    if missing:
        return done("data", f"not here yet: {', '.join(missing)}")
    return done("data", f"put into the cache: {', '.join(stored)}" if stored else "in the cache")


def _hooks(setup: Setup) -> Step:
    if repository_top(setup.root) != setup.root.resolve():
        return skipped("hooks", "the project is not the top of its Git repository")
    run(setup.root, "git", "config", "merge.dvc.driver", MERGE_DRIVER)
    types = [word for kind in HOOK_TYPES for word in ("--hook-type", kind)]
    result = run(setup.root, sys.executable, "-m", "pre_commit", "install", *types)
    if result.returncode != 0:
        reason = (result.stderr or result.stdout).strip().splitlines()[-1:]
        return failed("hooks", " ".join(reason), f"pre-commit install {' '.join(types)}")
    return done("hooks", f"{', '.join(HOOK_TYPES)}; git merge knows dvc.lock")


def _commit(setup: Setup) -> Step:
    if repository_top(setup.root) != setup.root.resolve():
        return skipped("commit", "not a repository of its own")
    if run(setup.root, "git", "rev-parse", "--verify", "--quiet", "HEAD").returncode == 0:
        return done("commit", "the repository has commits")
    identity, text = [], "first commit made"
    if (
        "GIT_AUTHOR_EMAIL" not in os.environ
        and run(setup.root, "git", "config", "user.email").returncode != 0
    ):
        author = setup.author or _configured_author(setup.root)
        name, _, mail = author.rpartition(" <")
        identity = ["-c", f"user.name={name}", "-c", f"user.email={mail.rstrip('>')}"]
        text += f" as {author} (Git knows nobody yet: git config --global user.name …)"
    run(setup.root, "git", "add", "--all")
    result = run(
        setup.root, "git", *identity, "commit", "--quiet", "--no-verify", "-m", FIRST_COMMIT
    )
    if result.returncode != 0:
        reason = " ".join((result.stderr or result.stdout).split())[:200]
        return failed("commit", reason, f'git add --all && git commit -m "{FIRST_COMMIT}"')
    return done("commit", text)


def _configured_author(root: Path) -> str:
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^authors = \[\{ name = "(.*)", email = "(.*)" \}\]$', text, re.MULTILINE)
    return (
        f"{found.group(1)} <{found.group(2)}>" if found else "experimenter <experimenter@localhost>"
    )


def _pull(setup: Setup) -> Step:
    if not (missing := _missing(setup.root)):
        return done("pull", "everything recorded is here")
    if check_remote(setup).failed:  # DVC alone would try for minutes
        return skipped(
            "pull",
            f"not tried, still missing: {', '.join(missing)}",
            "make setup   # when it answers",
        )
    subprocess.run(
        [sys.executable, "-m", "dvc", "pull"],
        cwd=setup.root,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if absent := _missing(setup.root):
        remedy = "dvc push   # where they were made; then here: make setup"
        return failed("pull", f"not in the remote: {', '.join(absent)}", remedy)
    return done("pull", f"fetched {len(missing)}: {', '.join(missing)}")


def _missing(root: Path) -> list[str]:
    """Outputs that have been recorded and are not in the workspace."""
    from lineage.tracked.recorded import recorded_outputs

    return sorted(path for path in recorded_outputs(root) if not (root / path).exists())
