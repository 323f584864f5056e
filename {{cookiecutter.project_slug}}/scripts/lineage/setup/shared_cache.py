"""Make the folder of the shared cache, name it in `.dvc/config.local`, choose safe link types."""

import os
import re
from pathlib import Path
from typing import Any

from lineage.core.check_result import Step, done
from lineage.core.errors import Refused
from lineage.setup.check_remote import make_folder
from lineage.tracked.cache import dvc_config
from lineage.tracked.whole_file import write_text

COPIES = "reflink,copy"


def link_types() -> str:
    """Say how tracked files are linked to the cache: without duplicates, where that is safe.

    DVC makes hard links read-only, which does not keep root from writing through one.
    """
    return COPIES if os.geteuid() == 0 else "reflink,hardlink,copy"


def check_links(types: object) -> None:
    """Raise `Refused` where root could write into the cache through a link of these types."""
    if link_types() == COPIES and re.search("hard|sym", str(types)):
        raise Refused(
            "you are root, and could write into the cache through a link",
            f"dvc config --local cache.type {COPIES} && dvc checkout --relink",
        )


def make_cache(root: Path, answer: str | None) -> Step:
    """Make the shared cache, and name it in `.dvc/config.local`; what is set there stays."""
    local = root / ".dvc/config.local"
    known = dvc_config(root).load_one("local")["cache"] if local.exists() else {}
    if answer is None:
        answer = pyproject(root)["tool"]["lineage"]["shared_cache_dir"]
    default = root / Path(answer).expanduser()
    wanted = {"dir": os.path.normpath(default), "type": link_types(), **known}
    check_links(wanted["type"])
    folder = wanted["dir"]
    remedy = "dvc cache dir --local FOLDER && make setup"
    make_folder(folder, remedy)
    if not os.access(folder, os.W_OK):
        raise Refused(f"{folder} is not writable", remedy)
    if not local.exists():
        lines = [f"    {name} = {quoted(value)}\n" for name, value in wanted.items()]
        write_text(local, "".join(["[cache]\n", *lines]))
    elif known != wanted:
        with dvc_config(root).edit("local") as config:
            config["cache"] = wanted
    return done("cache", f"{folder} (shared; set in .dvc/config.local)")


def quoted(value: str) -> str:
    """Quote a value of a DVC configuration file as DVC does, so that no DVC is needed for it."""
    if not re.search(r"[,#]|^[\s\"']|[\s\"']$", value):
        return value
    quote = next(quote for quote in ('"', "'", "'''") if quote not in value)
    return f"{quote}{value}{quote}"


def pyproject(root: Path) -> Any:
    """Read pyproject.toml."""
    import tomlkit

    return tomlkit.parse((root / "pyproject.toml").read_bytes()).unwrap()
