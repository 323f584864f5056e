"""The package that the stages and the commands share, in rooms, from the ground up.

core      params, paths, errors, the console, version numbers, loading experiment.py
tables    SQLite, parquet and DuckDB files as relations of one engine, and rows written back
tracked   what Git and DVC have recorded, and the guarded output: the one door for what accumulates
merge     what merge and rebase mean, once, for every kind of file
runs      the plan of a sweep, its workers, and each run's database and model
results   the leaderboard, and the small files that DVC plots
models    the gate, the model in production and its card, the candidates
branches  worktrees: start, collect, finish; Git's merge driver
versions  tags: make, get, check out, compare, verify
setup     making a project ready to work in, and saying what is wrong with it
extras    what a project can do without; each folder of it can be deleted

The template keeps this package up to date (`cruft update`): what you change here is yours to carry
along. Each room says what may be changed in it without breaking what it promises.
A room imports only from rooms above it in this list. To change what a merge means, read `merge`;
to change what becomes production, read `models`.
"""
