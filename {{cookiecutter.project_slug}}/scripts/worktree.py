"""Set up and finish experiments in worktrees: behind setup_worktree.sh and finish_worktree.sh."""

from lineage.core.console import needs_extra

if __name__ == "__main__":
    with needs_extra("worktrees"):
        from lineage.extras.worktrees.command import app
    app()
