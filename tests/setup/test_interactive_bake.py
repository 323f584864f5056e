"""Somebody at a terminal is asked again for the one wrong answer."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import pytest
import yaml
from baked_projects import TEMPLATE, Bakery, Project

QUESTIONS = 10


def talk(bake: Bakery, folder: Path, answers: dict[str, list[str]], *options: str, ends: int = 0) -> str:
    """Answer questions at a terminal, by words that they hold; all others by the return key.

    Args:
        bake: knows the environment.
        folder: where to bake.
        answers: what is typed whenever a prompt holds these words, one after another; `^C` is what a terminal makes of it.
        options: of cookiecutter.
        ends: the exit code.

    Returns:
        all that was shown.
    """
    main, terminal = pty.openpty()
    environment = {**bake.environment, "TERM": "dumb"}
    running = subprocess.Popen(
        ["cookiecutter", *options, "--output-dir", str(folder), str(TEMPLATE)], env=environment, start_new_session=True,
        stdin=terminal, stdout=terminal, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    shown, seen = "", 0
    try:
        while part := os.read(main, 4096):
            shown += part.decode()
            if not re.search(r": $", shown[seen:]):
                continue
            prompt, seen = " ".join(shown[seen:].split()), len(shown)
            waiting = next((typed for words, typed in answers.items() if words in prompt and typed), [""])
            answer = waiting.pop(0)
            if answer == "^C":
                running.send_signal(signal.SIGINT)
            else:
                os.write(main, f"{answer}\n".encode())
    except OSError:  # Linux ends a terminal whose program has ended with an error
        pass
    assert running.wait() == ends, shown
    return shown.replace("\r\n", "\n")


@pytest.mark.slow
def test_only_the_wrong_answer_is_asked_for_again(bake: Bakery, tmp_path: Path) -> None:
    answers = {
        "folder and package": ["My Project"],
        "project_slug": ["9lives", "lives"],
        "Which e-mail": ["ada"],
        "author_email": ["ada@example.com"],
        "Which folder should": [str(tmp_path / "cache")],
    }
    shown = talk(bake, tmp_path / "here", answers)
    assert [not typed for typed in answers.values()] == [True] * 5
    assert "  project_slug: 'My Project' cannot be a folder and package name; use lower-case letters" in shown
    assert "  project_slug: '9lives' cannot be a folder and package name; use lower-case letters" in shown
    assert "  author_email: 'ada' is not an e-mail address; use one like ada@example.com\n" in shown
    assert len(re.findall(r"\[\d+/10\]", shown)) == QUESTIONS and "(../lives-remote)" in shown
    assert "Traceback" not in shown and "\nNext:\n" in shown
    project = Project(tmp_path / "here/lives", bake.environment)
    assert project.git("log", "-1", "--format=%s") == "Start from cookiecutter-lineage"
    assert "ada@example.com" in (project.path / "pyproject.toml").read_text(encoding="utf-8")
    replayed = yaml.safe_load(
        (Path(bake.environment["HOME"]) / f".cookiecutter_replay/{TEMPLATE.name}.json").read_text()
    )
    assert replayed["cookiecutter"]["project_slug"] == "lives"


@pytest.mark.slow
def test_ctrl_c_and_no_input_end_without_a_traceback(bake: Bakery, tmp_path: Path) -> None:
    shown = talk(bake, tmp_path / "here", {"folder and package": ["My Project"], "project_slug": ["^C"]}, ends=1)
    assert "Traceback" not in shown and shown.endswith("Aborted!\n") and not list((tmp_path / "here").glob("*"))
    shown = talk(bake, tmp_path / "here", {}, "--no-input")
    assert "[1/10]" not in shown
