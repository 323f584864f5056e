"""The stage merge_results: merge new runs into results/experiments.db, write metrics and plots.

`merge.strategy` of params.yaml says how: `merge` appends the runs that are new, `rebase` replaces
those whose key columns come again. Both are in `lineage/merge/rules.py`.
"""

from typing import TYPE_CHECKING

from lineage.core.console import new_app, say

if TYPE_CHECKING:
    from pathlib import Path

    from lineage.merge.plan import Plan
    from lineage.merge.rules import Rules
    from lineage.tracked.guarded_output import GuardedOutput

app = new_app("Merge new runs into the results database, as params.yaml says.")


@app.command()
def main() -> None:
    """Merge the runs of results/runs and results/incoming into results/experiments.db."""
    from lineage.core import paths
    from lineage.core.params import read_params
    from lineage.merge.inbox import as_sources, find_runs, new_results
    from lineage.merge.origin_of_copy import know_origins
    from lineage.merge.predictions import gather_predictions
    from lineage.merge.rules import rules_for_results
    from lineage.results.plots import write_reports
    from lineage.tables.sources import add_sources
    from lineage.tracked.guarded_output import guarded_output
    from lineage.tracked.recorded import way_back

    root = paths.find_root()
    params = read_params(root / paths.PARAMS)
    rules = rules_for_results(params.merge)
    with guarded_output(root, paths.DATABASE) as output:
        inbox = new_results(root, rules, merged_before=output.sources)
        rules = know_origins(root, output.base, inbox.databases, rules)
        plans = merge_tables(output, inbox.databases, rules)
        add_sources(output.draft, as_sources(root, inbox.new, rules))
        with gather_predictions(root, inbox.databases, output.draft, rules, inbox.new) as gathered:
            by_hand = inbox.commands_by_hand(rules, "db", output.name)
            lines = [f"{output.name}: {inbox.line()}", *by_hand]
            if output.publish(replaces=any(plan.replaced for plan in plans)):
                lines += way_back(root)
            gathered.write()
    for plan in [*plans, gathered.plan]:
        say(f"{plan.strategy} {plan.line()}")
    say("\n".join(lines))
    newest = [run.stem for run in find_runs(root)]
    write_reports(root, newest, params.promote.metric, params.promote.mode)


def merge_tables(output: "GuardedOutput", sources: "list[Path]", rules: "Rules") -> "list[Plan]":
    """Merge or rebase the tables of databases, one after another, into a copy of the base."""
    from lineage.merge.databases import carry_rows, open_tables, union_all_by_name
    from lineage.merge.rules import merge_or_rebase

    plans = []
    with open_tables(output.base, sources, output.draft, rules, output.is_recorded) as tables:
        for table in tables:
            relations = union_all_by_name(table)
            plan = merge_or_rebase(relations, table.rules)
            carry_rows(table, relations, plan)
            plans.append(plan)
    return plans


if __name__ == "__main__":
    app()
