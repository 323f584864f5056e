"""Runs, versions and models to look at: lists, cards, measurements; read only.

- `commands`: those of `experiment_explorer.py`; `model_commands`: those of `model_manager.py`.
- `leaderboard`: runs, best first, read and printed; `where`: what users write after `--where`, as
  SQL.
- `versions`: the list of versions, or one version.
- `models`: production and candidates, a card, a measurement, a copy out of the project; the run
  that is meant.
- `listing`: rows printed as a table, JSON, CSV or Markdown.

Other extras that show something print it by this one, and find runs by it.

What may be changed: everything that is shown. Promise: nothing of the project changes; DVC's cache
gets objects that only the remote had.
"""
