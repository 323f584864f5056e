"""What SQLite databases may have beyond tables of rows is kept, heeded, or left out by name.

- `beyond_tables` does so around a merge: triggers do not run, rows of foreign keys do not lose what
  they refer to, and a warning names virtual tables, views and indexes that are not merged.

What may be changed: what is warned of, and how.

The folder promises that the base has its triggers, views and virtual tables afterwards as before.
"""
