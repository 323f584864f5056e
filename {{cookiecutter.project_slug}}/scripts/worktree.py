"""What setup_worktree.sh and finish_worktree.sh call."""

from __future__ import annotations

from typing import Annotated

import typer

from lineage.cli import DEBUG, guarded, new_app, say

app = new_app("Experiments side by side, each in a Git worktree beside this folder.")
NAME = typer.Argument(help="The experiment: branch exp/NAME, folder ../exp-NAME.")


@app.command("setup_worktree.sh")
def setup(
    name: Annotated[str, NAME],
    shared_cache: Annotated[str | None, typer.Argument(help="The cache that main is expected to use.")] = None,
    debug: bool = DEBUG,
) -> None:
    """Start an experiment: a worktree with main's cache and credentials, and every DVC output present."""
    from lineage.worktree_start import find_experiment, start

    guarded(lambda: start(find_experiment(name), shared_cache, say), debug=debug)


@app.command("finish_worktree.sh")
def finish(
    name: Annotated[str, NAME],
    collect: Annotated[
        bool, typer.Option("--collect", help="Bring objects, runs, model and batches home first.")
    ] = False,
    decline_data: Annotated[bool, typer.Option("--decline-data", help="Leave its new batches behind.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Remove it although something would be lost; asks.")] = False,
    debug: bool = DEBUG,
) -> None:
    """Check that nothing of an experiment would be lost, then remove its worktree and branch."""
    from lineage.worktree_finish import Wishes, finish
    from lineage.worktree_start import find_experiment

    wishes = Wishes(collect, decline_data, force)
    guarded(lambda: finish(find_experiment(name), wishes, say), debug=debug)


if __name__ == "__main__":
    app()
