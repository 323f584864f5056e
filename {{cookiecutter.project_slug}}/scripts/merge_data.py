"""The stage merge_data: merge the batches of data/incoming into data/train.parquet, as merge.data_strategy says."""

from lineage.core.console import new_app, say

app = new_app("Merge new batches into the training data, as params.yaml says.")


@app.command()
def main() -> None:
    """Merge the batches of data/incoming into data/train.parquet."""
    from lineage.merge.merging import merge_data_stage

    merge_data_stage(say)


if __name__ == "__main__":
    app()
