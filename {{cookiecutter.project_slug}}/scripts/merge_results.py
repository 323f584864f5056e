"""The stage merge_results: merge the databases of new runs into results/experiments.db, and report the best of them."""

from lineage.core.console import new_app, say

app = new_app("Merge new runs into the results database, as params.yaml says.")


@app.command()
def main() -> None:
    """Merge the runs of results/runs and results/incoming into results/experiments.db."""
    from lineage.merge.merging import merge_results_stage
    from lineage.results.plots import write_reports

    root, track_ids, promote = merge_results_stage(say)
    write_reports(root, track_ids, promote.metric, promote.mode)


if __name__ == "__main__":
    app()
