"""DVC's local cache: where an object is, whether it is whole, copied in and out."""

import configparser
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from lineage.tracked.hashes import bytes_md5, listing_md5, manifest_of, write_listing
from lineage.tracked.whole_file import temporary_beside, written_whole

CHUNK_BYTES = 1 << 30
PLAIN_FOLDER = r"""(/[^#,\n]*)|"(/[^"\n]*)"|'(/[^'\n]*)'"""
"""An absolute folder, in quotes or not, as DVC and `make setup` write it."""


def dvc_config(root: Path) -> Any:
    """Read DVC's configuration of a project, all levels of it."""
    from dvc.config import Config

    return Config(dvc_dir=str(root / ".dvc"))


@cache
def cache_folder(root: Path) -> Path:
    """Find the folder of DVC's local cache, by the configuration of project, machine and user.

    `make setup` writes an absolute folder into `.dvc/config.local`, where it wins over all else.
    That is read here, since DVC takes 0.1 s to say so; anything else is left to DVC.
    """
    parser = configparser.RawConfigParser(strict=False)
    with suppress(configparser.Error, UnicodeDecodeError):
        parser.read(root / ".dvc/config.local", encoding="utf-8")
    folder = parser.get("cache", "dir", fallback="")
    if plain := re.fullmatch(PLAIN_FOLDER, folder):
        return Path(plain[plain.lastindex or 0])
    configured = None
    if (root / ".dvc").is_dir():
        configured = dvc_config(root)["cache"].get("dir")
    return Path(configured or root / ".dvc/cache")


def object_path(root: Path, md5: str) -> Path:
    """Name the place where the local cache keeps the object of a hash."""
    objects = cache_folder(root) / "files/md5"
    return objects / md5[:2] / md5[2:]


def cached_object(root: Path, md5: str) -> Path | None:
    """Find the object of a hash in the local cache.

    Returns:
        its path, or None when it is not there. Whether its bytes still have that hash is not
        checked.
    """
    path = object_path(root, md5)
    return path if path.is_file() else None


def recorded_manifest(root: Path, md5: str) -> dict[str, str]:
    """Read which files (relative path to md5) a recorded folder has; a file alone has no name.

    Returns:
        nothing when the cache does not hold its listing.
    """
    if not md5.endswith(".dir"):
        return {"": md5}
    listing = cached_object(root, md5)
    return read_listing(listing) if listing else {}


def read_listing(path: Path) -> dict[str, str]:
    """Read the object of a folder: its files, relative path to md5."""
    entries = json.loads(path.read_bytes())
    return {entry["relpath"]: entry["md5"] for entry in entries}


def store(root: Path, path: Path, others: Mapping[str, str] = {}) -> str:
    """Copy a file, or the files of a folder and its listing, into the cache; return its hash.

    Args:
        root: the project's root.
        path: the file or folder.
        others: files of the folder that lie in the cache only, name to md5.
    """
    manifest = manifest_of(path)
    for name, md5 in manifest.items():
        store_object(root, path / name, md5)
    return manifest.get("") or store_listing(root, {**others, **manifest})


def store_listing(root: Path, files: Mapping[str, str]) -> str:
    """Write the object of a folder, from its files, into the cache; return its hash."""
    md5 = listing_md5(files)
    with new_object(root, md5) as listing:
        listing.write_bytes(write_listing(files).encode())
    return md5


def store_object(root: Path, file: Path, md5: str) -> None:
    """Copy a file into DVC's cache under its hash."""
    with new_object(root, md5) as copy:
        shutil.copyfile(file, copy)


@contextmanager
def new_object(root: Path, md5: str) -> Iterator[Path]:
    """Let what is written in this block become an object of DVC's cache, whole and read-only.

    New folders get the mode of the one around them, which may be open to a group (`cache.shared`).

    Args:
        root: the project's root.
        md5: the hash.

    Yields:
        the path at which to write it.
    """
    path = object_path(root, md5)
    cache_folder(root).mkdir(parents=True, exist_ok=True)
    for folder in reversed(path.parents):
        if not folder.exists():
            folder.mkdir(exist_ok=True)
            folder.chmod(folder.parent.stat().st_mode & 0o2777)
    with written_whole(path) as temporary:
        yield temporary
        temporary.chmod(0o444)


def is_whole(path: Path, md5: str) -> bool:
    """Tell whether the bytes of a file have a hash; that of a folder's listing ends in `.dir`."""
    return bytes_md5(path) == md5.removesuffix(".dir")


def copy_out(source: Path, target: Path) -> None:
    """Copy an object, or a folder with the files of some, to a writable place, whole or not at all.

    Blocks are shared where the file system can. The copy is not flushed to the disk, since the
    object stays where it is.

    Args:
        source: the object, or the folder.
        target: a file to make or replace, or a folder to make.
    """
    with temporary_beside(target) as temporary:
        if source.is_dir():
            shutil.copytree(source, temporary, copy_function=_copy_file)
        else:
            _copy_file(source, temporary)
        temporary.replace(target)


def _copy_file(source: Path | str, target: Path | str) -> None:
    try:
        with Path(source).open("rb") as reader, Path(target).open("wb") as writer:
            while os.copy_file_range(reader.fileno(), writer.fileno(), CHUNK_BYTES):
                pass  # shares blocks where the file system can, else copies
    except (OSError, AttributeError):  # not between any two file systems, and on Linux only
        shutil.copyfile(source, target)
