"""A folder of parquet parts is read as one file: `data/train.parquet` with `data_layout: parts`.

    data/train.parquet/
        part-000001-9cfefed8fb94.parquet    rows, in the order in which they arrived
        part-000002-45c48cce2e2d.parquet
        part-record-1f0e3dad9990.parquet    no rows, and the record of what was merged

A name ends in the start of the md5 of the bytes. All parts have the same columns and metadata, so
whatever reads a folder of parquet files reads this one. What has no rows comes last: from the first
file DuckDB estimates how many rows there are, and Dask shows its `head()`.
"""

import re
import shlex
from pathlib import Path

from lineage.core.errors import BadInput

PART = re.compile(r"part-(\d{6}|record)-[0-9a-f]{12}\.parquet")
LEFT_OUT = re.compile(r"\.DS_Store|\..*\.tmp")
"""Files that DVC leaves out as well: `.dvcignore` has them."""


RECORD = "record"
"""The place of the part with the record, after those of numbers."""


def part_name(place: str, md5: str) -> str:
    """Name a part by its place, as `000001`, and the hash of its bytes."""
    return f"part-{place}-{md5[:12]}.parquet"


def place_of_part(part: Path) -> str:
    """Read the place of a part from its name: `000001`, or `record`."""
    return part.name.split("-")[1]


def is_parts(path: Path) -> bool:
    """Tell whether a path is a folder of parts: one has the record."""
    return any(path.glob(f"part-{RECORD}-*.parquet"))


def parts_of(path: Path) -> list[Path]:
    """List the parts of a folder in order, that with the record last; a file is its own only part.

    Raises:
        BadInput: the folder holds something else, or two parts for one place, or no record.
    """
    if not path.is_dir():
        return [path]
    if not is_parts(path):
        problem = f"{path} is a folder, and none of parts: it has no part-record"
        raise BadInput(problem, f"mv {shlex.quote(str(path))} {shlex.quote(f'{path}.old')}")
    parts: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        if LEFT_OUT.fullmatch(file.name):
            continue
        if not PART.fullmatch(file.name) or place_of_part(file) in parts:
            problem = f"{file} is no part of the data in that folder, or one too many"
            raise BadInput(problem, f"mv {shlex.quote(str(file))} .   # out of the folder")
        parts[place_of_part(file)] = file
    return list(parts.values())
