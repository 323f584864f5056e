"""Model files: found by run id, checked, hashed, and rewritten so that equal models are equal."""

import re
import zipfile
from pathlib import Path

from lineage.core.errors import BadInput
from lineage.tracked.cache import cache_folder
from lineage.tracked.hashes import file_md5

MODEL_SUFFIX = "_model.bin"
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
SCHEMA = "schema.json"
SKOPS_NAME = re.compile(r'(?<="__id__": )\d+|(?<="file": ")[^".]+')
"""What skops calls an object, and the file with its content."""

STEM = re.compile(r"^[^.]+")
FIXED_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest date a zip entry can have."""


def model_name(track_id: str) -> str:
    """The file name of a run's model.

    Raises:
        BadInput: the id could lead out of its folder, or would need quoting.
    """
    if not RUN_ID.fullmatch(track_id):
        problem = f"run id {track_id!r} cannot be part of a file name"
        raise BadInput(problem, "use letters, digits, '.', '_' and '-'")
    return f"{track_id}{MODEL_SUFFIX}"


def models_in(folder: Path) -> dict[str, Path]:
    """Map the run ids of a folder's models to their files."""
    models: dict[str, Path] = {}
    for path in sorted(folder.glob(f"[!.]*{MODEL_SUFFIX}")):
        track_id = path.name.removesuffix(MODEL_SUFFIX)
        models[track_id] = path
    return models


def checked_md5(root: Path, path: Path) -> str:
    """Hash a model file that stays what it is: not empty, and no link but one of DVC's own.

    Raises:
        BadInput: anything else.
    """
    target = path.resolve()
    cache = cache_folder(root).resolve()
    if path.is_symlink() and not target.is_relative_to(cache):
        problem = f"{path} is a link to {target}, outside the DVC cache"
        raise BadInput(problem, "give the file itself")
    if not path.exists():
        raise BadInput(f"{path} does not exist")
    if not path.is_file():
        raise BadInput(f"{path} is not a file")
    if not path.stat().st_size:
        raise BadInput(f"{path} is empty, not a model")
    return file_md5(path)


def make_reproducible(path: Path) -> None:
    """Rewrite a skops file so that equal models are equal bytes; leave any other file alone.

    skops names objects by their memory address, bytes by a random id, and stamps its zip entries
    with the time. Names are replaced by their order in `schema.json`, times by a fixed one.

    Args:
        path: a model file.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if SCHEMA not in names:
            return
        files = {name: archive.read(name) for name in names}
        compression = archive.getinfo(SCHEMA).compress_type
    numbers: dict[str, str] = {}

    def number(found: re.Match[str]) -> str:
        next_number = str(len(numbers))
        return numbers.setdefault(found[0], next_number)

    schema = SKOPS_NAME.sub(number, files.pop(SCHEMA).decode())
    renamed = {SCHEMA: schema.encode()}
    for name, content in files.items():
        new_name = STEM.sub(number, name)
        renamed[new_name] = content
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in sorted(renamed.items()):
            entry = zipfile.ZipInfo(name, FIXED_DATE)
            archive.writestr(entry, content, compression)
