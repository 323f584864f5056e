"""How every command starts, says things, and ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from threading import Timer

import typer

from lineage.errors import LineageError


class Format(str, Enum):
    """How a listing is printed."""

    table = "table"
    json = "json"
    csv = "csv"
    md = "md"


class Mode(str, Enum):
    """What is best: the largest value, or the smallest."""

    max = "max"
    min = "min"


QUIET_SECONDS = 2.0

DEBUG = typer.Option(False, "--debug", help="Show the Python traceback of an error.")


def say(line: str) -> None:
    """Print one line of progress to standard output, at once even when it is piped."""
    print(line, flush=True)


def warn(line: str) -> None:
    """Print one warning to standard error."""
    print(f"warning: {line}", file=sys.stderr, flush=True)


@contextmanager
def progress(text: str) -> Iterator[None]:
    """Show on a terminal, from the third second on, that work goes on and for how long it has."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    bar.add_task(text, total=None)
    timer = Timer(QUIET_SECONDS, bar.start)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        bar.stop()


def new_app(help_text: str) -> typer.Typer:
    """Make a Typer application with plain messages: no boxes, no tracebacks."""
    return typer.Typer(help=help_text, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


def guarded(work: Callable[[], None], *, debug: bool = False) -> None:
    """Run `work`; turn a `LineageError` into its message on standard error and its exit code.

    Raises:
        typer.Exit: with 1 (refused or failed) or 2 (bad input), or 130 after Ctrl-C.
    """
    try:
        work()
    except LineageError as error:
        if debug or os.environ.get("LINEAGE_DEBUG"):
            raise
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        print("interrupted: nothing that was accumulated before has changed", file=sys.stderr)
        raise typer.Exit(130) from None
    except OSError as error:
        if debug or os.environ.get("LINEAGE_DEBUG"):
            raise
        where = f" ({error.filename})" if error.filename else ""
        print(f"error: {error.strerror or error}{where}; nothing was changed", file=sys.stderr)
        raise typer.Exit(1) from None
