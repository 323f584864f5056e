"""The stage merge_results: merge new runs into results/experiments.db, write metrics and plots.

`merge.strategy` of params.yaml says how: `merge` appends the runs that are new, `rebase` replaces
those whose key columns come again. Both are in `lineage/merge/rules.py`.
"""

from lineage.core.console import new_app, say

app = new_app("Merge new runs into the results database, as params.yaml says.")


@app.command()
def main() -> None:
    """Merge the runs of results/runs and results/incoming into results/experiments.db."""
    from lineage.core import paths
    from lineage.core.params import read_params
    from lineage.merge.databases import carry_rows, open_tables, union_all_by_name
    from lineage.merge.inbox import find_files, find_runs
    from lineage.merge.origin_of_copy import know_origins
    from lineage.merge.predictions import gather_predictions
    from lineage.merge.rules import merge_or_rebase, rules_for_results
    from lineage.results.plots import write_reports
    from lineage.tracked.guarded_output import guarded_output

    root = paths.find_root()
    params = read_params(root / paths.PARAMS)
    rules = rules_for_results(params.merge)
    with guarded_output(root, paths.DATABASE) as output:
        runs = find_runs(root)
        sources = [*find_files(root / paths.INCOMING_RESULTS, ".db"), *runs]
        rules = know_origins(root, output.base, sources, rules)
        plans = []
        with open_tables(output.base, sources, output.draft, rules, output.is_recorded) as tables:
            for table in tables:
                relations = union_all_by_name(table)
                plan = merge_or_rebase(relations, table.rules)
                carry_rows(table, relations, plan)
                plans.append(plan)
        with gather_predictions(root, sources, output.draft, rules) as predictions:
            output.publish(replaces=any(plan.replaced for plan in plans))
            predictions.write()
    for plan in [*plans, predictions.plan]:
        say(f"{plan.strategy} {plan.line()}")
    write_reports(root, [run.stem for run in runs], params.promote.metric, params.promote.mode)


if __name__ == "__main__":
    app()
