"""The commands behind setup_worktree.sh and finish_worktree.sh."""

from typing import Annotated

from lineage.core.console import Argument, Option, new_app

app = new_app("Experiments side by side, each in a Git worktree beside this folder.")
NAME = Argument(help="The experiment: branch exp/NAME, folder ../exp-NAME.")


@app.command("setup_worktree.sh")
def setup(
    name: Annotated[str, NAME],
    shared_cache: Annotated[
        str | None, Argument(help="The cache that main is expected to use.")
    ] = None,
) -> None:
    """Start an experiment: a worktree with main's cache, credentials and every DVC output."""
    from lineage.extras.worktrees.start import find_experiment, start

    start(find_experiment(name), shared_cache)


@app.command("finish_worktree.sh")
def finish(
    name: Annotated[str, NAME],
    collect: Annotated[bool, Option("--collect", help="First bring home all it made.")] = False,
    decline_data: Annotated[
        bool, Option("--decline-data", help="Leave its new batches behind.")
    ] = False,
    force: Annotated[
        bool, Option("--force", help="Remove it although something would be lost; asks.")
    ] = False,
) -> None:
    """Check that nothing of an experiment would be lost, then remove its worktree and branch."""
    from lineage.extras.worktrees.finish import finish
    from lineage.extras.worktrees.start import find_experiment

    experiment = find_experiment(name)
    finish(experiment, collect_first=collect, decline_data=decline_data, force=force)
