"""The room of what a project can do without: each folder can be deleted, and all else works.

- `search` draws params by Optuna, each by what came out before it (`sweep.search` in params.yaml).
- `cluster` does runs and merges on a Dask cluster (`sweep.backend`, `merge.engine`).
- `report` shows the project as one page, and its charts as pictures (`experiment_explorer.py`).

What may be changed: everything. Nothing imports from here but a stage script or a command, and that
only when it is asked for what is here. A folder comes back, with the packages that it needs, by
`make setup EXTRAS=search`.
"""
