"""Look at models, copy one out, promote one, keep or drop candidates: a command for each."""

from pathlib import Path
from typing import Annotated

from lineage.core.console import Format, Mode, Option, new_app

app = new_app("Keep models as candidates, put one into production, look at them, copy one out.")

RunId = Annotated[str | None, Option(help="This run.")]
Version = Annotated[str | None, Option(help="The best run of this version that has a model.")]
Form = Annotated[Format, Option(help="How to print.")]


@app.command(extra="model_manager")
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


@app.command(extra="model_manager")
def add_candidate(
    model_path: Annotated[Path, Option(help="The model, a file or a folder.")],
    run_id: Annotated[
        str, Option(help="The run that made it; its row must be in the results database.")
    ],
) -> None:
    """Keep a model from a worktree or a colleague as a candidate."""
    from lineage.extras.model_manager.change_models import add_candidate

    add_candidate(model_path, run_id)


@app.command(extra="model_manager")
def prune(keep: Annotated[int, Option(min=1, help="So many of the best stay.")]) -> None:
    """Drop all candidates but the best, if they can be brought back."""
    from lineage.extras.model_manager.change_models import prune

    prune(keep)


@app.command("list", extra="show")
def models_kept(format: Form = "table") -> None:
    """Show production and the candidates, best first."""
    from lineage.extras.show.models import list_models

    list_models(format)


@app.command(extra="show")
def info(run_id: RunId = None, format: Form = "table") -> None:
    """Show what model.json says about the model in production, or the row of a run."""
    from lineage.extras.show.models import show_model

    show_model(run_id, format)


@app.command(extra="show")
def download(
    output: Annotated[Path, Option(help="A new file, or a folder.")],
    run_id: RunId = None,
    version: Version = None,
) -> None:
    """Copy a run's or a version's model out of the project, verified."""
    from lineage.extras.show.models import download

    download(run_id, version, output)


if __name__ == "__main__":
    app()
