"""SQLite, parquet and DuckDB files become relations of one DuckDB engine, and rows go back.

    engine          the DuckDB engine: its memory, its temporary folder, its errors as ours
    damaged_files   which parquet file cannot be read, where DuckDB does not say so
    sql             names and strings quoted as SQL, and rows compared so that NULL equals NULL
    parquet_files   parquet files described, read with the number of each row, written
    parquet_types   which types of columns fit each other, and which values they take for equal
    parts           a folder of parquet parts: its names, their order, what else may lie there
    arrow_metadata  what Arrow and pandas noted of parquet columns: carried by an extra, or plain
    sqlite_reading  SQLite files opened without side effects
    sqlite_files    SQLite files described, copied, checked
    sqlite_rows     rows of SQLite files read into the engine, each value as a code
    as_sqlite       SQLite files as they are; DuckDB files and the like copied, by an extra
    sources         the record of what was merged into a file, kept in the file itself
    kept_rows       whether a file still holds every row of another one

`widest` (parquet) and `affinity` (SQLite) decide which types fit each other: a change there changes
what a merge accepts. The promise of this room: a file that is only read stays as it is, and
a value comes out as it went in, or is refused.
"""
