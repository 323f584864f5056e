"""Raise the newest tag's patch, minor or major until it is free; write it into params.yaml."""

from pathlib import Path

from lineage.core.console import say
from lineage.core.params import read_params, with_version
from lineage.core.paths import PARAMS
from lineage.core.version_numbers import Part, following
from lineage.tracked.version_tags import newest_tag, taken_versions
from lineage.tracked.whole_file import write_text


def next_version(root: Path, part: Part) -> str:
    """Raise a number of the newest version in this history, until nobody has the version yet.

    Args:
        root: the project's root.
        part: the number. Tags here and on Git's remote are taken.

    Raises:
        BadInput: params.yaml is wrong.
    """
    last = newest_tag(root)
    version = last.version if last else read_params(root / PARAMS).experiment.version
    return following(version, part, taken_versions(root))


def start_version(root: Path, version: str) -> None:
    """Write a version that is free into params.yaml, and say how to go on.

    Raises:
        BadInput: params.yaml is wrong, or the version cannot be changed there.
    """
    set_version(root, version)
    say(
        f"{PARAMS} says {version}; no tag has closed it\n"
        f"  → git commit --all --message 'Start {version}'; dvc repro"
    )


def set_version(root: Path, version: str) -> None:
    """Change `experiment.version` in params.yaml, and no other byte."""
    file = root / PARAMS
    write_text(file, with_version(file.read_bytes().decode("utf-8"), version))
