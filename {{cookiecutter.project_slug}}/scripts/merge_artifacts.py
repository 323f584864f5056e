"""Merge or rebase databases and training data by hand; `compact` folds small parts of data.

The rules are those of the stages merge_data and merge_results, for any files.
"""

from lineage.core.console import needs_extra

if __name__ == "__main__":
    with needs_extra("merge_artifacts"):
        from lineage.extras.merge_artifacts.command import run
    run()
