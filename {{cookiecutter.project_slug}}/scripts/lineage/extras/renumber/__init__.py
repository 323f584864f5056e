"""The command `version_tag.py --renumber`: runs whose version is taken get the next free one.

- `renumber`: the new number in rows, params.yaml and the card of production; then its tag.

What may be changed: nothing without thought: rows, params and tag have to agree.

Promise: nothing but the version changes; what is refused before the first row changes nothing;
after a kill the same command completes it.
"""
