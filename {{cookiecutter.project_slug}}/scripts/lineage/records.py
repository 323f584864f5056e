"""What DVC has recorded: `dvc.lock`, `.dvc` files, the cache, and hashes as DVC computes them."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from lineage.errors import BadInput
from lineage.layout import PIPELINE_LOCK

CHUNK_BYTES = 1 << 20


def file_md5(path: Path) -> str:
    """Hash a file as DVC does: md5 of its bytes, 32 hexadecimal digits."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def folder_manifest(folder: Path) -> dict[str, str]:
    """Map each file of a folder (POSIX path relative to it) to its md5. Temporary files of ours are left out."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not is_temporary(path))
    return {path.relative_to(folder).as_posix(): file_md5(path) for path in files}


def path_md5(path: Path) -> str:
    """Hash a file or a folder as DVC does; a folder's hash ends in `.dir` (md5 of the JSON list of its files)."""
    if not path.is_dir():
        return file_md5(path)
    entries = [{"md5": md5, "relpath": name} for name, md5 in folder_manifest(path).items()]
    entries.sort(key=lambda entry: entry["relpath"])
    listing = json.dumps(entries, sort_keys=True).encode("utf-8")
    return hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"


def is_temporary(path: Path) -> bool:
    """Tell whether a path is one of our temporary files (left by a killed process)."""
    return path.name.startswith(".") and path.name.endswith(".tmp")


@dataclass(frozen=True)
class Recorded:
    """The hash of one output as `dvc.lock` or a `.dvc` file names it."""

    path: str
    md5: str


def recorded_output(root: Path, path: str) -> Recorded | None:
    """Look an output up in `dvc.lock`, then in its own `.dvc` file.

    Args:
        root: the project's root.
        path: POSIX path relative to it.
    Raises:
        BadInput: `dvc.lock` cannot be read (a merge conflict, for example).
    """
    lock = _read_yaml(root / PIPELINE_LOCK)
    for stage in (lock.get("stages") or {}).values():
        for output in stage.get("outs") or []:
            if output.get("path") == path and output.get("md5"):
                return Recorded(path, output["md5"])
    for output in _read_yaml(root / f"{path}.dvc").get("outs") or []:
        if output.get("md5"):
            return Recorded(path, output["md5"])
    return None


def _read_yaml(path: Path) -> dict:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        return {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{path.name} cannot be read: {' '.join(str(error).split())}", f"git checkout -- {path.name}"
        ) from None


@lru_cache(maxsize=4)
def cache_folder(root: Path) -> Path:
    """The folder of DVC's local cache, from the project's, the machine's and the user's DVC configuration."""
    from dvc.config import Config

    dvc_folder = root / ".dvc"
    if not dvc_folder.is_dir():
        return dvc_folder / "cache"
    config = Config(dvc_dir=os.fspath(dvc_folder))
    return Path(config["cache"].get("dir") or dvc_folder / "cache")


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


def recorded_manifest(root: Path, recorded: Recorded) -> dict[str, str] | None:
    """The files (relative path to md5) of a recorded folder; None when the cache does not hold its listing."""
    listing = cached_object(root, recorded.md5)
    if listing is None:
        return None
    return {entry["relpath"]: entry["md5"] for entry in json.loads(listing.read_bytes())}
