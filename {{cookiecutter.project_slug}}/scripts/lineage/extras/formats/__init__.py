"""Other forms than parquet and SQLite files: CSV, JSON, Feather, partition folders; DuckDB files.

- `as_parquet` writes such a file anew as parquet, which is then merged as any other.
- `cells` reads CSV and JSON files as tables of text, and finds the line of a row.
- `cell_types` decides which text fits which type.
- `as_sqlite` copies DuckDB files, text in UTF-16 and tables WITHOUT ROWID to plain SQLite files.

What may be changed: which spellings fit a type (`PATTERNS`), and which types are tried where nobody
knows one (`TRIED`).

The folder promises that the same rows are merged from whatever form they come in, or that the cell
which does not fit is named, with its file, line and column.
"""
