"""Set up and finish experiments in worktrees: behind setup_worktree.sh and finish_worktree.sh."""

from lineage.core.extra_commands import run_extra

if __name__ == "__main__":
    run_extra("worktrees.command")
