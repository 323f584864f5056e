"""The command `experiment_explorer.py verify`: whether all that a version names is there and fits.

- `verify`: the chain from the tag and its rows to every object in cache and remote.
- `verify_code`: whether code, data and params at the tag are those that ran.

What may be changed: add a link to `LINKS`. Promise: what could not be looked at is never said to
hold.
"""
