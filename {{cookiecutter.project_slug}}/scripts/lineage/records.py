"""What DVC has recorded: `dvc.lock`, `.dvc` files, the cache, and hashes as DVC computes them."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from configparser import Error as ConfigParserError
from configparser import RawConfigParser
from functools import lru_cache
from pathlib import Path, PurePosixPath

import yaml

from lineage.errors import BadInput
from lineage.layout import PIPELINE, PIPELINE_LOCK
from lineage.repository import git, git_bytes

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
    listing = write_listing(folder_manifest(path)).encode("utf-8")
    return hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"


def write_listing(files: Mapping[str, str]) -> str:
    """Write the object of a folder from its files, relative path to md5."""
    return json.dumps([{"md5": md5, "relpath": name} for name, md5 in sorted(files.items())], sort_keys=True)


def is_temporary(path: Path) -> bool:
    """Tell whether a path is one of our temporary files (left by a killed process)."""
    return path.name.startswith(".") and path.name.endswith(".tmp")


def recorded_outputs(root: Path, revision: str | None = None, *, pushed: bool = False) -> dict[str, str]:
    """Map every cached output that `.dvc` files and `dvc.lock` name (POSIX path relative to `root`) to its hash.

    Args:
        root: the project's root.
        revision: a commit or tag; None: the working tree.
        pushed: without those that are marked `push: false`.
    Raises:
        BadInput: a file cannot be read (a merge conflict, for example).
    """
    if revision is None:
        listed = git(root, "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", "*.dvc")
    else:
        listed = git(root, "ls-tree", "-r", "-z", "--name-only", revision, "--", ".")
    pointers = sorted(name for name in (listed or "").split("\0") if name.endswith(".dvc"))
    outputs: dict[str, str] = {}
    for name in [*pointers, PIPELINE_LOCK]:
        outputs |= _outputs_of(root, name, revision, pushed)
    kept_in_git = _declared_not(root, revision, "cache")  # DVC holds their hash only
    for path in [*kept_in_git, *(_declared_not(root, revision, "push") if pushed else [])]:
        outputs.pop(path, None)
    return outputs


def recorded_md5(root: Path, path: str, revision: str | None = None) -> str | None:
    """Look one output up in `dvc.lock`, then in its own `.dvc` file; arguments and errors as in `recorded_outputs`."""
    for name in (PIPELINE_LOCK, f"{path}.dvc"):
        if md5 := _outputs_of(root, name, revision).get(path):
            return md5
    return None


def _outputs_of(root: Path, name: str, revision: str | None, pushed: bool = False) -> dict[str, str]:
    """The outputs that one `dvc.lock` or `.dvc` file names, and their hashes."""
    content, folder = _read_yaml(root, name, revision), PurePosixPath(name).parent
    try:
        stages = [content] if name.endswith(".dvc") else (content.get("stages") or {}).values()
        found = [output for stage in stages for output in stage.get("outs") or []]
        found = [output for output in found if not (pushed and output.get("push") is False)]
        return {(folder / output["path"]).as_posix(): output["md5"] for output in found if output.get("md5")}
    except (AttributeError, TypeError, KeyError):
        where = f"{revision}:{name}" if revision else name
        raise BadInput(f"{where} is not what DVC writes", f"git log -- {name}   # says who changed it") from None


def _declared_not(root: Path, revision: str | None, name: str) -> list[str]:
    """Outputs that `dvc.yaml` declares with an option set to false."""
    stages = (_read_yaml(root, PIPELINE, revision).get("stages") or {}).values()
    declared = [entry for stage in stages for kind in ("outs", "metrics", "plots") for entry in stage.get(kind) or []]
    options = [item for entry in declared if isinstance(entry, dict) for item in entry.items()]
    return [path for path, option in options if (option or {}).get(name) is False]


def _read_yaml(root: Path, name: str, revision: str | None) -> dict:
    try:
        data = git_bytes(root, "show", f"{revision}:./{name}") if revision else (root / name).read_bytes()
        return yaml.load(data or b"", Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
    except FileNotFoundError:
        return {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where, remedy = (f"{revision}:{name}", None) if revision else (name, f"git checkout -- {name}")
        raise BadInput(f"{where} cannot be read: {' '.join(str(error).split())}", remedy) from None


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
    return Path(folder) if re.fullmatch(r"""/[^#"'\n]*""", folder) else None


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
