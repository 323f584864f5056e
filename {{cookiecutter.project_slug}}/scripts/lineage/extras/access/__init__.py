"""This extra has the functions of `import lineage`, which the package's `__init__` hands out.

- `functions`: those of the package's face.
- `import_lineage`: what `make setup` copies into the environment, so that `import lineage` works.
- `states`: where the rows of a version, of a run, of a worktree and of this working tree are, and
  how they become relations of one DuckDB engine.

You may add a table of the results databases: name it in `states.RELATIONS`. Nothing here writes
to the project, to a database, or through a link; DVC's cache gets objects that only the remote had.
"""
