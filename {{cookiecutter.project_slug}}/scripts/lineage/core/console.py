"""How a command starts, says things, shows progress, and ends."""

import inspect
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from threading import Timer
from typing import Annotated, Any, Literal

from lineage.core.errors import BadInput, LineageError, explain_missing, not_installed
from lineage.core.paths import DATABASE
from lineage.core.template_version import template_version

try:
    import typer.completion
    import typer.core
except ModuleNotFoundError as missing:
    print(f"error: {not_installed(missing)}", file=sys.stderr)
    sys.exit(2)

Argument = typer.Argument
Option = typer.Option
Group = typer.core.TyperGroup
Format = Literal["table", "json", "csv", "md"]
Form = Annotated[Format, Option(help="How to print.")]
"""How a listing is printed."""

Mode = Literal["max", "min"]
"""What is best: the largest value, or the smallest."""

QUIET_SECONDS = 2.0
"""How long work may take before a terminal shows that it goes on."""

QUIET = "LINEAGE_QUIET"
VERBOSE = "LINEAGE_VERBOSE"
"""Variables that mean `--quiet` and `--verbose`, for the stages that `dvc repro` starts, too."""

COMPLETE = "LINEAGE_COMPLETE"
"""The variable by which docs/completion.sh asks a command what may come next."""

Show = Callable[[int], object]
"""How far work is: a function to call with the number of steps done."""


FLAGS = {
    "quiet": "Print results, warnings and errors only.",
    "verbose": "Show commands and SQL as they run, on standard error.",
    "debug": "Show the Python traceback of an error.",
}
"""Options of every command, and what they do."""

DB = inspect.Parameter(
    "db",
    inspect.Parameter.KEYWORD_ONLY,
    default=Option(None, "--db", hidden=True),
    annotation=str | None,
)
"""An option of every command, since there is one results database; some take any."""


def say(line: str, *, is_result: bool = False) -> None:
    """Print one line to standard output, at once even when it is piped.

    Args:
        line: what to say.
        is_result: it is what the command was asked for, and `--quiet` leaves it.
    """
    if QUIET in os.environ and not is_result:
        return
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


def is_live(stream: Any) -> bool:
    """Tell whether a stream is a terminal on which lines may move, and `--quiet` is not given."""
    return stream.isatty() and QUIET not in os.environ


@contextmanager
def progress(text: str, total: int | None = None) -> Iterator[Show]:
    """Show on a terminal, from the third second on, that work goes on, and how long it takes.

    Args:
        text: what is done.
        total: of how many steps, from which the time left follows; None: nobody knows.

    Yields:
        a function to call with the number of steps done.
    """
    if not is_live(sys.stderr):
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn, TimeRemainingColumn

    steps = ("{task.completed}/{task.total}  time left", TimeRemainingColumn()) if total else ()
    bar = Progress(
        SpinnerColumn(),
        "{task.description}",
        TimeElapsedColumn(),
        *steps,
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task(text, total=total)
    timer = Timer(QUIET_SECONDS, bar.start)
    timer.start()
    try:
        yield lambda done: bar.update(task, completed=done)
    finally:
        timer.cancel()
        timer.join()
        bar.stop()


class Commands(typer.Typer):
    """An application whose commands have `FLAGS`, and end with 0, or a message and 1, 2, 130."""

    def __call__(self, *words: Any, **options: Any) -> Any:
        """Run the command."""
        begin()
        return super().__call__(*words, complete_var=COMPLETE, **options)

    def command(self, *words: Any, **options: Any) -> Callable[[Any], Any]:
        """Register a command, as `typer.Typer.command` does."""
        register = super().command(*words, **options)
        return lambda function: register(_guarded(function))


def new_app(help_text: str = "") -> Commands:
    """Make an application with plain messages: no boxes, no tracebacks."""
    return Commands(
        help=help_text, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False
    )


def begin() -> None:
    """Answer `--version`, which alone names the template, as that is no version of yours.

    Get ready to answer what may come next, too, where a shell asks.
    """
    if sys.argv[1:] == ["--version"]:
        say(template_version(), is_result=True)
        sys.exit()
    if COMPLETE in os.environ:
        typer.completion.completion_init()


def _guarded(function: Callable[..., None]) -> Callable[..., None]:
    """Turn the errors that a user can cause into messages on standard error and exit codes."""
    own = inspect.signature(function)
    parameters = dict(own.parameters)
    parameters.setdefault("db", DB)
    for name, text in FLAGS.items():
        flag = Option(False, f"--{name}", help=text)
        parameters[name] = DB.replace(name=name, default=flag, annotation=bool)

    @wraps(function)
    def command(**options: Any) -> None:
        # SIGTERM is what a scheduler sends: clean up after it as after Ctrl-C
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            _obey(options)
            if parameters["db"] is DB and options["db"] not in (None, DATABASE):
                raise BadInput(f"--db: this command knows {DATABASE} only", "leave --db out")
            asked_by = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]])
            with _readers_may_leave(), explain_missing("", asked_by):
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


def _obey(options: dict[str, Any]) -> None:
    """Let `--quiet` and `--verbose` hold for this process and what it starts.

    Raises:
        BadInput: the extra that shows steps is not here.
    """
    for name, variable in (("quiet", QUIET), ("verbose", VERBOSE)):
        if options[name]:
            os.environ[variable] = "1"
    if VERBOSE in os.environ:
        with explain_missing("verbose", "--verbose"):
            from lineage.extras.verbose.steps import show_steps
        show_steps()


def _describe(error: LineageError | OSError) -> str:
    if isinstance(error, LineageError):
        return str(error)
    where = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{where}; nothing was changed"
