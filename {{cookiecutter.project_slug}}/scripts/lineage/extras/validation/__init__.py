"""The section `validation` of params.yaml: rows are set aside, and runs are chosen by them.

- `split.py` splits the training data, and names what was measured on the rows that are aside.

What may be changed: how rows are placed (`share`), before there are runs that depend on it.

The folder promises that a row keeps its side whatever arrives later, on every machine, and that no
group, no time and no duplicate is on both sides. A run that `val_…` metrics came with, from
here or from its own `evaluate`, is chosen by them without this folder, too (`runs/run.py`).
"""
