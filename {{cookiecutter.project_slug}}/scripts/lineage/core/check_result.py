"""How one step of a setup or an examination ended, and how it is printed. The standard library only."""

from dataclasses import dataclass

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
