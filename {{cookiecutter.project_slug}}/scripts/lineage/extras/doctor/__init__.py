"""The command `make doctor`: what is wrong with a project or a machine, and which command helps.

- `command`: its option.
- `examine`: the checks, one line each; and `--send`, which sends what version tags name.
- `kept_elsewhere`: one of them: which commits and tags no Git remote has.

To change: add a check to `examine`. Promise: ✓ is only said of what was looked at, and each ✗ names
the command that helps.
"""
