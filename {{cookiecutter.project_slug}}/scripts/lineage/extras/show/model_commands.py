"""The commands of `model_manager.py` that only show: list, info and download."""

from pathlib import Path
from typing import Annotated

from lineage.core.console import Form, Option, new_app

app = new_app()
RunId = Annotated[str | None, Option(help="This run.")]
Version = Annotated[str | None, Option(help="The best run of this version that has a model.")]


@app.command("list")
def models_kept(format: Form = "table") -> None:
    """Show production and the candidates, best first."""
    from lineage.extras.show.models import list_models

    list_models(format)


@app.command()
def info(run_id: RunId = None, format: Form = "table") -> None:
    """Show what model.json says about the model in production, or the row of a run."""
    from lineage.extras.show.models import show_model

    show_model(run_id, format)


@app.command()
def download(
    output: Annotated[Path, Option(help="A new file, or a folder.")],
    run_id: RunId = None,
    version: Version = None,
) -> None:
    """Copy a run's or a version's model out of the project, verified."""
    from lineage.extras.show.models import download

    download(run_id, version, output)
