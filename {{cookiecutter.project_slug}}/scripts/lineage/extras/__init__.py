"""The room of what a project can do without: each folder can be deleted, and all else works.

- `search` draws params by Optuna, each by what came out before it (`sweep.search` in params.yaml).
- `cluster` does runs and merges on a Dask cluster (`sweep.backend`, `merge.engine`).
- `formats` reads training data that are no parquet: CSV, JSON, Feather, partition folders.
- `update` brings in what is new in the template (`make update`).

What may be changed: everything. Nothing imports from here but a stage script and `merge.data`, and
that only when params.yaml, or a file that comes, asks for what is here; `make update` runs
`update`. A folder comes back, with the packages that it needs, by `make setup EXTRAS=search`.
"""
