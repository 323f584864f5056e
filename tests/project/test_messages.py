"""Every error and warning of the project's code stands in its docs, with what helps; a reader searches for what is on the screen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from baked_projects import SOURCE
from messages import ERRORS, UNKNOWN, WARNINGS, Message, is_said_by, messages_of

FEWEST_LETTERS = 8
"""A quoted piece that is shorter would stand for many messages."""

ROW = re.compile(r"^\| (`.*?) \| ", re.MULTILINE)


def quoted_messages() -> set[str]:
    """What the tables of all pages quote in their first column."""
    pages = [path.read_text("utf-8") for path in sorted((SOURCE / "docs").glob("*.md"))]
    cells = [cell for page in pages for cell in ROW.findall(page)]
    quoted = {quote for cell in cells for quote in re.findall(r"`([^`]+)`", cell)}
    return {quote for quote in quoted if len(quote.replace(UNKNOWN, "").strip()) >= FEWEST_LETTERS}


@pytest.mark.parametrize(("calls", "count"), [(ERRORS, 200), (WARNINGS, 40)])
def test_every_error_and_warning_is_in_the_docs(calls: dict[str, int], count: int) -> None:
    """One of which nothing is the same whenever it is said, as when it passes on what Git says, cannot be searched for."""
    messages = [one for one in messages_of(SOURCE / "scripts", calls) if len(one.words) >= FEWEST_LETTERS]
    assert len(messages) > count
    quotes = quoted_messages()
    missing = [message for message in messages if not any(is_said_by(quote, message) for quote in quotes)]
    rows = [f"{one.place}:\n| `{one.words}` | {one.remedy} |" for one in missing]
    assert not rows, "docs/troubleshooting.md lacks rows for\n" + "\n".join(rows)


@pytest.mark.parametrize(
    ("quote", "said"),
    [("holds no run", True), ("has no … there", True), ("has no table", False), ("there … has no", False)],
)
def test_a_quote_is_found_in_the_order_of_its_pieces(quote: str, said: bool) -> None:
    message = Message("a.py:1", "… holds no run, and has no model there", "dvc repro")
    assert is_said_by(quote, message) == said
    assert message.words == "holds no run, and has no model there"


def test_messages_are_read_through_names_and_pieces(tmp_path: Path) -> None:
    code = (
        'ADVICE = "dvc repro"\n\n\ndef check(path):\n    problem = f"{path} is not {path.kind}"\n'
        '    if path:\n        raise Refused(problem + ", today", ADVICE)\n    raise BadInput("it is " + other(path))\n'
    )
    (tmp_path / "check.py").write_text(code, encoding="utf-8")
    assert sorted(messages_of(tmp_path), key=str) == [
        Message("check.py:7", "… is not …, today", "dvc repro"),
        Message("check.py:8", "it is …", ""),
    ]
