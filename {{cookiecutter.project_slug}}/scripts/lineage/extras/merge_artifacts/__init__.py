"""Merges by hand, of any files into any output: the command `merge_artifacts.py`.

- `command`: what the options mean, and what is printed.
- `given_files`: files, folders and globs that are named.
- `recommend`: which strategy fits, as a dry run says it.
- `merges`: the output's lock and guard, the user's yes, and the merge by the rules of the stages.
- `databases`: results databases merged by one call.
- `compact`: small parts of data folded together.
- `backup_tag`: `--backup-tag`, a Git tag from which the present bytes can be had.

What may be changed: options and words. What happens to rows is decided in the room `merge`.

Promise: a rebase replaces rows only after the user agreed (`--yes` agrees beforehand), and what is
replaced can be brought back.
"""
