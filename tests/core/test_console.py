"""How commands end, how rows are printed, and how versions are counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from lineage.core.check_result import done, failed, skipped
from lineage.core.console import new_app, say, warn
from lineage.core.errors import BadInput, Refused
from lineage.core.version_numbers import following, parse, version_key
from lineage.extras.show.listing import print_rows

ENDINGS = {
    "bad input": (BadInput("a.db is wrong", "dvc pull"), 2, "error: a.db is wrong\n  → dvc pull\n"),
    "refused": (Refused("not now"), 1, "error: not now\n"),
    "system": (FileNotFoundError(2, "No such file", "x"), 1, "error: No such file (x); nothing was changed\n"),
    "interrupted": (KeyboardInterrupt(), 130, "interrupted: nothing that was accumulated before has changed\n"),
}


@pytest.mark.parametrize(("error", "code", "words"), ENDINGS.values(), ids=ENDINGS.keys())
def test_how_a_command_ends(error: BaseException, code: int, words: str) -> None:
    app = new_app("An application.")

    @app.command()
    def main(number: int = 1) -> None:
        say(f"number {number}")
        raise error

    ended = CliRunner().invoke(app, ["--number", "3"])
    assert (ended.exit_code, ended.stdout, ended.stderr) == (code, "number 3\n", words)
    if isinstance(error, Exception):
        assert CliRunner().invoke(app, ["--debug"]).exception is error
    assert "--debug" in CliRunner().invoke(app, ["--help"]).output


def test_a_command_that_takes_debug_is_given_it() -> None:
    app = new_app("An application.")

    @app.command()
    def main(debug: bool = False) -> None:
        warn(str(debug))

    assert CliRunner().invoke(app, []).stderr == "warning: False\n"
    assert CliRunner().invoke(app, ["--debug"]).stderr == "warning: True\n"


@pytest.mark.parametrize("script", ["experiment_explorer", "model_manager"])
def test_every_command_of_an_extra_is_where_its_script_says(script: str) -> None:
    group = import_module(script).app
    for name in group.commands:
        command = group.get_command(SimpleNamespace(info_name=script), name)
        assert command.name == name and not command.help.startswith("make setup EXTRAS"), name
    assert group.get_command(SimpleNamespace(info_name=script), "nothing") is None


NAMES, ROWS = ["name", "score", "note"], [["a|b", 0.5, "[red] :smile:"], [None, 12, "two\nlines\x1b"]]
PRINTED: dict[str, Callable[[str], bool]] = {
    "json": lambda text: json.loads(text)[1] == {"name": None, "score": 12, "note": "two\nlines\x1b"},
    "csv": lambda text: text == 'name,score,note\na|b,0.5,[red] :smile:\n,12,"two\nlines\x1b"\n',
    "md": lambda text: (
        text == "| name | score | note |\n| --- | --- | --- |\n"
        "| a\\|b | 0.5000 | [red] :smile: |\n| – | 12 | two lines? |\n"
    ),
    "table": lambda text: (
        text == " name   score  note\n a|b   0.5000  [red] :smile:\n –         12  two\n               lines?\n"
    ),
}


@pytest.mark.parametrize("form", PRINTED)
def test_rows_are_printed_as_they_are(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(NAMES, ROWS, form)
    printed = capsys.readouterr().out
    assert PRINTED[form](printed), printed


def test_steps_show_how_they_ended() -> None:
    assert done("git", "is there").line() == "✓ git     is there"
    assert skipped("pull", "not tried", "make setup").line() == "– pull    not tried\n    → make setup"
    assert failed("cache", "full", "df -h").failed and not skipped("pull", "later").failed


def test_versions_are_ordered_and_counted() -> None:
    assert parse("e1.10.0") > parse("e1.9.9")
    assert sorted(["e1.10.0", "mine", "e1.2.0", "e0.9.0"], key=version_key) == ["mine", "e0.9.0", "e1.2.0", "e1.10.0"]
    assert [following("e1.2.3", part) for part in ("patch", "minor", "major")] == ["e1.2.4", "e1.3.0", "e2.0.0"]
    for wrong in ("1.2.3", "e1.2", "e01.2.3", "e1.2.3\n", "e1.2.1234567890"):
        with pytest.raises(BadInput, match=r"is not a version; allowed: e{major}.{minor}.{patch}, as in e0.1.0"):
            parse(wrong)
