"""What merge and rebase mean, for every kind of file, and where a copy began.

    rules              `merge` and `rebase`, as whole statements over `base` and `incoming`
    relations          those two relations, and what makes two of their rows the same
    plan               what a merge would do or did: counts, conflicts, the line that is printed
    data               training data: parquet files and folders of parts as relations
    data_files         the merged data written, as one file or as parts
    overlap            test items that are training data, too: refused, left out or allowed
    databases          results: tables of SQLite and DuckDB files, merged into a copy of the base;
                       what they hold beyond tables is the extra `sqlite_features`
    lined_up           one table of several databases, by the names of its columns
    table_merge        its rows: read as relations, keys first; and carried by SQLite from file to
                       file
    column_types       its columns in the base: new ones, and wider types
    origin_of_copy     which databases began as copies of ours, and of which recorded version
    run_ids            the ids of the runs of a database
    predictions        parquet files of runs, gathered whole
    inbox              the files to merge: those of an inbox that are new, by name (b9 before b10)

Merges by hand are the extra `merge_artifacts`, those of Git the extra `git_merge`.

What may be changed: anything that keeps the promises below, which tests hold against an oracle.
Merging twice changes nothing, not a byte; a file of an inbox is merged once. The same inputs give
the same bytes, in whatever order sources are listed where keys do not collide. No value changes on
the way. A conflict is an error that shows both values, unless the rules say which wins. The stages
depend on this folder: a change here reruns the merges, which are cheap, and trains nothing.
"""
