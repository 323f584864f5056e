"""Merges and models by hand: `merge_artifacts.py`; `model_manager.py promote`, `prune` and so on.

- `command`: what the options of `merge_artifacts.py` mean, and what it prints.
- `merges`: the output's lock and guard, the user's yes, and the merge by the rules of the stages.
- `models`: promotion, candidates, pruning, and how `dvc.lock` gets to know of them.
- `backup_tag`: `--backup-tag`, a Git tag from which the present bytes can be had.

What may be changed: options and words. What happens to rows is decided in the room `merge`, what
better means in `models`.

Promise: nothing is written before the user agreed to what is replaced, and what is replaced can be
brought back.
"""
