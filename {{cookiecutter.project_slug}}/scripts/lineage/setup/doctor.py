"""Examine a project and its machine: one line per check, with the command that helps."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path

from lineage.core.check_result import Step, done, skipped
from lineage.core.errors import BadInput, Refused
from lineage.setup.project import MERGE_DRIVER, check_secrets, link_types, run_step
from lineage.setup.remote import check_remote, dvc_config
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
    checks: dict[str, Callable[[Path], Step]] = {
        **{name: partial(_tool, name) for name in MINIMUM},
        "merge": _merge_driver,
        "secrets": check_secrets,
        "links": _links,
        "cache": _cache,
        "outputs": _outputs,
        "trees": _worktrees,
        "remote": _remote,
        "tags": _tags,
    }
    for name, check in checks.items():
        yield run_step(name, partial(check, root))


def send_tags(root: Path) -> int:
    """Send what version tags record and the remote lacks; return the number of objects sent.

    The remote itself is asked for each.

    Raises:
        BadInput: there is no remote.
        Refused: an object is nowhere; the remote does not answer.
    """
    remote = open_remote(root)
    if remote is None:
        raise BadInput("there is no remote to send to", "dvc remote add --default storage URL")
    return len(send(root, remote, set().union(*tagged_objects(root).values())))


def tagged_objects(root: Path) -> dict[str, set[str]]:
    """Map every version tag to the hashes of all that it records."""
    return {
        tag.version: with_files(root, recorded_outputs(root, tag.version).values())
        for tag in tags(root)
    }


def _tool(name: str, root: Path) -> Step:
    found = (git(root, "version") or "none") if name == "git" else version(name)
    if _numbers(found) < _numbers(MINIMUM[name]):
        problem = f"{found} is too old; {MINIMUM[name]} or later is needed"
        raise Refused(problem, "make setup   # or update git")
    return done(name, found.removeprefix("git version "))


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def _merge_driver(root: Path) -> Step:
    if git(root, "config", "merge.dvc.driver") != MERGE_DRIVER:
        raise Refused("git merge cannot merge dvc.lock", "make setup")
    return done("merge", "git merge knows dvc.lock")


def _links(root: Path) -> Step:
    """Ask DVC which of the configured link types work between cache and workspace."""
    configured = dvc_config(root)["cache"].get("type") or ["reflink"]
    about = run(root, sys.executable, "-m", "dvc", "version").stdout
    works = re.search(r"^Cache types: (.*)$", about, re.MULTILINE)
    for kind in configured:
        if works and kind in works[1].split(", "):
            return done("links", f"{kind} works between cache and workspace")
    if configured == link_types().split(","):
        return done("links", "files are copied: root could write through a link")
    remedy = f"dvc config --local cache.type {link_types()}   # with the cache on this file system"
    return skipped("links", "files are copied: every one lies on the disk twice", remedy)


def _cache(root: Path) -> Step:
    folder = cache_folder(root)
    if dvc_config(root)["cache"].get("shared") == "group":
        folders = [folder, *folder.glob("files/md5/*")]
        closed = [path for path in folders if path.stat().st_mode & 0o2070 != 0o2070]
        if closed:
            remedy = f"find {folder} -type d -exec chmod g+rwxs {{}} +"
            problem = f"{len(closed)} folders are closed to the group, as {closed[0]}"
            raise Refused(problem, remedy)
    return done("cache", str(folder))


def _outputs(root: Path) -> Step:
    recorded = recorded_outputs(root)
    places = {path: root / path for path in recorded}
    dangling = [path for path, place in places.items() if place.is_symlink() > place.exists()]
    if dangling:
        problem = f"links that lead nowhere: {', '.join(dangling)}"
        raise Refused(problem, "dvc fetch && dvc checkout")
    absent = [path for path, md5 in recorded.items() if cached_object(root, md5) is None]
    if absent:
        remedy = "dvc fetch   # or here, if made here: dvc commit"
        raise Refused(f"not in the cache: {', '.join(absent)}", remedy)
    objects = {md5: object_path(root, md5) for md5 in with_files(root, recorded.values())}
    wrong = [
        place for md5, place in objects.items() if not place.is_file() or not is_whole(place, md5)
    ]
    if wrong:
        problem = f"{len(wrong)} objects missing or damaged, as {wrong[0]}"
        raise Refused(problem, f"rm -f {wrong[0]} && dvc fetch")
    return done("outputs", f"{len(objects)} objects are in the cache, each with its hash")


def _worktrees(root: Path) -> Step:
    listed = git(root, "worktree", "list", "--porcelain") or ""
    trees = [Path(folder) for folder in re.findall("^worktree (.*)$", listed, re.MULTILINE)]
    cache = cache_folder(root).resolve()
    for tree in trees:
        if (tree / ".dvc").is_dir() and cache_folder(tree).resolve() != cache:
            bring = f"dvc commit && dvc push && dvc cache dir --local {cache} && dvc pull"
            problem = f"{tree} uses another cache: {cache_folder(tree)}"
            raise Refused(problem, f"cd {tree} && {bring}")
    return done("trees", f"{len(trees)} with one cache")


def _remote(root: Path) -> Step:
    """Write an object to the remote, and delete it again."""
    checked = check_remote(root)
    remote = open_remote(root)
    if remote is None:
        return checked
    probe = remote.fs.join(remote.path, f"probe-{os.getpid()}")
    try:
        remote.fs.makedirs(remote.path, exist_ok=True)
        remote.fs.pipe(probe, b"probe")
        remote.fs.remove(probe)
    except Exception as error:  # every kind of remote has exceptions of its own
        problem = f"{checked.text}, but cannot be written: {error}"
        raise Refused(problem, "make setup   # as one who may") from None
    return done("remote", f"{checked.text}, can be written")


def _tags(root: Path) -> Step:
    """Look for every object of every version tag in the remote; without one, in the cache."""
    wanted = tagged_objects(root)
    objects = set().union(*wanted.values())
    remote = open_remote(root)
    unsent = missing_in_remote(root, remote, objects) if remote else objects
    lost = {md5 for md5 in unsent if cached_object(root, md5) is None}
    if lost:
        problem = f"{_named(wanted, lost)} have lost objects: neither cache nor remote has them"
        raise Refused(problem, f"{SEND}   # on the machine that made them")
    if remote is None:
        return done("tags", f"{len(wanted)} whole, in the cache only")
    if unsent:
        raise Refused(f"{_named(wanted, unsent)} are not in the remote", SEND)
    return done("tags", f"{len(wanted)} whole")


def _named(wanted: dict[str, set[str]], objects: set[str]) -> str:
    return ", ".join(tag for tag, hashes in wanted.items() if hashes & objects)
