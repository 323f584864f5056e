"""Start a version: write the next free number into params.yaml, so that it gets new runs."""

from pathlib import Path

from lineage.core.console import say
from lineage.core.params import read_params, with_version
from lineage.core.paths import PARAMS
from lineage.core.version_numbers import Part
from lineage.tracked.version_tags import taken_versions
from lineage.tracked.whole_file import write_text
from lineage.versions.suggest import find_next


def start(root: Path, part: Part | None) -> None:
    """Write the next version that is free, here and on Git's remote, into params.yaml.

    Args:
        root: the project's root.
        part: the number to raise in the newest version of this history; None: as is suggested.

    Raises:
        BadInput: params.yaml is wrong, or the version cannot be changed there.
    """
    params = read_params(root / PARAMS)
    version = find_next(root, params, taken_versions(root), part).name
    set_version(root, version)
    say(f"{PARAMS} says {version}; no tag has closed it")
    say(f"  → git commit --all --message 'Start {version}'; dvc repro")


def set_version(root: Path, version: str) -> None:
    """Change `experiment.version` in params.yaml, and no other byte."""
    file = root / PARAMS
    text = file.read_bytes().decode("utf-8")
    write_text(file, with_version(text, version))
