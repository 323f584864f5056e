"""How one step of a setup or an examination ended, and how it is printed. The standard library only."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Say = Callable[[str], None]
"""What is told how work goes on."""

MARKS = {"done": "✓", "skipped": "–", "failed": "✗"}


@dataclass(frozen=True)
class Step:
    """How one step ended: `done`, `skipped` or `failed`, with the command that finishes it."""

    name: str
    state: str
    text: str
    remedy: str | None = None

    @property
    def failed(self) -> bool:
        return self.state == "failed"

    def line(self) -> str:
        """The step as printed."""
        first = f"{MARKS[self.state]} {self.name:<8}{self.text}"
        return first if self.remedy is None else f"{first}\n    → {self.remedy}"


def done(name: str, text: str) -> Step:
    """A step that is done."""
    return Step(name, "done", text)


def skipped(name: str, text: str, remedy: str | None = None) -> Step:
    """A step left out."""
    return Step(name, "skipped", text, remedy)


def failed(name: str, text: str, remedy: str) -> Step:
    """A step that failed, with what finishes it."""
    return Step(name, "failed", text, remedy)


def run(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in `root`; raises OSError when it is not installed."""
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
