"""Merge or rebase results databases and training data by hand.

The rules are those of the stages merge_data and merge_results, for any files.
"""

from lineage.core.console import needs_extra

if __name__ == "__main__":
    with needs_extra("by_hand"):
        from lineage.extras.by_hand.command import run
    run()
