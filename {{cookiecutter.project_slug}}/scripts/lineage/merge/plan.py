"""What a merge would do or did, as counts of rows and lines for people."""

import shlex
import sys
from dataclasses import dataclass, field

from lineage.core.errors import Refused

SAMPLES = 5
"""So many conflicts, and changed columns of each, are shown."""


@dataclass
class Plan:
    """What happens to one table or data file; counts are rows.

    Attributes:
        name: the table, or the data file.
        strategy: what was done to it: a table without the key columns of a rebase is merged.
        rows: how many there are in the end.
        added: incoming rows that come in, those that take the place of base rows included.
        replaced: base rows that go.
        present: incoming rows that are there already, or come from another source too.
        overridden: incoming rows whose identity a later one has too, with other contents (rebase).
        events: rows of the table `events` that go with runs that are replaced.
        conflicts: incoming rows with other contents than the base's row of their identity or,
            where it has none, than the row that comes in.
        samples: the first conflicts, as lines.
        new_columns: columns that the base lacks.
        missing_columns: columns of the base that no incoming row has.
        widened: columns whose type changes, as `name OLD → NEW`.
        lost_notes: keys of metadata that not all files have with one value.
        differing: incoming rows that a merge would not take: conflicts, if it is one.
    """

    name: str
    strategy: str = "merge"
    rows: int = 0
    added: int = 0
    replaced: int = 0
    present: int = 0
    overridden: int = 0
    events: int = 0
    conflicts: int = 0
    samples: list[str] = field(default_factory=list)
    new_columns: list[str] = field(default_factory=list)
    missing_columns: list[str] = field(default_factory=list)
    widened: list[str] = field(default_factory=list)
    lost_notes: list[str] = field(default_factory=list)
    differing: int = 0

    @property
    def is_empty(self) -> bool:
        """Nothing changes."""
        return not (self.added or self.replaced or self.new_columns or self.widened)

    def line(self) -> str:
        """Write one line: +added ~replaced =already there !conflicts, and how columns differ."""
        parts = [f"{self.name}: +{self.added} ~{self.replaced} ={self.present} !{self.conflicts}"]
        differences = {
            "new columns": self.new_columns,
            "missing columns": self.missing_columns,
            "wider types": self.widened,
            "metadata left out, since files differ": self.lost_notes,
        }
        parts += [f"{words}: {', '.join(names)}" for words, names in differences.items() if names]
        if self.overridden:
            parts.append(f"{self.overridden} incoming rows gave way to a later one")
        if self.events:
            parts.append(f"{self.events} events of the replaced runs are gone")
        return ", ".join(parts)

    def refuse_conflicts(self, key_option: str) -> None:
        """Raise `Refused` when there are conflicts; it shows the first.

        Args:
            key_option: where key columns are chosen: an option, or a key of params.yaml.
        """
        if self.conflicts:
            raise Refused(
                f"{self.name}: {self.conflicts} incoming rows have the identity of another row"
                " and different contents (earlier | later):\n" + "\n".join(self.samples),
                self._remedy(key_option),
            )

    def _remedy(self, key_option: str) -> str:
        """Write the command that lets incoming rows win, or what helps a rebase."""
        if self.strategy == "rebase":
            return f"correct the incoming file, or choose other key columns: {key_option}"
        command = f"python {shlex.join(sys.argv)} --on-conflict incoming"
        if not key_option.startswith("--"):
            key = key_option.removeprefix("merge.").replace("key_columns", "on_conflict")
            command = f"sed -i 's/^  {key}: fail/  {key}: incoming/' params.yaml"
        return f"{command}   # or base, newest; or correct the incoming file, or rebase"

    def not_written(self) -> Refused:
        """Make the error for when other rows are read back than belong there."""
        problem = f"{self.name}: not the {self.rows} rows that belong there were written"
        return Refused(f"{problem}; the old file stays")
