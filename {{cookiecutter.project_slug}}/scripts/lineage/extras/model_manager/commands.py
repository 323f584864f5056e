"""The options of `model_manager.py` promote, add-candidate and prune; `change_models` does them."""

from pathlib import Path
from typing import Annotated

from lineage.core.console import Mode, Option, new_app

app = new_app()
RunId = Annotated[str | None, Option(help="This run.")]
Version = Annotated[str | None, Option(help="The best run of this version that has a model.")]


@app.command()
def promote(
    db: Annotated[
        Path | None, Option(help="Results database; default: results/experiments.db.")
    ] = None,
    run_id: RunId = None,
    version: Version = None,
    metric: Annotated[str | None, Option(help="What is compared; default: promote.metric.")] = None,
    mode: Annotated[Mode | None, Option(help="What is best; default: promote.mode.")] = None,
) -> None:
    """Put a run's or an older version's model into production.

    Without either, let the best run try the gate.
    """
    from lineage.extras.model_manager.change_models import promote_by_hand

    promote_by_hand(db, run_id, version, metric, mode)


@app.command()
def add_candidate(
    model_path: Annotated[Path, Option(help="The model, a file or a folder.")],
    run_id: Annotated[
        str, Option(help="The run that made it; its row must be in the results database.")
    ],
) -> None:
    """Keep a model from a worktree or a colleague as a candidate."""
    from lineage.extras.model_manager.change_models import add_candidate

    add_candidate(model_path, run_id)


@app.command()
def prune(keep: Annotated[int, Option(min=1, help="So many of the best stay.")]) -> None:
    """Drop all candidates but the best, if they can be brought back."""
    from lineage.extras.model_manager.change_models import prune

    prune(keep)
