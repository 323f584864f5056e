"""The options of `experiment_explorer.py conflicts`; `conflicts` prints."""

from lineage.core.console import Form, new_app
from lineage.core.paths import find_root

app = new_app()


@app.command()
def conflicts(format: Form = "table") -> None:
    """Show every cell that both sides of a merge changed: of the merge that is under way."""
    from lineage.extras.git_merge.conflicts import print_conflicts

    print_conflicts(find_root(), format)
