"""Name, save, hash and check the model of a run: a file or folder, found by the run's id."""

import re
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lineage.core.errors import BadInput
from lineage.tracked.cache import cache_folder
from lineage.tracked.hashes import path_md5
from lineage.tracked.whole_file import remove

MODEL_SUFFIX = "_model.bin"
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
SCHEMA = "schema.json"
SKOPS_NAME = re.compile(r'(?<="__id__": )\d+|(?<="file": ")[^".]+')
"""What skops calls an object, and the file with its content."""

STEM = re.compile(r"^[^.]+")
FIXED_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest date a zip entry can have."""


def model_name(track_id: str) -> str:
    """The name of a run's model, be it a file or a folder.

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
    """Map the run ids of a folder's models to their paths."""
    return {
        path.name.removesuffix(MODEL_SUFFIX): path
        for path in sorted(folder.glob(f"[!.]*{MODEL_SUFFIX}"))
    }


def checked_md5(root: Path, path: Path) -> str:
    """Hash a model that stays what it is: not empty, and no link but one of DVC's own.

    The hash of a folder is that of its listing, as DVC has it, and ends in `.dir`.

    Raises:
        BadInput: anything else.
    """
    target = path.resolve()
    cache = cache_folder(root).resolve()
    if path.is_symlink() and not target.is_relative_to(cache):
        raise BadInput(
            f"{path} is a link to {target}, outside the DVC cache",
            f"rm {path} && cp -r {target} {path}   # puts it there itself",
        )
    if not path.exists():
        raise BadInput(f"{path} does not exist")
    if not any(file.stat().st_size for file in files_of_model(path)):
        raise BadInput(f"{path} is empty, not a model")
    return path_md5(path)


def files_of_model(path: Path) -> list[Path]:
    """List the files of a model, which is one itself if it is no folder."""
    return [file for file in (path, *path.rglob("*")) if file.is_file()]


def save_alone(experiment: Any, model: Any, path: Path) -> None:
    """Let `save_model` write a model, and keep of all that it leaves what is at its path.

    Args:
        experiment: the module `experiment.py`.
        model: what `fit` returned.
        path: where the model shall be, in place of what a killed process has made there.

    Raises:
        BadInput: there is nothing at the path.
    """
    with TemporaryDirectory(prefix=".", suffix=".tmp", dir=path.parent) as folder:
        made = Path(folder, path.name)
        experiment.save_model(model, made)
        if not made.exists():
            others = ", ".join(other.name for other in Path(folder).iterdir())
            raise BadInput(
                f"save_model() wrote {others or 'nothing'}, and no {path.name}",
                "write to exactly the path that it is given",
            )
        for file in files_of_model(made):
            make_reproducible(file)
        remove(path)
        made.replace(path)


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
        return numbers.setdefault(found[0], str(len(numbers)))

    schema = SKOPS_NAME.sub(number, files.pop(SCHEMA).decode())
    renamed = {STEM.sub(number, name): content for name, content in files.items()}
    renamed[SCHEMA] = schema.encode()
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in sorted(renamed.items()):
            entry = zipfile.ZipInfo(name, FIXED_DATE)
            archive.writestr(entry, content, compression)
