"""Start extras/merge_artifacts/command.py: merge or rebase by hand, or `compact` parts of data.

The rules are those of the stages merge_data and merge_results, for any files.
"""

from lineage.core.extra_commands import run_extra

if __name__ == "__main__":
    run_extra("merge_artifacts.command")
