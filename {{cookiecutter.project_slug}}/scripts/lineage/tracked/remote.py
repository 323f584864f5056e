"""DVC's remote: objects fetched and verified, missing ones found, objects sent."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import compress
from pathlib import Path
from typing import Any

from lineage.core.errors import LineageError, Refused
from lineage.tracked.cache import cached_object, is_whole, new_object, object_path, read_listing
from lineage.tracked.git import main_root

Remote = Any
"""A `dvc_data.hashfile.db.HashFileDB`; DVC ships no types."""

REQUESTS = 16
"""Requests to the remote at the same time."""


def obtain(root: Path, md5: str, *, trusting: bool = False) -> Path:
    """Find the object of a hash in the cache, or fetch it from the remote; its bytes are verified.

    A damaged object in the cache is replaced from the remote.

    Args:
        root: the project's root. Of a worktree without a cache of its own, main's is meant.
        md5: the hash.
        trusting: a read-only object of the cache counts as whole, as it does for DVC.

    Raises:
        Refused: it is in neither, or only a damaged one is.
    """
    path = cached_object(root, md5) or cached_object(main_root(root), md5)
    if path:
        is_protected = not path.stat().st_mode & 0o222
        if (trusting and is_protected) or is_whole(path, md5):
            return path
    problem = f"object {md5} {'is damaged in the cache' if path else 'is not in the cache'}"
    remote = open_remote(root)
    if remote is None:
        remedy = "dvc remote add --default storage URL"
        raise Refused(f"{problem}, and no remote is configured", remedy)
    with new_object(root, md5) as fetched:
        with _answering():
            try:
                remote.fs.get_file(remote.oid_to_path(md5), str(fetched))
            except FileNotFoundError:
                remedy = "dvc push   # where it was made; then try again"
                raise Refused(f"{problem} and not in the remote", remedy) from None
        if not is_whole(fetched, md5):
            remedy = "dvc push   # from a machine that has it"
            raise Refused(f"{problem} and damaged in the remote", remedy)
    return object_path(root, md5)


@cache
def listing(root: Path, md5: str) -> dict[str, str]:
    """Read the files (relative path to md5) of a recorded folder; a file alone has no name.

    Raises:
        Refused: as `obtain`.
    """
    return read_listing(obtain(root, md5)) if md5.endswith(".dir") else {"": md5}


def link_objects(
    root: Path, files: Mapping[str, str], place: Path, *, trusting: bool = False
) -> None:
    """Make a file or a folder of links to objects, only to be read.

    Args:
        root: the project's root.
        files: as `listing` has them.
        place: what to make.
        trusting: as in `obtain`.

    Raises:
        Refused: as `obtain`.
    """
    for name, md5 in files.items():
        link = place / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(obtain(root, md5, trusting=trusting))


def with_files(root: Path, hashes: Iterable[str]) -> set[str]:
    """Add to the hashes those of the files of every folder among them.

    Raises:
        Refused: as `obtain`.
    """
    found = set(hashes)
    for folder in [md5 for md5 in found if md5.endswith(".dir")]:
        found.update(listing(root, folder).values())
    return found


def open_remote(root: Path) -> Remote | None:
    """Open the project's default remote; None when there is none.

    Raises:
        Refused: it cannot be used as it is configured.
    """
    from dvc.config import NoRemoteError
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(main_root(root))) as repo:
            return repo.cloud.get_remote_odb()
    except NoRemoteError:
        return None
    except (DvcException, ImportError) as error:  # a package for its kind of URL is not there
        reason = " ".join(str(error).split())
        raise Refused(f"the remote cannot be used: {reason}", "dvc remote list") from error


def missing_in_remote(root: Path, remote: Remote, hashes: Iterable[str]) -> set[str]:
    """Ask the remote itself for every object; `dvc push` and `dvc status` trust their own index.

    An object of another size than the cached one (an upload that was cut off) counts as missing.

    Raises:
        Refused: the remote does not answer.
    """
    wanted = sorted(set(hashes))

    def is_missing(md5: str) -> bool:
        try:
            size = remote.fs.info(remote.oid_to_path(md5))["size"]
        except FileNotFoundError:
            return True
        known = cached_object(root, md5)
        return known is not None and known.stat().st_size != size and is_whole(known, md5)

    remote.fs.fs.invalidate_cache()
    with _answering(), ThreadPoolExecutor(REQUESTS) as pool:
        return set(compress(wanted, pool.map(is_missing, wanted)))


def send(root: Path, remote: Remote, hashes: Iterable[str]) -> set[str]:
    """Copy to the remote the objects that it lacks.

    Returns:
        their hashes, once the remote has been asked again for each.

    Raises:
        Refused: an object is nowhere, or the remote still lacks one afterwards.
    """
    from dvc_objects.fs.local import localfs
    from fsspec import Callback

    from lineage.core.console import progress

    missing = missing_in_remote(root, remote, hashes)
    folders = {md5 for md5 in missing if md5.endswith(".dir")}
    for group in (missing - folders, folders):  # a folder's listing after its files, as DVC does
        ordered = sorted(group)
        paths = [str(obtain(root, md5)) for md5 in ordered]
        with _answering(), progress("sending objects", len(ordered)) as show:
            told = Callback(hooks={"show": lambda size, value, **rest: show(value)})
            remote.add(paths, localfs, ordered, check_exists=False, callback=told)
    still = missing_in_remote(root, remote, missing)
    if still:
        raise Refused(
            f"the remote still lacks {len(still)} of {len(missing)} objects, as {min(still)}",
            "dvc push",
        )
    return missing


@contextmanager
def _answering() -> Iterator[None]:
    """Turn the exceptions of a remote, of which every kind has its own, into `Refused`."""
    try:
        yield
    except LineageError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise Refused(
            f"the remote does not answer: {reason}", "make setup   # says what is wrong"
        ) from error
