"""Refuse cells that both sides of a merge changed; keep and print them until it is over."""

import json
from pathlib import Path
from typing import Any

from lineage.core.console import say
from lineage.core.errors import Refused
from lineage.extras.git_merge.three_way import Conflict
from lineage.tracked.git import git
from lineage.tracked.whole_file import write_text

KEPT = ".dvc/tmp/lineage/conflicts.json"
SHOWN = 5
SHOW_CONFLICTS = "python scripts/experiment_explorer.py conflicts   # shows all of them"

UNDER_WAY = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply")
"""Files and folders in Git's own that are there while it merges (git-status, wt-status.c)."""


def refuse_conflicts(root: Path, conflicts: list[Conflict], way_out: str) -> None:
    """Keep the conflicts of a merge in place of those of an earlier one; raise where there are any.

    Args:
        root: the project's root.
        conflicts: of all tables and files.
        way_out: the command that gets past them, which the next merge forgets; empty: they are
            forgotten when Git's merge is over.

    Raises:
        Refused: there are conflicts; shows the first ones.
    """
    file = root / KEPT
    if not conflicts:
        file.unlink(missing_ok=True)
        return
    kept = {"by_git": not way_out, "conflicts": conflicts}
    write_text(file, json.dumps(kept, default=str))
    lines = [f"cells with two values, {len(conflicts)} in all (base | ours | theirs):"]
    for one in conflicts[:SHOWN]:
        values = f"{one.base!r} | {one.ours!r} | {one.theirs!r}"
        lines.append(f"  {one.table}: {one.key} — {one.column}: {values}")
    raise Refused("\n".join(lines), SHOW_CONFLICTS + way_out)


def print_conflicts(root: Path, form: str) -> None:
    """Print the conflicts of the merge that is under way, or of the last one that was refused.

    Args:
        root: the project's root.
        form: table, json, csv or md.
    """
    from lineage.extras.show.listing import print_rows

    file = root / KEPT
    kept: dict[str, Any] = {"by_git": False, "conflicts": []}
    if file.exists():
        kept = json.loads(file.read_text(encoding="utf-8"))
    folder = Path(root, git(root, "rev-parse --git-dir") or "")
    if kept["by_git"] and not any((folder / name).exists() for name in UNDER_WAY):
        file.unlink()
        kept["conflicts"] = []
    if kept["conflicts"] or form != "table":
        print_rows(Conflict._fields, kept["conflicts"], form)
    else:
        say("there are no conflicts: no merge is under way in which both sides changed a cell")
