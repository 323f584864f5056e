"""Merge or rebase databases and training data by hand; `compact` folds small parts of data.

The rules are those of the stages merge_data and merge_results, for any files.
"""

from lineage.core.extra_commands import run_extra

if __name__ == "__main__":
    run_extra("merge_artifacts.command")
