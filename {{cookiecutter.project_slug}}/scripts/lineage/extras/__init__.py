"""The room of what a project can do without: each folder can be deleted, and all else works.

Its rooms below do what `make setup`, `dvc repro`, tagging and sending need. What one command does
by hand, or one key of params.yaml asks for, is here:

- `by_hand` merges any files into any output (`merge_artifacts.py`).
- `model_manager` changes which models are kept, or in production (`model_manager.py`).
- `git_merge` lets `git merge` merge rows as it merges lines.
- `worktrees` does experiments side by side (`setup_worktree.sh`, `finish_worktree.sh`).
- `show` shows versions and models, and compares them (`experiment_explorer.py`).
- `retrieve` brings versions back (`experiment_explorer.py get`, `checkout`).
- `verify` proves that all that a version names is there and fits.
- `renumber` gives runs another version where theirs is taken (`version_tag.py --renumber`).
- `doctor` says what is wrong with project and machine (`make doctor`).
- `access` is what `import lineage` gives in notebooks and tests.
- `search` draws params by Optuna, each by what came out before it (`sweep.search` in params.yaml).
- `cluster` does runs and merges on a Dask cluster (`sweep.backend`, `merge.engine`).
- `formats` reads training data that are no parquet: CSV, JSON, Feather, partition folders.
- `report` shows the project as one page, and its charts as pictures.
- `update` brings in what is new in the template (`make update`).

What may be changed: everything. Nothing imports from here but commands, stage scripts and
`merge.data`, and only when params.yaml, a file or a command asks for what is here. A folder comes
back, with the packages that it needs, by `make setup EXTRAS=search`.
"""
