"""Model files: their names, what is accepted as one, and bytes that depend on the model only."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

from lineage.core.errors import BadInput
from lineage.tracked.cache import cache_folder
from lineage.tracked.hashes import file_md5

MODEL_SUFFIX = "_model.bin"
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
FIXED_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest date a zip entry can have."""


def model_name(track_id: str) -> str:
    """The file name of a run's model.

    Raises:
        BadInput: the id could lead out of its folder, or would need quoting.
    """
    if not RUN_ID.fullmatch(track_id):
        raise BadInput(
            f"run id {track_id!r} cannot be part of a file name",
            "use letters, digits, '.', '_' and '-'",
        )
    return f"{track_id}{MODEL_SUFFIX}"


def models_in(folder: Path) -> dict[str, Path]:
    """Map the run ids of a folder's models to their files."""
    files = sorted(
        path for path in folder.glob(f"*{MODEL_SUFFIX}") if not path.name.startswith(".")
    )
    return {path.name.removesuffix(MODEL_SUFFIX): path for path in files}


def checked_md5(root: Path, path: Path) -> str:
    """Hash a model file that can be trusted to stay what it is: not empty, and no link but one of DVC's own.

    Raises:
        BadInput: anything else.
    """
    if path.is_symlink() and not path.resolve().is_relative_to(cache_folder(root).resolve()):
        raise BadInput(
            f"{path} is a link to {path.resolve()}, outside the DVC cache", "give the file itself"
        )
    if not path.is_file():
        raise BadInput(f"{path} {'is not a file' if path.exists() else 'does not exist'}")
    if not path.stat().st_size:
        raise BadInput(f"{path} is empty, not a model")
    return file_md5(path)


def make_reproducible(path: Path) -> None:
    """Rewrite a skops file so that equal models are equal bytes; leave any other file alone.

    skops numbers objects by their memory address and stamps its zip entries with the time. Addresses are replaced by
    their order of appearance in `schema.json`, dates by a fixed one.

    Args:
        path: a model file.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        if "schema.json" not in archive.namelist():
            return
        schema = json.loads(archive.read("schema.json"))
        contents = {
            name: archive.read(name) for name in archive.namelist() if name != "schema.json"
        }
        compression = archive.getinfo("schema.json").compress_type
    numbers, names = dict[int, int](), dict[str, str]()
    _renumber(schema, numbers, names)
    temporary = path.with_name(f".{path.name}.reproducible.tmp")
    with zipfile.ZipFile(temporary, "w") as archive:
        entries = [
            (new, contents[old]) for old, new in sorted(names.items(), key=lambda item: item[1])
        ]
        for name, content in [*entries, ("schema.json", json.dumps(schema, indent=2).encode())]:
            archive.writestr(zipfile.ZipInfo(name, FIXED_DATE), content, compression)
    temporary.replace(path)


def _renumber(node: Any, numbers: dict[int, int], names: dict[str, str]) -> None:
    """Replace object ids and the file names made from them, depth first."""
    if isinstance(node, dict):
        if isinstance(node.get("__id__"), int):
            node["__id__"] = numbers.setdefault(node["__id__"], len(numbers) + 1)
        if isinstance(node.get("file"), str):
            suffix = Path(node["file"]).suffix
            node["file"] = names.setdefault(node["file"], f"{len(names) + 1:06d}{suffix}")
    for child in (
        node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    ):
        _renumber(child, numbers, names)
