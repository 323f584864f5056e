"""By which metric a run is chosen: on the validation side where there is one, else the test set.

Of equal runs the earliest is chosen, so test data break no tie of the validation side.
"""

from lineage.results.measured_under import Row, conditions_of
from lineage.runs.validation import choice_metric


def choice_of(run: Row, metric: str) -> str:
    """Name the metric by which a run is chosen: `val_f1_score` if it has one, for `f1_score`."""
    return choice_metric({name for name in run if run[name] is not None}, metric)


def best_on_validation(runs: list[Row], metric: str) -> list[Row]:
    """Keep the best of runs that were validated alike; where none of them was, keep them all.

    Alike are runs of one version, on the same data, by the same evaluation code.

    Args:
        runs: rows of `metrics`, best first.
        metric: by which models are judged.
    """
    chosen = set()
    kept = []
    for run in runs:
        alike = (run["version"], run["data_hash"], conditions_of(run))
        if alike not in chosen:
            kept.append(run)
        if how_chosen(run, metric):
            chosen.add(alike)
    return kept


def how_chosen(run: Row, metric: str) -> str:
    """Say by what a run was chosen: `, chosen by val_f1_score 0.9512`; nothing if by the test."""
    name = choice_of(run, metric)
    return "" if name == metric else f", chosen by {name} {run[name]:.4f}"
