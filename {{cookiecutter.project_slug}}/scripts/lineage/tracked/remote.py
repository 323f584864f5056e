"""The bytes behind a hash: found in the shared cache or the remote, verified, and copied out."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lineage.core.errors import Refused
from lineage.tracked.cache import cached_object, copy_out, is_whole, object_path, read_listing
from lineage.tracked.whole_file import write_whole

Remote = Any
"""A `dvc_data.hashfile.db.HashFileDB`; DVC ships no types."""

REQUESTS = 16
"""Requests to the remote at the same time."""


def obtain(root: Path, md5: str) -> Path:
    """Find the object of a hash in the cache, or fetch it from the remote into the cache; its bytes are verified.

    A damaged object in the cache is replaced from the remote.

    Raises:
        Refused: it is in neither, or only a damaged one is.
    """
    known = cached_object(root, md5)
    if known is not None and is_whole(known, md5):
        return known
    state = "is damaged in the cache" if known else "is not in the cache"
    remote = open_remote(root)
    if remote is None:
        raise Refused(
            f"object {md5} {state}, and no remote is configured",
            "dvc remote add --default storage URL",
        )

    def build(temporary: Path) -> bool:
        try:
            remote.fs.get_file(remote.oid_to_path(md5), str(temporary))
        except FileNotFoundError:
            remedy = "dvc push   # where it was made; then try again"
            raise Refused(f"object {md5} {state} and not in the remote", remedy) from None
        except Exception as error:  # every kind of remote has exceptions of its own
            raise _no_answer(error) from error
        if not is_whole(temporary, md5):
            raise Refused(
                f"object {md5} {state} and damaged in the remote",
                "dvc push   # from a machine that has it",
            )
        temporary.chmod(0o444)
        return True

    path = object_path(root, md5)
    write_whole(path, build, locked=False)
    return path


def listing(root: Path, md5: str) -> dict[str, str]:
    """The files (relative path to md5) of a recorded folder, whose hash ends in `.dir`; raises as `obtain`."""
    return read_listing(obtain(root, md5))


def with_files(root: Path, hashes: Iterable[str]) -> set[str]:
    """Add to the hashes those of the files of every folder among them; raises as `obtain`."""
    found = set(hashes)
    return found.union(*(listing(root, md5).values() for md5 in found if md5.endswith(".dir")))


def open_remote(root: Path) -> Remote | None:
    """The project's default remote, or None when there is none.

    Raises:
        Refused: it cannot be used as it is configured.
    """
    from dvc.config import NoRemoteError
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            return repo.cloud.get_remote_odb()
    except NoRemoteError:
        return None
    except DvcException as error:
        raise Refused(
            f"the remote cannot be used: {' '.join(str(error).split())}", "dvc remote list"
        ) from error


def missing_in_remote(root: Path, remote: Remote, hashes: Iterable[str]) -> set[str]:
    """Ask the remote itself for every object; `dvc push` and `dvc status` trust an index of their own.

    An object of another size than the cached one (an upload that was cut off) counts as missing.

    Raises:
        Refused: the remote does not answer.
    """
    remote.fs.fs.invalidate_cache()
    wanted = sorted(set(hashes))

    def is_there(md5: str) -> bool:
        try:
            size = remote.fs.info(remote.oid_to_path(md5))["size"]
        except FileNotFoundError:
            return False
        known = cached_object(root, md5)
        return known is None or known.stat().st_size == size or not is_whole(known, md5)

    try:
        with ThreadPoolExecutor(REQUESTS) as pool:
            return {md5 for md5, there in zip(wanted, pool.map(is_there, wanted)) if not there}
    except Exception as error:  # every kind of remote has exceptions of its own
        raise _no_answer(error) from error


def send(root: Path, remote: Remote, hashes: Iterable[str]) -> set[str]:
    """Copy to the remote the objects that it lacks; return their hashes once it has been asked again for each.

    Raises:
        Refused: an object is nowhere, or the remote still lacks one afterwards.
    """
    from dvc_objects.fs.local import localfs

    missing = missing_in_remote(root, remote, hashes)
    folders = {md5 for md5 in missing if md5.endswith(".dir")}
    for group in (missing - folders, folders):  # a folder's listing after its files, as DVC does
        ordered = sorted(group)
        paths = [str(obtain(root, md5)) for md5 in ordered]
        try:
            remote.add(paths, localfs, ordered, check_exists=False)
        except Exception as error:
            raise _no_answer(error) from error
    still = missing_in_remote(root, remote, missing)
    if still:
        raise Refused(
            f"the remote still lacks {len(still)} of {len(missing)} objects, as {min(still)}",
            "dvc push",
        )
    return missing


def _no_answer(error: Exception) -> Refused:
    problem = f"the remote does not answer: {type(error).__name__}: {' '.join(str(error).split())}"
    raise Refused(problem, "make setup   # says what is wrong")


def bring(root: Path, md5: str, target: Path) -> None:
    """Write the bytes of a hash to a file, whole or not at all. What was written is verified.

    A damaged object in the cache is replaced from the remote.

    Raises:
        Refused: as `obtain`.
    """
    known = cached_object(root, md5)
    if known is None or not copy_out(known, target, md5):
        copy_out(obtain(root, md5), target)
