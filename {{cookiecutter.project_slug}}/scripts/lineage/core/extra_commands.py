"""Import an extra's command when it is asked for, or say how it comes back; scripts list them."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from lineage.core.console import COMPLETE, Group, begin, new_app
from lineage.core.errors import BadInput, explain_missing


def from_extra(module: str, asked_by: str) -> Any:
    """Import a module of an extra.

    Args:
        module: its name below `extras`, as in `show.versions`.
        asked_by: as in `explain_missing`, whose errors this has.
    """
    with explain_missing(module.partition(".")[0], asked_by):
        return import_module(f"lineage.extras.{module}")


class ExtraCommands(Group):
    """Commands that extras bring. An extra is imported when its command is asked for, or listed.

    Args:
        help_text: what the commands are for.
        modules: by the name of a command, the module of `extras` that has it in its `app`.
    """

    def __init__(self, help_text: str, modules: dict[str, Any]) -> None:
        super().__init__(help=help_text, commands=modules, rich_markup_mode=None)

    def __call__(self, *words: Any, **options: Any) -> Any:
        """Run the command that is asked for."""
        begin()
        return super().__call__(*words, complete_var=COMPLETE, **options)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, as Click asks for it; None: there is none of that name."""
        if cmd_name not in self.commands:
            return None
        from typer.main import get_group

        app = _find_app(str(self.commands[cmd_name]), f"{ctx.info_name} {cmd_name}", cmd_name)
        return get_group(app).commands[cmd_name]


def run_extra(module: str) -> None:
    """Let a script be the command of an extra, the `app` of one of its modules."""
    _find_app(module, Path(sys.argv[0]).name)()


def _find_app(module: str, asked_by: str, name: str | None = None) -> Any:
    """Import an application; where it is not here, make one whose command says how it comes back.

    Args:
        module: below `extras`.
        asked_by: what the message names.
        name: of that command.
    """
    try:
        return from_extra(module, asked_by).app
    except BadInput as error:
        missing = error
    app = new_app()
    anything = {"ignore_unknown_options": True, "allow_extra_args": True}

    @app.command(name, help=missing.remedy, add_help_option=False, context_settings=anything)
    def say_what_is_missing() -> None:
        raise missing

    return app
