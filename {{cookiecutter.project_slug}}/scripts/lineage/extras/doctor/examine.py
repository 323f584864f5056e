"""Examine a project and its machine, line by line; with `--send`, send what tags name."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path

from lineage.core.check_result import Step, done, failed, skipped
from lineage.core.errors import BadInput, Refused
from lineage.core.experiment_file import load_experiment
from lineage.core.paths import CANDIDATES
from lineage.extras.doctor.kept_elsewhere import check_history
from lineage.runs.model_file import models_in
from lineage.setup.check_remote import check_remote
from lineage.setup.project import (
    MERGE_DRIVER,
    NOT_TOP,
    check_secrets,
    is_repository,
    run_step,
)
from lineage.setup.shared_cache import check_links, link_types
from lineage.tracked.cache import cache_folder, cached_object, dvc_config, is_whole, object_path
from lineage.tracked.git import git, run
from lineage.tracked.ignored import check_seen
from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.remote import missing_in_remote, open_remote, send, with_files
from lineage.tracked.version_tags import tags

MINIMUM = {"git": "2.31", "dvc": "3.67", "dulwich": "0.24.2"}
SEND = "python scripts/doctor.py --send"  # dvc push --all-tags leaves out what only a tag names

OPEN = 0o2070
"""Mode bits of a folder of which a whole group makes use: g+rwxs."""


def examine(root: Path) -> Iterator[Step]:
    """Run every check. Nothing is changed: probes in cache and remote are removed again.

    Args:
        root: the project's root.

    Yields:
        one result per check.
    """
    checks: dict[str, Callable[[Path], Step]] = {
        "git": partial(_tool, "git"),
        "dvc": partial(_tool, "dvc"),
        "dulwich": partial(_tool, "dulwich"),
        "history": check_history,
        "tracked": check_seen,
        "merge": _merge_driver,
        "secrets": check_secrets,
        "links": _links,
        "cache": _cache,
        "stages": _stages,
        "outputs": _outputs,
        "trees": _worktrees,
        "remote": _remote,
        "tags": _tags,
        "models": check_candidates,
    }
    for name, check in checks.items():
        yield run_step(name, check, root)


def send_tags(root: Path) -> int:
    """Send what version tags record and the remote lacks; return the number of objects sent.

    The remote itself is asked for each.

    Raises:
        BadInput: there is no remote.
        Refused: an object is nowhere; the remote does not answer.
    """
    remote = open_remote(root)
    if remote is None:
        raise BadInput("no DVC remote is configured", "dvc remote add --default storage URL")
    objects = set().union(*tagged_objects(root).values())
    return len(send(root, remote, objects))


def tagged_objects(root: Path) -> dict[str, set[str]]:
    """Map every version tag to the hashes of all that it records."""
    objects: dict[str, set[str]] = {}
    for tag in tags(root).values():
        recorded = recorded_outputs(root, tag.version)
        objects[tag.version] = with_files(root, recorded.values())
    return objects


def check_candidates(root: Path) -> Step:
    """Load every candidate, the model in production among them, as `experiment.py` does."""
    candidates = models_in(root / CANDIDATES)
    for track_id, file in candidates.items():
        try:
            load_experiment(root).load_model(file)
        except Exception as error:  # whatever the user's code raises
            return failed(
                "models",
                f"candidate {track_id} cannot be loaded: {type(error).__name__}: {error}",
                "python scripts/model_manager.py list   # shows its version",
            )
    return done("models", f"{len(candidates)} candidates can be loaded")


def _tool(name: str, root: Path) -> Step:
    found = git(root, "version") if name == "git" else version(name)
    needed = MINIMUM[name]
    if found is None or _numbers(found) < _numbers(needed):
        problem = f"{found} is too old; {needed} or later is needed"
        raise Refused(problem, "make setup   # or update git")
    return done(name, found.removeprefix("git version "))


def _numbers(text: str) -> list[int]:
    digits = re.findall(r"\d+", text)
    return [int(number) for number in digits]


def _merge_driver(root: Path) -> Step:
    if not is_repository(root):
        return skipped("merge", NOT_TOP)
    if git(root, "config", "merge.dvc.driver") != MERGE_DRIVER:
        raise Refused("git merge cannot merge dvc.lock", "make setup")
    if not (root / "scripts/lineage/extras/git_merge").is_dir():
        return skipped("merge", "git merge merges lines only", "make setup EXTRAS=git_merge")
    return done("merge", "git merge knows dvc.lock")


def _links(root: Path) -> Step:
    """Ask DVC which of the configured link types work between cache and workspace."""
    cache = dvc_config(root)["cache"]
    configured = cache.get("type") or ["reflink"]
    check_links(configured)
    about = run(root, sys.executable, "-m", "dvc", "version")
    works = re.search(r"^Cache types: (.*)$", about.stdout, re.MULTILINE)
    working = works[1].split(", ") if works else []
    for kind in configured:
        if kind in working:
            return done("links", f"{kind} works between cache and workspace")
    wanted = link_types()
    if configured == wanted.split(","):
        return done("links", "files are copied: root could write through a link")
    remedy = f"dvc config --local cache.type {wanted}   # with the cache on this file system"
    return skipped("links", "files are copied: every one lies on the disk twice", remedy)


def _cache(root: Path) -> Step:
    folder = cache_folder(root)
    is_shared = dvc_config(root)["cache"].get("shared") == "group"
    folders = [folder, *folder.glob("files/md5/*")]
    modes = {path: path.stat().st_mode for path in folders}
    closed = [path for path, mode in modes.items() if mode & OPEN != OPEN]
    if is_shared and closed:
        problem = f"{len(closed)} folders are closed to the group, as {closed[0]}"
        remedy = f"find {folder} -type d -exec chmod g+rwxs {{}} +"
        raise Refused(problem, remedy)
    return done("cache", str(folder))


def _stages(root: Path) -> Step:
    """Let DVC read `dvc.yaml`, `dvc.lock` and all `.dvc` files."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            stages = repo.index.stages
    except DvcException as error:
        raise Refused(f"DVC cannot read them: {error}", "dvc status   # says where") from None
    return done("stages", f"DVC can read all {len(stages)}")


def _outputs(root: Path) -> Step:
    recorded = recorded_outputs(root)
    links = [path for path in recorded if (root / path).is_symlink()]
    dangling = [path for path in links if not (root / path).exists()]
    if dangling:
        problem = f"links that lead nowhere: {', '.join(dangling)}"
        raise Refused(problem, "dvc fetch && dvc checkout")
    cached = {path: cached_object(root, md5) for path, md5 in recorded.items()}
    absent = [path for path, place in cached.items() if place is None]
    if absent:
        problem = f"not in the cache: {', '.join(absent)}"
        raise Refused(problem, "dvc fetch   # or here, if made here: dvc commit --force")
    hashes = with_files(root, recorded.values())
    wrong = [md5 for md5 in hashes if not _is_sound(root, md5)]
    if wrong:
        place = object_path(root, wrong[0])
        problem = f"{len(wrong)} objects missing or damaged, as {place}"
        raise Refused(problem, f"rm -f {place} && dvc fetch")
    return done("outputs", f"{len(hashes)} objects are in the cache, each with its hash")


def _is_sound(root: Path, md5: str) -> bool:
    place = cached_object(root, md5)
    return place is not None and is_whole(place, md5)


def _worktrees(root: Path) -> Step:
    listed = git(root, "worktree", "list", "--porcelain") or ""
    trees = re.findall("^worktree (.*)$", listed, re.MULTILINE)
    cache = cache_folder(root).resolve()
    for tree in trees:
        if not Path(tree, ".dvc").is_dir():
            continue
        other = cache_folder(Path(tree))
        if other.resolve() != cache:
            keep = f"mkdir -p {other} && cp -rn {other}/. {cache}"
            share = f"cp {root}/.dvc/config.local {tree}/.dvc"
            remedy = f"{keep} && {share} && cd {tree} && dvc checkout --allow-missing"
            raise Refused(f"{tree} uses another cache: {other}", remedy)
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
    unsent = objects
    if remote:
        unsent = missing_in_remote(root, remote, objects)
    lost = {md5 for md5 in unsent if not cached_object(root, md5)}
    if lost:
        problem = f"{_named(wanted, lost)} have lost objects: neither cache nor remote has them"
        raise Refused(problem, f"{SEND}   # on the machine that made them")
    if remote is None:
        return done("tags", f"{len(wanted)} whole, in the cache only")
    if unsent:
        raise Refused(f"{_named(wanted, unsent)} are not in the remote", SEND)
    return done("tags", f"{len(wanted)} whole")


def _named(wanted: dict[str, set[str]], objects: set[str]) -> str:
    """Name the tags that record one of some objects."""
    named = [tag for tag, hashes in wanted.items() if hashes & objects]
    return ", ".join(named)
