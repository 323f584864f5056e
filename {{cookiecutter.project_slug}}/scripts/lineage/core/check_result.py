"""`Step`: one line of `make setup`, `make doctor` or a checklist, with mark and remedy.

Set-up works with an interpreter that has no packages, so this file needs the standard library only.
"""

from dataclasses import dataclass
from functools import partial


@dataclass(frozen=True)
class Step:
    """How one step ended: the mark of `done`, `skipped` or `failed`, and what finishes it."""

    mark: str
    name: str
    text: str
    remedy: str | None = None

    @property
    def failed(self) -> bool:
        """Whether the step failed; a skipped one did not."""
        return self.mark == "✗"

    def line(self) -> str:
        """Write the step as it is printed, with its remedy on a line of its own."""
        first = f"{self.mark} {self.name:<8}{self.text}"
        return first if self.remedy is None else f"{first}\n    → {self.remedy}"


done = partial(Step, "✓")
"""Make a step that is done: its name, what was done."""

skipped = partial(Step, "–")
"""Make a step that was left out: its name, why, and the command that does it, if any."""

failed = partial(Step, "✗")
"""Make a step that failed: its name, what is wrong, and the command that finishes it."""
