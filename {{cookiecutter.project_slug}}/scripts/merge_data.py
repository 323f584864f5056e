"""The stage merge_data: merge the batches of data/incoming into data/train.parquet.

`merge.data_strategy` of params.yaml says how: `merge` appends the rows whose key is new, `rebase`
replaces those whose key comes again. Both are in `lineage/merge/rules.py`. With
`merge.data_layout: parts` the training data are a folder, in which only what changes is written.
"""

from lineage.core import paths
from lineage.core.console import new_app, say
from lineage.core.extra_commands import from_extra
from lineage.merge.inbox import new_files, unchanged
from lineage.merge.rules import merge_or_rebase, rules_for_data

app = new_app("Merge new batches into the training data, as params.yaml says.")


@app.command()
def main() -> None:
    """Merge the batches of data/incoming into data/train.parquet."""
    from lineage.core.params import read_params
    from lineage.merge.data import line_up, union_all_by_name, write_rows
    from lineage.merge.overlap import keep_apart
    from lineage.tables.engine import open_engine
    from lineage.tracked.guarded_output import guarded_output
    from lineage.tracked.recorded import way_back

    root = paths.find_root()
    params = read_params(root / paths.PARAMS)
    rules = rules_for_data(params.merge)
    path = root / paths.INCOMING_DATA
    with guarded_output(root, paths.TRAIN_DATA) as output, open_engine() as engine, unchanged(path):
        inbox = new_files(root, paths.INCOMING_DATA, rules, output.sources)
        relations = line_up(engine, filter(None, [output.base]), inbox.new, rules, output.name)
        if params.merge.engine == "dask" and inbox.new:
            cluster = from_extra("cluster.merge", "merge.engine in params.yaml")
            plan = cluster.merge_on_cluster(relations, rules, params, output.draft)
        else:
            plan = merge_or_rebase(union_all_by_name(relations), rules)
        both = keep_apart(relations, plan, root / paths.TEST_DATA, params.merge.data_test_overlap)
        lines = [f"{rules.strategy} {plan.line()}; {inbox.line()}; {plan.rows} rows now{both}"]
        lines += inbox.commands_by_hand("data", output.name)
        is_new_form = not relations.base or relations.is_parts != (rules.layout == "parts")
        # without a record yet, files that change nothing make no other bytes: train would see them
        if not plan.is_empty or is_new_form or (inbox.new and output.sources):
            arriving = inbox.as_sources(relations.read_for)
            write_rows(relations, plan, output.draft, arriving, rules.layout)
            output.publish(replaces=plan.replaced > 0)
            lines += way_back(root)
    say("\n".join(lines))


if __name__ == "__main__":
    app()
