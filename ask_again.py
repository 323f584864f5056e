"""Ask again for a wrong answer, at once. cookiecutter loads this as an extension of Jinja (`_extensions`).

cookiecutter renders the keys of `cookiecutter.json` one after another, between its questions: a key that begins with
`__` behind a question looks at the answer, and may put another in its place.
"""

from __future__ import annotations

import importlib.util
import inspect
import logging
import sys
from pathlib import Path
from types import ModuleType

from jinja2 import Environment
from jinja2.ext import Extension
from rich.prompt import Prompt

FINE = {
    "project_name": "Name",
    "project_slug": "name",
    "description": "",
    "author_name": "Name",
    "author_email": "name@example.com",
    "dvc_remote_url": "s3://bucket",
    "s3_endpoint_url": "",
    "s3_region": "",
    "shared_cache_dir": "/",
}
"""Answers with which nothing is wrong, in place of those that are not given yet."""


class AskAgain(Extension):
    """Gives templates the filter `ask_again`, and takes cookiecutter's traceback from what a hook refuses."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.filters["ask_again"] = ask_again
        logging.getLogger("cookiecutter.hooks").addFilter(drop_traceback)


def ask_again(answers: dict[str, str], name: str) -> str:
    """Ask for an answer until it is right; `pre_gen_project.py` says what is wrong, and refuses where nobody is asked.

    Args:
        answers: those so far, in which the new one is put.
        name: of the question.

    Returns:
        the empty text.
    """
    check = load_checks()
    while is_asking():
        given = {key: answers.get(key, fine) for key, fine in FINE.items()}
        problems = [problem for problem in check.find_problems(given) if problem.startswith(f"{name}:")]
        if not problems:
            break
        print(f"  {problems[0]}")
        answers[name] = Prompt.ask(f"  {name}")
    return ""


def is_asking() -> bool:
    """Tell whether cookiecutter, or cruft by its function, asks somebody at a terminal."""
    callers = [caller.frame.f_locals for caller in inspect.stack(0) if caller.function == "prompt_for_config"]
    return sys.stdin.isatty() and not any(caller["no_input"] for caller in callers)


def load_checks() -> ModuleType:
    """Import the hook as it lies here, before its answers are rendered into it."""
    spec = importlib.util.spec_from_file_location("checks", Path(__file__).parent / "hooks/pre_gen_project.py")
    assert spec is not None and spec.loader is not None
    checks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(checks)
    return checks


def drop_traceback(record: logging.LogRecord) -> bool:
    """Keep what cookiecutter logs of a hook that failed, without its own traceback."""
    record.exc_info = None
    return True
