"""Run a script of a project in this process, and write down which of the project's files and params it reads.

Usage: watch_stage.py RECORD.json SCRIPT [ARGUMENT ...]   (in the project's root)

Files are seen where Python opens them, or SQLite does; not where DuckDB or Arrow do. Params are seen as attributes that
anything but `lineage.core.params` itself reads.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

ROOT = Path.cwd()
FILES: set[str] = set()
PARAMS: set[str] = set()


def watch_files(event: str, arguments: tuple[Any, ...]) -> None:
    """Note a file that is opened for reading; called by Python for everything that is audited."""
    if event == "open" and arguments[2] & os.O_ACCMODE != os.O_WRONLY:
        note_file(arguments[0])
    if event == "sqlite3.connect":
        note_file(arguments[0])


def note_file(name: Any) -> None:
    """Note a path, if it is one and lies in the project."""
    if isinstance(name, bytes | os.PathLike):
        name = os.fsdecode(name)
    if isinstance(name, str):
        path = ROOT / unquote(name.removeprefix("file:").partition("?")[0])
        if path.is_relative_to(ROOT) and path.is_file():
            FILES.add(path.relative_to(ROOT).as_posix())


def note_param(name: str, value: Any) -> None:
    """Note a param; a whole section is none."""
    from pydantic import BaseModel

    if not isinstance(value, BaseModel):
        PARAMS.add(name)


def name_sections(section: Any, prefix: str) -> dict[Any, str]:
    """Name the section of `params.yaml`, and those in it, as what their keys begin with: `sweep.search.`."""
    from pydantic import BaseModel

    found = {section: prefix}
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= name_sections(field.annotation, f"{prefix}{name}.")
    return found


def watch_params() -> None:
    """Note every attribute of the params that is read from now on."""
    from pydantic import BaseModel

    from lineage.core import params

    read = BaseModel.__getattribute__
    sections = name_sections(params.Params, "")

    def note(self: BaseModel, name: str) -> Any:
        value = read(self, name)
        kind = type(self)
        asked_by = sys._getframe(1).f_globals.get("__name__")
        if kind in sections and name in kind.model_fields and asked_by != params.__name__:
            note_param(sections[kind] + name, value)
        return value

    BaseModel.__getattribute__ = note  # type: ignore[method-assign, assignment]


def main(record: Path, script: str, *arguments: str) -> None:
    """Run the script, and write the record however it ends."""
    sys.path.insert(0, str(ROOT / "scripts"))
    sys.argv = [script, *arguments]
    watch_params()
    sys.addaudithook(watch_files)
    try:
        runpy.run_path(script, run_name="__main__")
    finally:
        seen = {"files": sorted(FILES), "params": sorted(PARAMS)}
        record.write_text(json.dumps(seen), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
