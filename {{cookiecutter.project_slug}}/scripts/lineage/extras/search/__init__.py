"""The search of the stage `train`, which imports `trials.Search`: trials one by one, by Optuna.

- `trials.py` draws a trial when a worker is free, and tells the study how runs ended.
- `space.py` translates between the space of params.yaml, points of a sweep, and Optuna.

What may be changed: how trials are drawn (`SAMPLERS`), and from what (`space.py`).

The folder promises that a trial is a run like any other, that a search which was stopped goes on
where it was, and that the same seed and one job give the same trials.
"""
