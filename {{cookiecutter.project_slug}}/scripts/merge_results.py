"""The stage merge_results: merge new runs into results/experiments.db, write metrics and plots.

`merge.strategy` of params.yaml says how: `merge` appends the runs that are new, `rebase` replaces
those whose key columns come again. Both are in `lineage/merge/rules.py`.
"""

from lineage.core import paths
from lineage.core.console import new_app, say
from lineage.merge.databases import carry_rows, open_tables, union_all_by_name
from lineage.merge.inbox import find_runs, new_files, unchanged
from lineage.merge.rules import merge_or_rebase, rules_for_results
from lineage.tables.sources import add_sources

app = new_app("Merge new runs into the results database, as params.yaml says.")


@app.command()
def main() -> None:
    """Merge the runs of results/runs and results/incoming into results/experiments.db."""
    from lineage.core.params import read_params
    from lineage.merge.origin_of_copy import find_origins
    from lineage.merge.predictions import gather_predictions
    from lineage.results.plots import write_reports
    from lineage.tracked.guarded_output import guarded_output
    from lineage.tracked.recorded import way_back

    root = paths.find_root()
    params = read_params(root / paths.PARAMS)
    rules = rules_for_results(params.merge)
    with guarded_output(root, paths.DATABASE) as output, unchanged(root / paths.INCOMING_RESULTS):
        inbox = new_files(root, paths.INCOMING_RESULTS, rules, output.sources)
        new = inbox.databases
        rules.ancestors.update(find_origins(root, output.name, output.base, new))
        plans = []
        with open_tables(output.base, new, output.draft, rules, output.is_recorded) as tables:
            for table in tables:
                relations = union_all_by_name(table)
                plan = merge_or_rebase(relations, table.rules)
                carry_rows(table, relations, plan)
                plans.append(plan)
        add_sources(output.draft, inbox.as_sources())
        with gather_predictions(root, new, output.draft, rules, inbox.new) as gathered:
            changed = output.publish(replaces=any(plan.replaced for plan in plans))
            gathered.write()
    lines = [f"{plan.strategy} {plan.line()}" for plan in [*plans, gathered.plan]]
    lines += [f"{output.name}: {inbox.line()}", *inbox.commands_by_hand("db", output.name)]
    say("\n".join([*lines, *(way_back(root) if changed else ())]))
    newest = [run.stem for run in find_runs(root)]
    write_reports(root, newest, params.promote.metric, params.promote.mode)


if __name__ == "__main__":
    app()
