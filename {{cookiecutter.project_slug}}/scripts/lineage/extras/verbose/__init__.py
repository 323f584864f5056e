"""The option `--verbose`: commands and SQL are shown on standard error as they run.

- `steps.py` shows each command, and each statement of SQLite and DuckDB.

What may be changed: how a step is shown.

The folder promises that what is shown changes nothing, and that no line goes to standard output.
"""
