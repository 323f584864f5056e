"""Experiments side by side in Git worktrees, and branches that are merged.

start             an experiment: its name, folder and branch; started, and erased
experiment_work   what an experiment has committed, and what of it main lacks
collect           how that is brought home into main
finish            the checklist of what would be lost, and the removal
worktree          a worktree in which DVC works; the versions room makes its folders by it too
git_merge_driver  what Git calls to merge `dvc.lock` and `.dvc` files
merge_outputs     how two versions of a recorded output become one
conflicts         cells that both sides changed, kept until the merge is over

The room promises that nothing is lost silently: an experiment is removed only when each line of
the checklist says ✓ or its name was typed; a merge either holds the runs, rows and files of both
sides or is a conflict that names what differs; whatever is killed is completed or undone by the
same command. The checklist's lines (`finish`), and which outputs are merged (`MERGED` in
`merge_outputs`), may be changed; the order of the steps in `start`, `erase` and `collect` is what
makes a kill harmless.
"""
