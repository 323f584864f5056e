"""`Refused` (exit 1), `BadInput` (exit 2), and the message for an extra that is not here."""

from collections.abc import Iterator
from contextlib import contextmanager

WITH_PACKAGES = ("cluster", "report", "search", "update")
"""Extras that need packages of their own."""


class LineageError(Exception):
    """An error a user can cause: what is wrong, where, and the remedy; no traceback is shown.

    Args:
        problem: one sentence that names the file, column or key.
        remedy: a command or an action that helps; printed on its own line.
    """

    exit_code = 1

    def __init__(self, problem: str, remedy: str | None = None) -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(problem if remedy is None else f"{problem}\n  → {remedy}")


class Refused(LineageError):
    """Going on would lose something, or the work failed; nothing was changed (exit code 1)."""


class BadInput(LineageError):
    """A wrong key, value, file or argument; nothing was changed (exit code 2)."""

    exit_code = 2


@contextmanager
def explain_missing(extra: str, asked_by: str) -> Iterator[None]:
    """Explain a failing import from an extra, which may be deleted or lack its packages.

    Args:
        extra: its name, as in `make setup EXTRAS=search`; empty: whichever is not here.
        asked_by: a key of params.yaml, a file, or a command.

    Raises:
        BadInput: a module of the extra, or a package of its own, is not there.
        ModuleNotFoundError: a package that all of the project needs is not there.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        _, is_extra, module = str(error.name).partition("extras")
        if extra not in WITH_PACKAGES and not is_extra:
            raise
        asked = module.strip(".").partition(".")[0] or extra  # or another that this one needs
        raise BadInput(
            f"{asked_by} asks for an extra that is not here: {error}", f"make setup EXTRAS={asked}"
        ) from None


def not_installed(missing: ModuleNotFoundError) -> BadInput:
    """Make the error for a Python that lacks a package of the project's environment."""
    return BadInput(
        f"{missing.name} is not installed in the Python that runs this",
        "make setup && . .venv/bin/activate",
    )
