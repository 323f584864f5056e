"""DVC's local cache: where an object is, whether it is whole, copied in and out."""

import json
import os
import re
import shutil
from configparser import Error as ConfigParserError
from configparser import RawConfigParser
from functools import lru_cache
from pathlib import Path

from lineage.tracked.hashes import file_md5
from lineage.tracked.whole_file import write_whole


@lru_cache(maxsize=4)
def cache_folder(root: Path) -> Path:
    """The folder of DVC's local cache, from the project's, the machine's and the user's DVC configuration."""
    dvc_folder = root / ".dvc"
    if not dvc_folder.is_dir():
        return dvc_folder / "cache"
    if plain := _plain_cache_folder(dvc_folder / "config.local"):
        return plain
    from dvc.config import Config

    config = Config(dvc_dir=os.fspath(dvc_folder))
    return Path(config["cache"].get("dir") or dvc_folder / "cache")


def _plain_cache_folder(local: Path) -> Path | None:
    """An absolute `cache.dir` in `.dvc/config.local`, where `make setup` writes it: it wins, and DVC takes 0.1 s to say so."""
    parser = RawConfigParser(strict=False)
    try:
        parser.read(local, encoding="utf-8")
    except (ConfigParserError, UnicodeDecodeError):
        return None
    folder = parser.get("cache", "dir", fallback="")
    plain = re.fullmatch(r"""(/[^#,\n]*)|"(/[^"\n]*)"|'(/[^'\n]*)'""", folder)
    return Path(plain[plain.lastindex or 0]) if plain else None


def object_path(root: Path, md5: str) -> Path:
    """Where the local cache keeps the object of a hash."""
    return cache_folder(root) / "files" / "md5" / md5[:2] / md5[2:]


def cached_object(root: Path, md5: str) -> Path | None:
    """Find the object of a hash in the local cache.

    Returns:
        its path, or None when it is not there. Whether its bytes still have that hash is not checked.
    """
    path = object_path(root, md5)
    return path if path.is_file() else None


def recorded_manifest(root: Path, md5: str) -> dict[str, str] | None:
    """The files (relative path to md5) of a recorded folder; None when the cache does not hold its listing."""
    listing = cached_object(root, md5)
    return None if listing is None else read_listing(listing)


def read_listing(path: Path) -> dict[str, str]:
    """Read the object of a folder: its files, relative path to md5."""
    return {entry["relpath"]: entry["md5"] for entry in json.loads(path.read_bytes())}


def store_object(root: Path, file: Path, md5: str) -> None:
    """Copy a file into DVC's cache under its hash, whole and read-only as DVC does it."""
    place = object_path(root, md5)

    def build(temporary: Path) -> bool:
        shutil.copyfile(file, temporary)
        temporary.chmod(0o444)
        return True

    write_whole(place, build, locked=False)


CHUNK_BYTES = 1 << 30


def is_whole(path: Path, md5: str) -> bool:
    """Tell whether the bytes of a file have a hash (a folder's listing has its hash without `.dir`)."""
    return file_md5(path) == md5.removesuffix(".dir")


def copy_out(source: Path, target: Path, md5: str | None = None) -> bool:
    """Copy an object to a writable file, whole or not at all; blocks are shared where the file system can.

    The copy is not flushed to the disk: the object stays where it is.

    Args:
        source: the object.
        target: a file to make or replace.
        md5: its hash, if it has to be verified; a copy with another one is dropped.
    Returns:
        whether the copy was made.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        _copy_file(source, temporary)
        if md5 is not None and not is_whole(temporary, md5):
            return False
        temporary.chmod(0o644)
        temporary.replace(target)
        return True
    finally:
        temporary.unlink(missing_ok=True)


def _copy_file(source: Path, target: Path) -> None:
    try:
        with source.open("rb") as reader, target.open("wb") as writer:
            while os.copy_file_range(
                reader.fileno(), writer.fileno(), CHUNK_BYTES
            ):  # shares blocks, or copies
                pass
    except (OSError, AttributeError):  # not between any two file systems, and on Linux only
        shutil.copyfile(source, target)
