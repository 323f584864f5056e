"""Start extras/worktrees/command.py, for setup_worktree.sh and finish_worktree.sh."""

from lineage.core.extra_commands import run_extra

if __name__ == "__main__":
    run_extra("worktrees.command")
