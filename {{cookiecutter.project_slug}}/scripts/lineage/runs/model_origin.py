"""What a model takes and was made with: metadata of the file of its run's predictions."""

import json
import re
import sys
from contextlib import suppress
from functools import cache
from typing import Any

METADATA_KEY = "lineage_model"
MODULE = re.compile(r"^(\w+)(?:/.*)?\.py,", re.MULTILINE)
"""A line of a package's list of files, as far as it names what is imported."""


def as_metadata(dtypes: Any) -> dict[str, str]:
    """Write where a model comes from that was fitted and evaluated in this process.

    Args:
        dtypes: of the training data as `load_data` returned them, a Series of pandas by column.

    Returns:
        JSON with `input_signature`: columns and dtypes of the training data, null where they are
        no DataFrame; and `packages`: the version of every one that is loaded.
    """
    signature = None
    with suppress(AttributeError):
        signature = {str(name): str(kind) for name, kind in dtypes.items()}
    packages = _packages(frozenset(sys.modules))
    return {METADATA_KEY: json.dumps({"input_signature": signature, "packages": packages})}


@cache
def _packages(loaded: frozenset[str]) -> dict[str, str]:
    """Find the versions of the packages to which modules belong, by name."""
    # packages_distributions() would be shorter, but misses most packages before Python 3.11
    from importlib.metadata import distributions

    found = [
        (package.name, package.version)
        for package in distributions()  # whose `files` parses all: half a second
        if not loaded.isdisjoint(MODULE.findall(package.read_text("RECORD") or ""))
    ]
    return dict(sorted(found))
