"""Training data in other forms than parquet files: CSV, JSON, Feather and Arrow, partition folders.

- `as_parquet` writes such a file anew as parquet, which is then merged as any other.
- `cells` reads CSV and JSON files as tables of text, and finds the line of a row.
- `cell_types` decides which text fits which type.

What may be changed: which spellings fit a type (`PATTERNS`), and which types are tried where nobody
knows one (`TRIED`).

The folder promises that the same rows are merged from whatever form they come in, or that the cell
which does not fit is named, with its file, line and column.
"""
