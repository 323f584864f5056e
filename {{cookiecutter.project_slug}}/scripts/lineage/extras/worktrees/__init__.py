"""Experiments side by side, each in a Git worktree: `setup_worktree.sh`, `finish_worktree.sh`.

- `command`: the two commands; the worktrees themselves are those of `retrieve`, which they need.
- `start`: an experiment: its name, folder and branch; started, and erased.
- `experiment_work`: what an experiment has committed, and what of it main lacks; whether rows that
  it corrected are home says `git_merge`, which it needs for that.
- `finish`: the checklist of what would be lost, and the removal.

The checklist's lines (`finish`) may be changed. The order of the steps in `start` and `erase`
is what makes a kill harmless. The extra `collect` brings an experiment home.

Promise: nothing is lost silently. An experiment is removed only when each line of the checklist
says ✓ or its name was typed; whatever is killed is completed or undone by the same command.
"""
