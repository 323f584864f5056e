"""How every command starts, says things, shows progress, and ends."""

import inspect
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from threading import Timer
from typing import Any, Literal

from lineage.core.errors import BadInput, LineageError, not_installed
from lineage.core.paths import DATABASE

try:
    import typer
except ModuleNotFoundError as missing:
    print(f"error: {not_installed(missing)}", file=sys.stderr)
    sys.exit(2)

Argument = typer.Argument
Option = typer.Option
Format = Literal["table", "json", "csv", "md"]
"""How a listing is printed."""

Mode = Literal["max", "min"]
"""What is best: the largest value, or the smallest."""

QUIET_SECONDS = 2.0
"""How long work may take before a terminal shows that it goes on."""

DEBUG = inspect.Parameter(
    "debug",
    inspect.Parameter.KEYWORD_ONLY,
    default=Option(False, "--debug", help="Show the Python traceback of an error."),
    annotation=bool,
)


DB = DEBUG.replace(name="db", default=Option(None, "--db", hidden=True), annotation=str | None)
"""An option of every command, since there is one results database; some take any."""


def say(line: str) -> None:
    """Print one line of progress to standard output, at once even when it is piped."""
    with _readers_may_leave():
        typer.echo(line)


@contextmanager
def _readers_may_leave() -> Iterator[None]:
    """Let what is printed go nowhere once nobody reads it any more, as after `… | head`."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        output = select.poll()
        output.register(sys.stdout.fileno(), 0)
        if not output.poll(0):  # another pipe broke
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def warn(line: str) -> None:
    """Print one warning to standard error."""
    typer.echo(f"warning: {line}", err=True)


@contextmanager
def progress(text: str) -> Iterator[None]:
    """Show on a terminal, from the third second on, that work goes on and for how long it has."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn

    bar = Progress(
        SpinnerColumn(),
        "{task.description}",
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    bar.add_task(text, total=None)
    timer = Timer(QUIET_SECONDS, bar.start)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        bar.stop()


class Commands(typer.Typer):
    """An application whose commands have `--debug`, and end with 0, or a message and 1, 2, 130."""

    def command(self, *words: Any, **options: Any) -> Callable[[Any], Any]:
        """Register a command, as `typer.Typer.command` does."""
        register = super().command(*words, **options)
        return lambda function: register(_guarded(function))


def new_app(help_text: str) -> Commands:
    """Make an application with plain messages: no boxes, no tracebacks."""
    return Commands(
        help=help_text, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False
    )


def _guarded(function: Callable[..., None]) -> Callable[..., None]:
    """Turn the errors that a user can cause into messages on standard error and exit codes."""
    own = inspect.signature(function)
    parameters = dict(own.parameters)
    parameters.setdefault("db", DB)
    parameters["debug"] = DEBUG

    @wraps(function)
    def command(**options: Any) -> None:
        # SIGTERM is what a scheduler sends: clean up after it as after Ctrl-C
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            if parameters["db"] is DB and options["db"] not in (None, DATABASE):
                raise BadInput(f"--db: this command knows {DATABASE} only", "leave --db out")
            with _readers_may_leave():
                function(**{name: options[name] for name in own.parameters})
        except (LineageError, OSError, ModuleNotFoundError) as error:
            if options["debug"] or os.environ.get("LINEAGE_DEBUG"):
                raise
            if isinstance(error, ModuleNotFoundError):
                error = not_installed(error)
            typer.echo(f"error: {_describe(error)}", err=True)
            raise typer.Exit(getattr(error, "exit_code", 1)) from None
        except KeyboardInterrupt:
            typer.echo("interrupted: nothing that was accumulated before has changed", err=True)
            raise typer.Exit(130) from None

    shown = own.replace(parameters=list(parameters.values()))
    command.__signature__ = shown  # type: ignore[attr-defined]
    return command


def _describe(error: LineageError | OSError) -> str:
    if isinstance(error, LineageError):
        return str(error)
    where = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{where}; nothing was changed"
