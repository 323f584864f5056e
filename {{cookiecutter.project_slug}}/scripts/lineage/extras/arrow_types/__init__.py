"""Types of parquet columns that pyarrow knows and DuckDB does not come through a merge.

- `metadata` carries what Arrow and pandas note beside the columns: categories, durations, zones,
  types with NULL, an index; and the notes of other programs on which all files agree.
- `exact_copy` copies files of which DuckDB reads other values than were written: times as INT96,
  types that are named in one of parquet's two ways only.

What may be changed: what is refused of the second kind (`LOST`), and what pandas notes about a
column (`PANDAS_COLUMN`).

The folder promises that a merged file reads in pandas, pyarrow and polars as its sources did, with
the same values and types, or that the column which cannot is named.
"""
