"""Pages of documentation as tests read them: fenced blocks and how they end, and the targets of Makefiles."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

FENCED = re.compile(r"(?:^<!-- expect: (?P<expect>.*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and text, and how the page says that it ends.

    Attributes:
        code: exit code of the whole block.
        texts: what it prints, word by word, to standard output or standard error.
    """

    language: str
    text: str
    code: int = 0
    texts: list[str] = field(default_factory=list)


def blocks(text: str) -> list[Block]:
    """Read the fenced blocks of a page, each with the comment `<!-- expect: exit 1, "text" "text" -->` before it."""
    found = []
    for match in FENCED.finditer(text):
        expect = match["expect"] or ""
        code = re.search(r"\bexit (\d+)", expect)
        texts = re.findall(r'"([^"]+)"', expect)
        found.append(Block(match["language"], match["text"], int(code[1]) if code else 0, texts))
    return found


def targets(*makefiles: Path) -> set[str]:
    return {
        name
        for makefile in makefiles
        for name in re.findall(r"^([a-z][a-z-]*):", makefile.read_text(encoding="utf-8"), re.MULTILINE)
    }
