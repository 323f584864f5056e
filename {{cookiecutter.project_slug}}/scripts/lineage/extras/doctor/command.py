"""The command `doctor.py`, which `make doctor` runs."""

import sys
from typing import Annotated

from lineage.core.console import Option, new_app, say

app = new_app(
    "Examine tools, cache, links, remote, worktrees, secrets and tags;"
    " one line each, ✗ with its command."
)


@app.command()
def doctor(
    send: Annotated[bool, Option("--send", help="First send all that version tags name.")] = False,
) -> None:
    """Examine the project; exit 1 when something is wrong."""
    from lineage.core import paths
    from lineage.extras.doctor.examine import examine, send_tags

    found = False
    if send:
        say(f"sent {send_tags(paths.find_root())} objects of version tags to the remote")
    for step in examine(paths.find_root()):
        say(step.line(), is_result=step.mark != "✓")
        found |= step.failed
    if found:
        sys.exit(1)
