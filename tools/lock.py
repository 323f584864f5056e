"""Write `requirements.lock` of the generated project, and `requirements-dev.lock` of the template on top of it.

Both carry hashes for every platform and Python version, and no index address.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from cookiecutter.main import cookiecutter

ROOT = Path(__file__).parents[1]
PROJECT = ROOT / "{{cookiecutter.project_slug}}"
OPTIONS = (
    "--quiet",
    "--universal",
    "--generate-hashes",
    "--no-annotate",
    "--no-emit-index-url",
    "--python-version",
    "3.10",
)


def compile_lock(target: Path, *sources: str) -> None:
    """Resolve the sources into a lock file; an existing one keeps its versions where they fit."""
    environment = {**os.environ, "UV_NO_CONFIG": "1"}
    command = [sys.executable, "-m", "uv", "pip", "compile", *OPTIONS, "--custom-compile-command", "make lock"]
    subprocess.run([*command, "--output-file", str(target), *sources], cwd=ROOT, env=environment, check=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        answers = {"shared_cache_dir": f"{folder}/cache"}
        project = Path(cookiecutter(str(ROOT), no_input=True, output_dir=folder, extra_context=answers))
        compile_lock(PROJECT / "requirements.lock", "--extra", "dev", str(project / "pyproject.toml"))
    # What the project pins is pinned for the template too, so that one environment serves both.
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as pinned:
        pinned.write((PROJECT / "requirements.lock").read_text(encoding="utf-8"))
        pinned.flush()
        compile_lock(ROOT / "requirements-dev.lock", "--group", "dev", pinned.name)


if __name__ == "__main__":
    main()
