"""A Python that has cookiecutter and nothing else, as `pipx install cookiecutter` makes it; made without a network."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path


def make_bare_python(folder: Path) -> Path:
    """Make a virtual environment whose packages are those of cookiecutter, linked from the one that runs the tests.

    Returns:
        its Python.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    [packages] = folder.glob("lib/python3*/site-packages")
    for name in needed_by("cookiecutter"):
        for file in distribution(name).files or []:
            top = packages / file.parts[0]
            if file.parts[0] not in ("..", "__pycache__") and not top.exists():
                top.symlink_to(Path(str(distribution(name).locate_file(file.parts[0]))))
    return folder / "bin/python"


def needed_by(name: str) -> set[str]:
    """The package and all that it needs here, extras apart."""
    found: set[str] = set()
    todo = {name}
    while todo:
        found.add(package := todo.pop())
        required = [line for line in distribution(package).requires or [] if "extra ==" not in line]
        names = {re.split(r"[^A-Za-z0-9._-]", line)[0] for line in required}
        todo |= {each for each in names if is_installed(each)} - found
    return found


def is_installed(name: str) -> bool:
    try:
        return bool(distribution(name).files)
    except ModuleNotFoundError:  # for another platform or Python
        return False
