"""Runs, versions and models to look at: lists, cards, measurements; read only.

- `commands`: those of `experiment_explorer.py`; `model_commands`: those of `model_manager.py`.
- `leaderboard`: runs, best first, as they are printed.
- `versions`: the list of versions, or one version.
- `models`: production and candidates, a card, a measurement, a copy out of the project.

What may be changed: everything that is shown. Promise: nothing of the project changes; DVC's cache
gets objects that only the remote had.
"""
