"""Models: the pipeline's stage `promote_model`, and promotion, candidates and downloads by hand."""

from pathlib import Path
from typing import Annotated

from typer import Option

from lineage.cli import Format, Mode, new_app, say

app = new_app("Keep models as candidates, put one into production, look at them, copy one out.")

RunId = Annotated[str | None, Option(help="This run.")]
Version = Annotated[str | None, Option(help="The best run of this version that has a model.")]
Form = Annotated[Format, Option(help="How to print.")]


@app.command()
def stage() -> None:
    """Run the pipeline stage promote_model, as params.yaml says."""
    from lineage.promotion import promote_stage

    promote_stage(say)


@app.command()
def promote(
    db: Annotated[Path | None, Option(help="Results database; default: results/experiments.db.")] = None,
    run_id: RunId = None,
    version: Version = None,
    metric: Annotated[str | None, Option(help="What is compared; default: promote.metric.")] = None,
    mode: Annotated[Mode | None, Option(help="What is best; default: promote.mode.")] = None,
) -> None:
    """Put a run's or an older version's model into production; without either, let the best run try the gate."""
    from lineage.promotion import promote_by_hand

    promote_by_hand(db, run_id, version, metric, mode, say)


@app.command()
def add_candidate(
    model_path: Annotated[Path, Option(help="The model file.")],
    run_id: Annotated[str, Option(help="The run that made it; its row must be in the results database.")],
) -> None:
    """Keep a model from a worktree or a colleague as a candidate."""
    from lineage.promotion import add_candidate

    add_candidate(model_path, run_id, say)


@app.command()
def prune(keep: Annotated[int, Option(min=1, help="So many of the best stay.")]) -> None:
    """Drop all candidates but the best, if they can be brought back."""
    from lineage.promotion import prune

    prune(keep, say)


@app.command("list")
def models_kept(format: Form = "table") -> None:
    """Show production and the candidates, best first."""
    from lineage.model_listing import list_models

    list_models(format)


@app.command()
def info(run_id: RunId = None, format: Form = "table") -> None:
    """Show what model.json says about the model in production, or the row of a run."""
    from lineage.model_listing import show_model

    show_model(run_id, format)


@app.command()
def download(
    output: Annotated[Path, Option(help="A new file, or a folder.")], run_id: RunId = None, version: Version = None
) -> None:
    """Copy a run's or a version's model out of the project, verified."""
    from lineage.model_listing import download

    download(run_id, version, output, say)


if __name__ == "__main__":
    app()
