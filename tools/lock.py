"""Write the lock files of the generated project, and `requirements-dev.lock` of the template on top of them.

All carry hashes for every platform and Python version, and no index address.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cookiecutter.main import cookiecutter

ROOT = Path(__file__).parents[1]
PROJECT = ROOT / "{{cookiecutter.project_slug}}"
EXTRAS = ("search", "cluster", "update")
PROJECT_LOCKS = ("requirements.lock", *(f"requirements-{extra}.lock" for extra in EXTRAS))
TEMPLATE_LOCK = ROOT / "requirements-dev.lock"
OPTIONS = ("--quiet", "--universal", "--generate-hashes", "--no-annotate", "--no-emit-index-url")


def lock_project() -> None:
    """Bake a project, run its own `make lock`, and take the lock files over; versions are kept where they fit."""
    with tempfile.TemporaryDirectory() as folder:
        answers = {"shared_cache_dir": f"{folder}/cache"}
        project = cookiecutter(str(ROOT), no_input=True, output_dir=folder, extra_context=answers)
        subprocess.run(["make", "lock"], cwd=project, check=True)
        for name in PROJECT_LOCKS:
            shutil.copyfile(Path(project, name), PROJECT / name)


def lock_template() -> None:
    """Add what a contributor needs. What the project pins is pinned here too, so that one environment serves both."""
    with tempfile.TemporaryDirectory() as folder:
        pinned = Path(folder, "pinned.txt")
        pinned.write_text("\n".join((PROJECT / name).read_text("utf-8") for name in PROJECT_LOCKS), "utf-8")
        command = [sys.executable, "-m", "uv", "pip", "compile", *OPTIONS, "--python-version", "3.10"]
        written = ["--custom-compile-command", "make lock", "--output-file", str(TEMPLATE_LOCK)]
        subprocess.run([*command, *written, "--group", "dev", str(pinned)], cwd=ROOT, check=True)


if __name__ == "__main__":
    lock_project()
    lock_template()
