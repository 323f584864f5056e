"""An environment of a test's own, in which `make setup` can install what it installs for a project."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from baked_projects import Project


def make_environment(folder: Path) -> Path:
    """Make a virtual environment that sees the packages of the one that runs the tests; without a network.

    Returns:
        its folder. `make` takes what the lock pins as installed.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    [packages] = folder.glob("lib/python3*/site-packages")
    (packages / "of_the_tests.pth").write_text(
        "\n".join(path for path in sys.path if path.endswith("site-packages")), encoding="utf-8"
    )
    return folder


def set_up(project: Project, environment: Path) -> str:
    """Run `make setup` with an environment in which nothing needs to be installed; return what it said."""
    installed = environment / ".installed"
    installed.touch()
    done = project.run("make", f"--old-file={installed}", "setup", f"VENV={environment}")
    return done.stdout
