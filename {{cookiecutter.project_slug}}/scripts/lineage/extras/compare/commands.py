"""The options of `experiment_explorer.py diff`; `difference` does the work."""

from pathlib import Path
from typing import Annotated

from lineage.core.console import Form, Option, new_app
from lineage.core.paths import find_root

app = new_app()
Version = Annotated[str, Option(help="As in e0.1.0.")]
Database = Annotated[
    Path | None, Option(help="Results database; default: the tag's, or results/experiments.db.")
]


@app.command()
def diff(
    v1: Version,
    v2: Version,
    db: Database = None,
    limit: Annotated[int, Option(min=0, help="At most so many flipped predictions.")] = 20,
    format: Form = "table",
) -> None:
    """Compare two versions: params, metrics, data, predictions, code."""
    from lineage.extras.compare.difference import print_difference

    print_difference(find_root(), v1, v2, db, limit, format)
