"""Say what is wrong with this project or machine, and which command helps. Nothing here is changed."""

from __future__ import annotations

from typing import Annotated

import typer

from lineage.cli import DEBUG, guarded, new_app, say

app = new_app("Examine tools, cache, links, remote, worktrees, secrets and tags; one line each, ✗ with its command.")


@app.command()
def doctor(
    send: Annotated[
        bool, typer.Option("--send", help="First send what the remote lacks of every version tag.")
    ] = False,
    debug: bool = DEBUG,
) -> None:
    """Examine the project; exit 1 when something is wrong."""
    from lineage import layout
    from lineage.doctor import examine, send_tags

    def work() -> None:
        found = False
        if send:
            say(f"sent {send_tags(layout.find_root())} objects of version tags to the remote")
        for step in examine(layout.find_root()):
            say(step.line())
            found |= step.failed
        if found:
            raise typer.Exit(1)

    guarded(work, debug=debug)


if __name__ == "__main__":
    app()
