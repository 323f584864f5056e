"""Versions and models to look at: lists, cards, comparisons, measurements; read only.

- `versions`: the list of versions, one version, or what differs between two.
- `predictions`: what two runs predicted, item by item.
- `models`: production and candidates, a card, a measurement, a copy out of the project.

What may be changed: everything that is shown. Promise: nothing of the project changes; DVC's cache
gets objects that only the remote had.
"""
