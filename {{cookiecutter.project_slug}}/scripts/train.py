"""The stage train: do the runs of params.yaml with your experiment.py, and record each."""

from lineage.core.console import new_app, say
from lineage.core.errors import explain_missing

app = new_app("Run the experiment once, or once for each point of the sweep, and record every run.")


@app.command()
def main(debug: bool = False) -> None:
    """Train as params.yaml says.

    With --debug, runs are done in this process, one by one; the first error ends it.
    """
    from lineage.core.params import read_params
    from lineage.core.paths import DATABASE, PARAMS, RUNS, find_root
    from lineage.runs.run_plan import Plan
    from lineage.runs.sweep import check_failures, do_runs, warn_of_gaps
    from lineage.runs.train_run import check_code
    from lineage.runs.unfinished_runs import find_done, finish
    from lineage.tracked.guarded_output import check_base, locked
    from lineage.tracked.version_tags import check_open

    root = find_root()
    params = read_params(root / PARAMS)
    check_open(root, params.experiment.version)
    check_base(root, DATABASE)  # merge_results would refuse it, too, but only after the training
    new_plan = _search() if params.sweep.search.trials else Plan
    with locked(root, RUNS):
        plan = new_plan(root, params)
        done = find_done(root)
        missing = plan.missing(done)
        there = len(plan.runs.keys() & done.keys())
        if there:
            say(f"{there} of {plan.total} runs are there already, from a session that did not end")
        on_cluster = _dask() if params.sweep.backend == "dask" else None
        do_runs(plan, missing, plan.total - there, debug, on_cluster)
        warn_of_gaps(plan)
        check_failures(plan)
        runs = list(plan.runs.values())
        check_code(root, runs[0])  # DVC records the code that lies there when the stage ends
        finish(root, [done.get(run.facts.run_hash, run.track_id) for run in runs])


def _search() -> type:
    """Import the plan of a search, an extra."""
    with explain_missing("search", "sweep.search in params.yaml"):
        from lineage.extras.search.trials import Search
    return Search


def _dask() -> object:
    """Import what does runs on a cluster, which is an extra, too."""
    with explain_missing("cluster", "sweep.backend in params.yaml"):
        from lineage.extras.cluster.sweep import do_on_cluster
    return do_on_cluster


if __name__ == "__main__":
    app()
