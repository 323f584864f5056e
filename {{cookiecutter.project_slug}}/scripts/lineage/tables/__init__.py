"""SQLite, parquet and DuckDB files as relations of one DuckDB engine, and rows written back."""
