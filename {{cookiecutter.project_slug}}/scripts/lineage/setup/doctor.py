"""Examine a project and its machine: one line per check, and for each that fails the command that helps."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path

from lineage.core.check_result import Step, done, failed, skipped
from lineage.core.errors import BadInput
from lineage.setup.project import (
    MERGE_DRIVER,
    Setup,
    check_remote,
    check_secrets,
    dvc_config,
)
from lineage.tracked.cache import cache_folder, cached_object, is_whole, object_path
from lineage.tracked.git import git, run
from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.remote import missing_in_remote, open_remote, send, with_files
from lineage.versions.tags import tags

MINIMUM = {"git": "2.31", "dvc": "3.67", "dulwich": "0.24.2"}
SEND = "python scripts/doctor.py --send"  # dvc push --all-tags leaves out what only a tag names


def examine(root: Path) -> Iterator[Step]:
    """Run every check. Nothing is changed: probes in cache and remote are removed again.

    Args:
        root: the project's root.
    Yields:
        one result per check.
    """
    setup = Setup(root, False, None, None, "")
    checks: dict[str, Callable[[], Step]] = {
        **{name: partial(_tool, root, name) for name in MINIMUM},
        "merge": partial(_merge_driver, root), "secrets": partial(check_secrets, setup),
        "links": partial(_links, root), "cache": partial(_cache, root), "outputs": partial(_outputs, root),
        "trees": partial(_worktrees, root), "remote": partial(_remote, root, setup), "tags": partial(_tags, root),
    }  # fmt: skip
    for name, check in checks.items():
        try:
            yield check()
        except Exception as error:  # a broken configuration, say, breaks DVC too
            problem, remedy = getattr(error, "problem", error), getattr(error, "remedy", None)
            yield failed(name, " ".join(str(problem).split()), remedy or "make setup")


def _tool(root: Path, name: str) -> Step:
    found = (git(root, "version") or "none") if name == "git" else version(name)
    numbers, needed = (
        [int(number) for number in re.findall(r"\d+", text)] for text in (found, MINIMUM[name])
    )
    if numbers < needed:
        return failed(
            name,
            f"{found} is too old; {MINIMUM[name]} or later is needed",
            "make setup   # or update git",
        )
    return done(name, found.removeprefix("git version "))


def _merge_driver(root: Path) -> Step:
    if git(root, "config", "merge.dvc.driver") != MERGE_DRIVER:
        return failed("merge", "git merge cannot merge dvc.lock", "make setup")
    return done("merge", "git merge knows dvc.lock")


def _links(root: Path) -> Step:
    """Ask DVC which of the configured link types work between cache and workspace; it tries them."""
    works = re.search(
        r"^Cache types: (.*)$",
        run(root, sys.executable, "-m", "dvc", "version").stdout,
        re.MULTILINE,
    )
    for kind in dvc_config(root)["cache"].get("type") or ["reflink"]:
        if works and kind in works[1].split(", "):
            return done("links", f"{kind} works between cache and workspace")
    remedy = (
        "dvc config --local cache.type reflink,hardlink,copy   # with the cache on this file system"
    )
    return skipped("links", "files are copied: every one lies on the disk twice", remedy)


def _cache(root: Path) -> Step:
    folder = cache_folder(root)
    paths = (
        (folder, *folder.glob("files/md5/*"))
        if dvc_config(root)["cache"].get("shared") == "group"
        else ()
    )
    if closed := [path for path in paths if path.stat().st_mode & 0o2070 != 0o2070]:
        remedy = f"find {folder} -type d -exec chmod g+rwxs {{}} +"
        return failed(
            "cache", f"{len(closed)} folders are closed to the group, as {closed[0]}", remedy
        )
    return done("cache", str(folder))


def _outputs(root: Path) -> Step:
    recorded = recorded_outputs(root)
    if dangling := [
        path for path in recorded if (root / path).is_symlink() and not (root / path).exists()
    ]:
        return failed(
            "outputs",
            f"links that lead nowhere: {', '.join(dangling)}",
            "dvc fetch && dvc checkout",
        )
    if absent := [path for path, md5 in recorded.items() if cached_object(root, md5) is None]:
        remedy = "dvc fetch   # or here, if made here: dvc commit"
        return failed("outputs", f"not in the cache: {', '.join(absent)}", remedy)
    hashes = with_files(root, recorded.values())
    if wrong := [
        md5
        for md5 in hashes
        if not cached_object(root, md5) or not is_whole(object_path(root, md5), md5)
    ]:
        place = object_path(root, wrong[0])
        return failed(
            "outputs",
            f"{len(wrong)} objects missing or damaged, as {place}",
            f"rm -f {place} && dvc fetch",
        )
    return done("outputs", f"{len(hashes)} objects are in the cache, each with its hash")


def _worktrees(root: Path) -> Step:
    listed = git(root, "worktree", "list", "--porcelain") or ""
    trees = [Path(folder) for folder in re.findall("^worktree (.*)$", listed, re.MULTILINE)]
    cache = cache_folder(root).resolve()
    for tree in trees:
        if (tree / ".dvc").is_dir() and cache_folder(tree).resolve() != cache:
            remedy = (
                f"cd {tree} && dvc commit && dvc push && dvc cache dir --local {cache} && dvc pull"
            )
            return failed("trees", f"{tree} uses another cache: {cache_folder(tree)}", remedy)
    return done("trees", f"{len(trees)} with one cache")


def _remote(root: Path, setup: Setup) -> Step:
    """Write an object to the remote, and delete it again."""
    checked = check_remote(setup)
    remote = open_remote(root) if checked.state == "done" else None
    if remote is None:
        return checked
    probe = remote.fs.join(remote.path, f"probe-{os.getpid()}")
    try:
        remote.fs.makedirs(remote.path, exist_ok=True)
        remote.fs.pipe(probe, b"probe")
        remote.fs.remove(probe)
    except Exception as error:  # every kind of remote has exceptions of its own
        return failed(
            "remote",
            f"{checked.text}, but cannot be written: {error}",
            "make setup   # as one who may",
        )
    return done("remote", f"{checked.text}, can be written")


def tagged_objects(root: Path) -> dict[str, set[str]]:
    """Map every version tag to the hashes of all that it records."""
    return {
        tag.version: with_files(root, recorded_outputs(root, tag.version).values())
        for tag in tags(root)
    }


def _tags(root: Path) -> Step:
    wanted, remote = tagged_objects(root), open_remote(root)
    every = set().union(*wanted.values())
    unsent = missing_in_remote(root, remote, every) if remote else every
    lost = {md5 for md5 in unsent if cached_object(root, md5) is None}
    gone = lost or (unsent if remote else set())
    if broken := ", ".join(tag for tag, objects in wanted.items() if objects & gone):
        words = (
            "have lost objects: neither cache nor remote has them"
            if lost
            else "are not in the remote"
        )
        return failed(
            "tags",
            f"{broken} {words}",
            f"{SEND}   # on the machine that made them" if lost else SEND,
        )
    return done("tags", f"{len(wanted)} whole{'' if remote else ', in the cache only'}")


def send_tags(root: Path) -> int:
    """Send the objects of every version tag that the remote itself, asked for each, lacks; return how many those were.

    Raises:
        BadInput: there is no remote.
        Refused: an object is nowhere; the remote does not answer.
    """
    if (remote := open_remote(root)) is None:
        raise BadInput("there is no remote to send to", "dvc remote add --default storage URL")
    return len(send(root, remote, set().union(*tagged_objects(root).values())))
