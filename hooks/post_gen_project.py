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


def link(answers: dict[str, object], project: Path) -> None:
    """Write down which commit of which template this is, in cruft's own file, so that `make update` works.

    cruft does that itself, and has no `_repo_dir`. A template that is not at the top of a Git repository cannot be updated from.
    """
    if "_repo_dir" not in answers:
        return
    clone = Path(os.environ.get("PWD", "/"), str(answers["_repo_dir"])).resolve()
    if git(clone, "rev-parse", "--show-toplevel") != str(clone):
        return
    typed = Path(os.environ.get("PWD", "/"), str(answers["_template"])).resolve()
    known = {
        "template": str(typed) if typed.is_dir() else git(clone, "remote", "get-url", "origin"),
        "commit": git(clone, "rev-parse", "HEAD"),
        "checkout": answers.get("_checkout"),
        "context": {"cookiecutter": {name: answer for name, answer in answers.items() if not name.startswith("_")}},
        "directory": None,
    }
    (project / ".cruft.json").write_text(json.dumps(known, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def git(folder: Path, *words: str) -> str:
    """Ask Git; nothing where it fails or is not there."""
    try:
        return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""


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
    link(ANSWERS, project)
    set_up(ANSWERS, project)
    print(next_steps(project), end="")


if __name__ == "__main__":
    main()
