"""Examine a project and its machine: one line per check, and for each that fails the command that helps."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lineage.objects import is_whole, missing_in_remote, open_remote, with_files
from lineage.project_setup import MERGE_DRIVER, Step, done, failed, run, skipped
from lineage.records import cache_folder, cached_object, object_path, recorded_outputs
from lineage.repository import git
from lineage.s3_remote import check_s3
from lineage.secrets import REMEDY, find_secrets

MINIMUM = {"git": "2.31", "dvc": "3.67", "dulwich": "0.24.2"}
PUSH = "dvc push --all-tags"


def examine(root: Path) -> Iterator[Step]:
    """Run every check. Nothing is changed: probes in cache and remote are removed again.

    Args:
        root: the project's root.
    Yields:
        one result per check.
    """
    checks: list[tuple[str, Callable[[Path], Step]]] = [
        *((name, lambda _, name=name: _tool(root, name)) for name in MINIMUM),
        ("merge", _merge_driver), ("secrets", _secrets), ("links", _links), ("cache", _cache), ("outputs", _outputs),
        ("trees", _worktrees), ("remote", _remote), ("tags", _tags),
    ]  # fmt: skip
    for name, check in checks:
        try:
            yield check(root)
        except Exception as error:  # a broken configuration, say, breaks DVC too
            problem = " ".join(str(getattr(error, "problem", error)).split())
            yield failed(name, problem, getattr(error, "remedy", None) or "make setup")


def _tool(root: Path, name: str) -> Step:
    found = (git(root, "version") or "none") if name == "git" else version(name)
    numbers, needed = ([int(number) for number in re.findall(r"\d+", text)] for text in (found, MINIMUM[name]))
    if numbers < needed:
        return failed(name, f"{found} is too old; {MINIMUM[name]} or later is needed", "make setup   # or update git")
    return done(name, found.removeprefix("git version "))


def _merge_driver(root: Path) -> Step:
    if git(root, "config", "merge.dvc.driver") != MERGE_DRIVER:
        return failed("merge", "git merge cannot merge dvc.lock", "make setup")
    return done("merge", "git merge knows dvc.lock")


def _secrets(root: Path) -> Step:
    if found := find_secrets(root / ".dvc/config"):
        return failed("secrets", ", ".join(found), REMEDY.format(option=found[0], path=".dvc/config"))
    return done("secrets", "none in .dvc/config")


def _config(root: Path) -> Any:
    from dvc.config import Config

    return Config(dvc_dir=str(root / ".dvc"))


def _links(root: Path) -> Step:
    """Ask DVC which of the configured link types work between cache and workspace; it tries them."""
    works = re.search(r"^Cache types: (.*)$", run(root, sys.executable, "-m", "dvc", "version").stdout, re.MULTILINE)
    for kind in _config(root)["cache"].get("type") or ["reflink"]:
        if works and kind in works[1].split(", "):
            return done("links", f"{kind} works between cache and workspace")
    remedy = "dvc config --local cache.type reflink,hardlink,copy   # with the cache on this file system"
    return skipped("links", "files are copied: every one lies on the disk twice", remedy)


def _cache(root: Path) -> Step:
    folder = cache_folder(root)
    if _config(root)["cache"].get("shared") == "group":
        closed = [path for path in (folder, *folder.glob("files/md5/*")) if path.stat().st_mode & 0o2070 != 0o2070]
        if closed:
            remedy = f"find {folder} -type d -exec chmod g+rwxs {{}} +"
            return failed("cache", f"{len(closed)} folders are closed to the group, as {closed[0]}", remedy)
    return done("cache", str(folder))


def _outputs(root: Path) -> Step:
    recorded = recorded_outputs(root)
    if dangling := [path for path in recorded if (root / path).is_symlink() and not (root / path).exists()]:
        return failed("outputs", f"links that lead nowhere: {', '.join(dangling)}", "dvc fetch && dvc checkout")
    if absent := [path for path, md5 in recorded.items() if cached_object(root, md5) is None]:
        return failed(
            "outputs", f"not in the cache: {', '.join(absent)}", "dvc fetch   # or here, if made here: dvc commit"
        )
    hashes = with_files(root, recorded.values())
    if wrong := [md5 for md5 in hashes if not cached_object(root, md5) or not is_whole(object_path(root, md5), md5)]:
        place = object_path(root, wrong[0])
        return failed("outputs", f"{len(wrong)} objects missing or damaged, as {place}", f"rm -f {place} && dvc fetch")
    return done("outputs", f"{len(hashes)} objects are in the cache, each with its hash")


def _worktrees(root: Path) -> Step:
    listed = (git(root, "worktree", "list", "--porcelain") or "").splitlines()
    trees = [Path(line.removeprefix("worktree ")) for line in listed if line.startswith("worktree ")]
    cache = cache_folder(root).resolve()
    for tree in trees:
        if (tree / ".dvc").is_dir() and cache_folder(tree).resolve() != cache:
            remedy = f"cd {tree} && dvc commit && dvc push && dvc cache dir --local {cache} && dvc pull"
            return failed("trees", f"{tree} uses another cache: {cache_folder(tree)}", remedy)
    return done("trees", f"{len(trees)} with one cache")


def _remote(root: Path) -> Step:
    config = _config(root)
    name = config["core"].get("remote")
    settings = config["remote"].get(name, {})
    if name is None:
        return skipped("remote", "none: nothing leaves this machine", "dvc remote add --default storage URL")
    if settings.get("url", "").startswith("s3://") and (problem := check_s3(name, settings)):
        return failed("remote", *problem)
    remote = open_remote(root)
    assert remote is not None
    probe = remote.fs.join(remote.path, f"probe-{os.getpid()}")
    try:
        remote.fs.makedirs(remote.path, exist_ok=True)
        with remote.fs.open(probe, "wb") as file:
            file.write(b"probe")
        remote.fs.remove(probe)
    except Exception as error:  # every kind of remote has exceptions of its own
        return failed("remote", f"{settings['url']} cannot be written: {' '.join(str(error).split())}", "make setup")
    return done("remote", f"{settings['url']} answers and can be written")


def _tags(root: Path) -> Step:
    names = [tag for tag in (git(root, "tag", "--list", "e*") or "").split() if re.fullmatch(r"e\d+\.\d+\.\d+", tag)]
    wanted = {tag: with_files(root, recorded_outputs(root, tag).values()) for tag in names}
    every, remote = set().union(*wanted.values()), open_remote(root)
    unsent = missing_in_remote(root, remote, every) if remote else every
    lost = {md5 for md5 in unsent if cached_object(root, md5) is None}
    for gone, words, remedy in (
        (lost, "have lost objects: neither cache nor remote has them", f"{PUSH}   # on the machine that made them"),
        (unsent if remote else set(), "are not in the remote", PUSH),
    ):
        if broken := [tag for tag in names if wanted[tag] & gone]:
            return failed("tags", f"{', '.join(broken)} {words}", remedy)
    return done("tags", f"{len(names)} whole{'' if remote else ', in the cache only'}")
