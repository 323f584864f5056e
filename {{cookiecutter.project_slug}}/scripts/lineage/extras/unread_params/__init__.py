"""Params that no code reads are named before a run: keys of `model` that are most likely mistyped.

- `unread`: the search in the code, and the warning.

What is taken for a read (`LOOKUP`, `READ_HERE`) may be changed.

Promise: it only warns, and a doubt counts as a read.
"""
