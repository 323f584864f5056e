"""The room of what a project can do without: each folder can be deleted, and all else works.

The rooms below do what `make setup`, `dvc repro`, tagging and sending need, and hold what several
extras share. What one command does by hand, one option, one key of params.yaml or one argument in
experiment.py asks for, or a file as other tools write it, is here:

- `merge_artifacts` merges any files into any output (`merge_artifacts.py`).
- `model_manager` changes which models are kept, or in production (`model_manager.py`).
- `git_merge` lets `git merge` merge rows as it merges lines (`experiment_explorer.py conflicts`).
- `worktrees` does experiments side by side (`setup_worktree.sh`, `finish_worktree.sh`).
- `collect` brings an experiment home (`finish_worktree.sh --collect`).
- `show` shows runs, versions and models, and measures them (`experiment_explorer.py list`, `show`,
  `evaluate`; `model_manager.py list`, `info`, `download`; `version_tag.py --list`).
- `compare` says what differs between versions, and which number that raises
  (`experiment_explorer.py diff`, `version_tag.py --suggest`).
- `retrieve` brings versions back (`experiment_explorer.py get`, `checkout`).
- `verify` proves that all that a version names is there and fits.
- `renumber` gives runs another version where theirs is taken (`version_tag.py --renumber`).
- `doctor` says what is wrong with project and machine (`make doctor`).
- `access` is what `import lineage` gives in notebooks and tests.
- `tracking` is the run that `fit` and `evaluate` may take: it logs, keeps files, survives kills.
- `verbose` shows commands and SQL as they run (`--verbose`).
- `validation` sets rows of the training data aside, to choose runs by (`validation` in
  params.yaml).
- `confidence` keeps a gain that may be noise out of production (`promote.confidence`).
- `unread_params` names keys of `model` in params.yaml that no code reads.
- `gpus` shares GPUs out among the runs of a sweep (`sweep.gpus`).
- `search` draws params by Optuna, each by what came out before it (`sweep.search` in params.yaml).
- `s3` lets `make setup` and `make doctor` ask a remote on S3 whether it can be used.
- `cluster` does runs and merges on a Dask cluster (`sweep.backend`, `merge.engine`).
- `copies` merges copies of the results, as a colleague's: only what changed since they were made.
- `formats` reads CSV, JSON, Feather and partition folders as data, and DuckDB files as results.
- `arrow_types` keeps types of Arrow and pandas in merged data: categories, zones, an index; INT96.
- `sqlite_features` heeds triggers, foreign keys, views and virtual tables of databases.
- `cast_text` lets numbers of databases become text (`merge.cast` in params.yaml).
- `predictions_table` splits a table `predictions` of an incoming database into files of runs.
- `report` shows the project as one page, and its charts as pictures.
- `update` brings in what is new in the template (`make update`).

What may be changed: everything that its face does not except. Only commands, stage scripts,
`core.console`, `models.gate`, `runs.run_argument`, `runs.run_plan`, `setup.check_remote`, the
package's own `__init__` and the files of `merge` and `tables` that meet such a file import from
here, and only on demand. Some extras need another one, as what prints lists needs `show`:
docs/extras.md says which. A folder comes back, with the packages that it needs, by
`make setup EXTRAS=search`.
"""
