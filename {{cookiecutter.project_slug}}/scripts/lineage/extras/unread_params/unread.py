"""Keys of `model` in params.yaml that no code reads, most likely since they are mistyped.

The code is searched, not run, and a doubt counts as a read: where params are handed on whole, as in
`Ridge(**params)` or `dict(params)`, any key may be read.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lineage.core.console import warn

READ_HERE = ("name", "seed")
"""Keys that the template reads itself: for the text of a tag, and for `random`."""

LOOKUP = r"(?:\[|\.(?:get|pop|setdefault)\()'"
"""What stands before the name of a key, as `ast.unparse` writes code: `['`, `.get('`."""

FIT = r"(?m)^def fit\(\w+(?:: [\w.]+)?, (\w+)"
"""The first line of `fit`, up to the name of its second parameter."""

NO_USE = r'(?ms)""".*?"""|^ *def [^\n]*'
"""Docstrings, and the first lines of functions."""


def warn_of_unread(model: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """Name the keys of `model` that the code never reads, in one line.

    Args:
        model: the section of params.yaml.
        files: content of `experiment.py` and of the modules that it imports, by path.
    """
    code = "\n".join(ast.unparse(ast.parse(content)) for content in files.values())
    if keys := unread(model, code):
        warn(f"params.yaml: the code never reads {', '.join(keys)}")


def unread(model: Mapping[str, Any], code: str) -> list[str]:
    """List the keys that are never looked up; of a section that is not, its own.

    Args:
        model: the section of params.yaml.
        code: as `ast.unparse` writes it, that of experiment.py first.
    """
    fit = re.search(FIT, code)
    if not fit:
        return []
    name = fit[1]
    takers = "|".join(re.findall(rf"(?m)^def (\w+)\([^\n]*\b{name}\b", code))
    uses = re.sub(rf"{NO_USE}|\b(?:{takers})\([^()]*\)", "", code)
    params = rf"(?<!' in )(?<!' not in )\b(?:{name}|params)\b"
    return [f"model.{key}" for key in _unread(model, params, code, uses)]


def _unread(section: Mapping[str, Any], holder: str, code: str, uses: str) -> Iterator[str]:
    """Yield the keys of a section, unless it is used otherwise than to look something up in it."""
    if re.search(rf"{holder}(?!\]?{LOOKUP})", uses):
        return
    for key, value in section.items():
        lookup = f"{LOOKUP}{re.escape(str(key))}'"
        if key not in READ_HERE and not re.search(lookup, code):
            yield str(key)
        elif isinstance(value, Mapping):
            for inner in _unread(value, lookup, code, uses):
                yield f"{key}.{inner}"
