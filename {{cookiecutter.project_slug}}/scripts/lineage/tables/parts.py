"""A folder of parquet parts is read as one file: `data/train.parquet` with `data_layout: parts`.

    data/train.parquet/
        part-000000-1f0e3dad9990.parquet    the head: no rows, and the record of what was merged
        part-000001-9cfefed8fb94.parquet    rows, in the order in which they arrived
        part-000002-45c48cce2e2d.parquet

A name is a number, which orders the parts everywhere, and the start of the md5 of the bytes.
All parts have the same columns and metadata: whatever reads a folder of parquet files reads it.
"""

import re
import shlex
from pathlib import Path

from lineage.core.errors import BadInput

PART = re.compile(r"part-(\d{6})-[0-9a-f]{12}\.parquet")
LEFT_OUT = re.compile(r"\.DS_Store|\..*\.tmp")
"""Files that DVC leaves out as well: `.dvcignore` has them."""

HEAD = 0
"""The number of the part that has no rows."""


def part_name(number: int, md5: str) -> str:
    """Name a part."""
    return f"part-{number:06}-{md5[:12]}.parquet"


def part_number(part: Path) -> int:
    """Read the number of a part from its name."""
    return int(part.name.split("-")[1])


def is_parts(path: Path) -> bool:
    """Tell whether a path is a folder of parts: it has a head."""
    return any(path.glob(f"part-{HEAD:06}-*.parquet"))


def parts_of(path: Path) -> list[Path]:
    """List the parts of a folder in order, the head first; a file is its own only part.

    Raises:
        BadInput: the folder holds something else, two parts of one number, or no head.
    """
    if not path.is_dir():
        return [path]
    if not is_parts(path):
        problem = f"{path} is a folder, and none of parts: it has no part-{HEAD:06}"
        raise BadInput(problem, f"mv {shlex.quote(str(path))} {shlex.quote(f'{path}.old')}")
    parts: dict[int, Path] = {}
    for file in sorted(path.iterdir()):
        if LEFT_OUT.fullmatch(file.name):
            continue
        if not PART.fullmatch(file.name) or part_number(file) in parts:
            problem = f"{file} is no part of the data in that folder, or one too many"
            raise BadInput(problem, f"mv {shlex.quote(str(file))} .   # out of the folder")
        parts[part_number(file)] = file
    return list(parts.values())
