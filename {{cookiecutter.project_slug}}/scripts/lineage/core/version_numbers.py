"""The names of versions, `e{major}.{minor}.{patch}`: read, ordered, counted up."""

import re
from collections.abc import Collection
from typing import Literal

from lineage.core.errors import BadInput

VERSION = r"^e(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})$"
Part = Literal["major", "minor", "patch"]
Numbers = tuple[int, ...]


def parse(version: str) -> Numbers:
    """Read `eX.Y.Z` as three numbers, by which versions are sorted.

    Raises:
        BadInput: anything else.
    """
    found = re.fullmatch(VERSION, version)
    if found is None:
        allowed = "allowed: e{major}.{minor}.{patch}, as in e0.1.0"
        raise BadInput(f"{version!r} is not a version; {allowed}")
    return tuple(map(int, found.groups()))


def version_key(version: object) -> tuple[Numbers, str]:
    """Give the sort key for whatever rows call a version; what is none comes first, by its text."""
    try:
        return parse(str(version)), ""
    except BadInput:
        return (-1,), str(version)


def following(version: str, part: Part, taken: Collection[str] = ()) -> str:
    """Count a version up, on and on until it is none of those that are taken.

    Example: `following("e1.2.3", "minor")` is `e1.3.0`, or `e1.4.0` when `e1.3.0` is taken.
    """
    major, minor, patch = parse(version)
    name = {
        "major": f"e{major + 1}.0.0",
        "minor": f"e{major}.{minor + 1}.0",
        "patch": f"e{major}.{minor}.{patch + 1}",
    }[part]
    return following(name, part, taken) if name in taken else name
