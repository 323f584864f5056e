"""The stage train does the runs of params.yaml; `runs.sweep` shows them, and says which failed."""

from typing import Any

from lineage.core.console import new_app
from lineage.core.extra_commands import from_extra
from lineage.core.paths import DATABASE, PARAMS, RUNS, find_root

app = new_app("Run the experiment once, or once for each point of the sweep, and record every run.")


@app.command()
def main(debug: bool = False) -> None:
    """Train as params.yaml says.

    With --debug, runs are done in this process, one by one; the first error ends it.
    """
    from lineage.core.params import read_params
    from lineage.runs.run_plan import Plan
    from lineage.runs.sweep import check_failures, do_runs, warn_of_gaps
    from lineage.runs.unfinished_runs import finish
    from lineage.tracked.guarded_output import check_base, locked
    from lineage.tracked.version_tags import check_open

    root = find_root()
    params = read_params(root / PARAMS)
    check_open(root, params.experiment.version)
    check_base(root, DATABASE)  # merge_results would refuse it, too, but only after the training
    sweep = params.sweep
    search = _extra("search.trials", "Search", "sweep.search", sweep.search.trials)
    share = _extra("gpus.devices", "share_gpus", "sweep.gpus", sweep.gpus)
    elsewhere = _extra("cluster.sweep", "do_on_cluster", "sweep.backend", sweep.backend == "dask")
    side = _extra("validation.split", "validation_side", "validation", params.validation.is_on)
    with locked(root, RUNS):
        plan = (search or Plan)(root, params, side(params) if side else None)
        do_runs(plan, debug, share, elsewhere)
        warn_of_gaps(plan)
        check_failures(plan)
        plan.check_unchanged()
        finish(root, plan.runs.values())


def _extra(module: str, function: str, key: str, is_asked: object) -> Any:
    """Import what a key of params.yaml asks for; None where it does not."""
    if not is_asked:
        return None
    return getattr(from_extra(module, f"{key} in params.yaml"), function)


if __name__ == "__main__":
    app()
