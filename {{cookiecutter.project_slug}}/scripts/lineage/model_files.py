"""Model files whose bytes depend on the model only."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

FIXED_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest date a zip entry can have."""


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
        contents = {name: archive.read(name) for name in archive.namelist() if name != "schema.json"}
        compression = archive.getinfo("schema.json").compress_type
    numbers: dict[int, int] = {}
    names: dict[str, str] = {}
    _renumber(schema, numbers, names)
    temporary = path.with_name(f".{path.name}.reproducible.tmp")
    with zipfile.ZipFile(temporary, "w") as archive:
        for old, new in sorted(names.items(), key=lambda item: item[1]):
            archive.writestr(zipfile.ZipInfo(new, FIXED_DATE), contents[old], compression)
        text = json.dumps(schema, indent=2)
        archive.writestr(zipfile.ZipInfo("schema.json", FIXED_DATE), text, compression)
    temporary.replace(path)


def _renumber(node: Any, numbers: dict[int, int], names: dict[str, str]) -> None:
    """Replace object ids and the file names made from them, depth first."""
    if isinstance(node, dict):
        if isinstance(node.get("__id__"), int):
            node["__id__"] = numbers.setdefault(node["__id__"], len(numbers) + 1)
        if isinstance(node.get("file"), str):
            suffix = Path(node["file"]).suffix
            node["file"] = names.setdefault(node["file"], f"{len(names) + 1:06d}{suffix}")
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _renumber(child, numbers, names)
