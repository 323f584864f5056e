"""The command `make update`: what is new in the template comes in, and what is yours stays.

- `__main__.py` is the command.
- `template.py` lets cruft bring the template's files, and names those that need your hand.
- `new_keys.py` adds new keys to params.yaml, and to what `dvc.lock` records of stages.

What may be changed: everything.

The folder promises that an update changes no key, comment or line of params.yaml that is there,
touches no data, results or models, and that no model is trained anew because of it.
"""
