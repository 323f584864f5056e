"""The stage train: do the runs of params.yaml with your experiment.py, and record each."""

from lineage.core.console import new_app, say

app = new_app("Run the experiment once, or once for each point of the sweep, and record every run.")


@app.command()
def main(debug: bool = False) -> None:
    """Train as params.yaml says.

    With --debug, runs are done in this process, one by one; the first error ends it.
    """
    from lineage.core.params import read_params
    from lineage.core.paths import DATABASE, PARAMS, RUNS, find_root
    from lineage.runs.run_plan import plan_runs
    from lineage.runs.sweep import check_failures, do_runs, warn_of_gaps
    from lineage.runs.train_run import check_code
    from lineage.runs.unfinished_runs import find_done, finish
    from lineage.tracked.guarded_output import check_base, locked
    from lineage.tracked.version_tags import check_open

    root = find_root()
    params = read_params(root / PARAMS)
    check_open(root, params.experiment.version)
    check_base(root, DATABASE)  # merge_results would refuse it, too, but only after the training
    with locked(root, RUNS):
        runs = plan_runs(root, params)
        done = find_done(root, runs)
        if done:
            there = f"{len(done)} of {len(runs)} runs are there already"
            say(f"{there}, from a session that did not end")
        missing = [run for run in runs if run.facts.run_hash not in done]
        outcomes = do_runs(root, missing, params, debug)
        warn_of_gaps(outcomes, len(runs), params.promote.metric)
        check_failures(outcomes, len(runs), params.sweep.on_error)
        check_code(root, runs[0])  # DVC records the code that lies there when the stage ends
        track_ids = [outcome.run.track_id for outcome in outcomes]
        finish(root, [*done.values(), *track_ids])


if __name__ == "__main__":
    app()
