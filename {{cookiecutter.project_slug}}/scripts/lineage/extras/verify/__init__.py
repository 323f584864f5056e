"""The command `experiment_explorer.py verify`: whether all that a version names is there and fits.

- `commands`: its options.
- `verify`: the chain from the tag and its rows to every object in cache and remote.
- `what_ran`: whether code, data and params at the tag are those that ran.

What may be changed: add a link: its name to `LINKS`, and its check to `verify`. Promise: what could
not be looked at is never said to hold.
"""
