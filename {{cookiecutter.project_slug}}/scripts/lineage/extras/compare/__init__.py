"""Versions compared: `experiment_explorer.py diff`, and what the next one should be called.

- `commands`: the command `diff`.
- `difference`: what it shows: params, metrics, data, predictions and code of two versions.
- `data`: how rows and columns of two data sets differ; `predictions`: what two runs predicted.
- `suggest`: which version the present state should be, and why: `version_tag.py --suggest`; by it
  `--start` and `--renumber` choose a number where none is named.

What may be changed: how versions are numbered, in `suggest`, and all that is shown. Promise:
nothing of the project changes; DVC's cache gets objects that only the remote had.
"""
