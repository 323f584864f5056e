"""Hand the new project to its own setup: git, DVC, first commit. Never fails, never uses the network."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ANSWERS = json.loads(r"""{{ cookiecutter | tojson }}""")


def is_rerender(answers: dict[str, object], project: Path) -> bool:
    """Tell whether cruft renders the project again in a temporary folder, to compare (`cruft update`, `cruft diff`).

    cookiecutter itself says where it writes (`_output_dir`); cruft does not, and re-renders below a temporary folder.
    """
    temporary = Path(tempfile.gettempdir()).resolve()
    return "_output_dir" not in answers and project.resolve().parent.parent == temporary


def set_up(answers: dict[str, object], project: Path) -> None:
    """Run the project's setup with this interpreter and show its lines."""
    author = f"{' '.join(str(answers['author_name']).split())} <{answers['author_email']}>"
    options = ["--first", "--cache-dir", str(answers["shared_cache_dir"]), "--author", author]
    subprocess.run([sys.executable, "scripts/setup_project.py", *options], cwd=project, check=False)


def next_steps(project: Path) -> str:
    """Say what to type next. It works as it stands, from the folder in which cookiecutter was started."""
    typed_in = Path(os.environ.get("PWD", "/"))
    folder = project.name if typed_in.resolve() == project.parent.resolve() else str(project)
    return (
        "\nNext:\n"
        f"  cd {shlex.quote(folder)}\n"
        "  make setup         # environment in .venv, Git hooks; looks at the remote\n"
        "  make repro         # everything: merge data, train, merge results, promote the best model\n"
        "  make leaderboard   # what came out\n"
    )


def main() -> None:
    """Set up, and say what comes next."""
    project = Path.cwd()
    if is_rerender(ANSWERS, project):
        return
    set_up(ANSWERS, project)
    print(next_steps(project), end="")


if __name__ == "__main__":
    main()
