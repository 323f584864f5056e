"""Models: the pipeline's stage `promote_model`, and promotion, candidates and downloads by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lineage.cli import DEBUG, Format, Mode, guarded, new_app, say

app = new_app("Keep models as candidates, put one into production, look at them, copy one out.")

RunId = Annotated[str | None, typer.Option(help="This run.")]
Version = Annotated[str | None, typer.Option(help="The best run of this version that has a model.")]
Form = Annotated[Format, typer.Option(help="How to print.")]


@app.callback()
def models() -> None:
    """Candidates and production."""


@app.command()
def stage(debug: bool = DEBUG) -> None:
    """Run the pipeline stage promote_model, as params.yaml says."""
    from lineage.promotion import promote_stage

    guarded(lambda: promote_stage(say), debug=debug)


@app.command()
def promote(
    db: Annotated[Path | None, typer.Option(help="Results database; default: results/experiments.db.")] = None,
    run_id: RunId = None,
    version: Version = None,
    metric: Annotated[str | None, typer.Option(help="What is compared; default: promote.metric.")] = None,
    mode: Annotated[Mode | None, typer.Option(help="What is best; default: promote.mode.")] = None,
    debug: bool = DEBUG,
) -> None:
    """Put a run's or an older version's model into production; without either, let the best run try the gate."""
    from lineage.promotion import promote_by_hand

    guarded(lambda: promote_by_hand(db, run_id, version, metric, mode and mode.value, say), debug=debug)


@app.command()
def add_candidate(
    model_path: Annotated[Path, typer.Option(help="The model file.")],
    run_id: Annotated[str, typer.Option(help="The run that made it; its row must be in the results database.")],
    debug: bool = DEBUG,
) -> None:
    """Keep a model from a worktree or a colleague as a candidate."""
    from lineage.promotion import add_candidate

    guarded(lambda: add_candidate(model_path, run_id, say), debug=debug)


@app.command()
def prune(keep: Annotated[int, typer.Option(min=1, help="So many of the best stay.")], debug: bool = DEBUG) -> None:
    """Drop all candidates but the best, if they can be brought back."""
    from lineage.promotion import prune

    guarded(lambda: prune(keep, say), debug=debug)


@app.command("list")
def models_kept(format: Form = Format.table, debug: bool = DEBUG) -> None:
    """Show production and the candidates, best first."""
    from lineage.model_listing import list_models

    guarded(lambda: list_models(format.value), debug=debug)


@app.command()
def info(run_id: RunId = None, format: Form = Format.table, debug: bool = DEBUG) -> None:
    """Show what model.json says about the model in production, or the row of a run."""
    from lineage.model_listing import show_model

    guarded(lambda: show_model(run_id, format.value), debug=debug)


@app.command()
def download(
    output: Annotated[Path, typer.Option(help="A new file, or a folder.")],
    run_id: RunId = None,
    version: Version = None,
    debug: bool = DEBUG,
) -> None:
    """Copy a run's or a version's model out of the project, verified."""
    from lineage.model_listing import download

    guarded(lambda: download(run_id, version, output, say), debug=debug)


if __name__ == "__main__":
    app()
