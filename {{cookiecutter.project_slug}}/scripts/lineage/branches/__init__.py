"""Git worktrees: start, collect, finish; Git's merge driver."""
