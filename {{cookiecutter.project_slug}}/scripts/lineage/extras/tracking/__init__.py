"""The run that `fit` and `evaluate` may take as their third argument: it logs, and keeps files.

- `active_run.py` is what they get: `run.log`, `run.artifact`, `run.checkpoint`, `run.device`.
- `events.py` reads what a run has logged, and makes the table `events` of it.

What may be changed: what a run offers.

The folder promises that a run which is killed loses nothing that it logged, and that one which goes
on from its checkpoint has each step once. What runs have logged and kept is merged, plotted and
brought back without this folder, too; an experiment that takes no run never imports it
(`runs/run_argument.py`).
"""
