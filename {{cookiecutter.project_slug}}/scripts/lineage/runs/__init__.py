"""The room of the stage `train`: from params.yaml to recorded runs, one set of files for each.

- `run_plan.py` plans: which runs the params ask for, what each of them depends on, how they end.
- `unfinished_runs.py` finds runs that a stopped `train` has done, and hands DVC whole runs.
- `sweep.py` does the runs of a plan, shows how they go, and says which failed.
- `train_run.py` trains one run: load, fit, evaluate, save, record.
- `run_argument.py` gives `fit` and `evaluate` the run where they take it: the extra `tracking`.
- `run.py` says what a run is, how it ended, by which metric it is chosen, and where its files are.
- `model_file.py` names and saves models, and makes their bytes depend on the model only.
- `predictions_file.py` writes the predictions, as parquet.
- `model_origin.py` tells, in their file, what a model takes and which packages were loaded.
- `run_database.py` writes the row of `metrics`, through xetrack, and the table `events`.
- `workers.py` does runs in processes of their own, which share the cores; one that dies takes no
  other with it.

What may be changed: what a row says (`Facts` in `run.py`), and how runs are spread over
processes (`workers.py`). Other rooms read the names of the files and the columns that exist.

Rows are set aside by the extra `validation`, GPUs shared out by `gpus`.

The room promises that no two runs write to one file, that a run is recorded whole or not at all,
and that a `train` which was stopped does only what is missing when it is started again.
"""
