"""The option `finish_worktree.sh --collect`: an experiment is brought home into main.

- `collect`: what `finish` of the extra `worktrees` calls, which it needs.

The order of its steps is what makes a kill harmless.

Promise: what accumulates is merged as Git's merge driver merges it, for which it needs `git_merge`;
when something fails, main is as it was; after a kill, the same command completes it.
"""
