"""Databases that hold predictions in a table, as those of xetrack alone: one file for each run.

- `split` writes the table `predictions` of an incoming database as files of runs, which are then
  merged as those that lie beside a database.
- `sqlite_values` reads a table of a database, each column with one type; the extra `access` does so
  with every table.

What may be changed: how a table is read. Promise: every value arrives as it was, the rows of a run
in the order of the table, and the same table gives the same bytes.
"""
