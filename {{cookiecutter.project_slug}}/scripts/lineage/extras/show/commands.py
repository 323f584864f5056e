"""The commands of `experiment_explorer.py` that only show: list, show and evaluate."""

from pathlib import Path
from typing import Annotated

from lineage.core.console import Form, Mode, Option, new_app
from lineage.core.paths import find_root

app = new_app()


@app.command("list")
def list_runs(  # noqa: PLR0913 — options
    db: Annotated[
        Path | None, Option(help="Results database; default: results/experiments.db.")
    ] = None,
    sort: Annotated[str | None, Option(help="Metric to sort by; default: promote.metric.")] = None,
    mode: Annotated[
        Mode | None, Option(help="What is best; default: promote.mode, or by the name.")
    ] = None,
    where: Annotated[
        list[str] | None, Option(help="As in model_C=1.0; again for more conditions.")
    ] = None,
    limit: Annotated[int, Option(min=1, help="At most so many runs.")] = 20,
    columns: Annotated[
        str | None, Option(help="What to show, as in version,f1_score,test,seeds.")
    ] = None,
    format: Form = "table",
) -> None:
    """Show the leaderboard: runs, best first."""
    from lineage.extras.show.leaderboard import print_leaderboard, read_leaderboard

    rows, names = read_leaderboard(db, sort, mode, where or ())
    if columns:
        names = columns.split(",")
    elif format == "json":
        names = list(dict.fromkeys([*names, *(rows[0] if rows else ())]))  # data_hash and all
    print_leaderboard(rows[:limit], names, format)


@app.command()
def evaluate(
    version: Annotated[str | None, Option(help="The best run of this version.")] = None,
    run_id: Annotated[str | None, Option(help="This run; default: production.")] = None,
    format: Form = "table",
) -> None:
    """Measure a model on the present test data by the present code; show what was recorded, too."""
    from lineage.extras.show.models import print_evaluation

    print_evaluation(run_id, version, format)


@app.command()
def show(
    version: Annotated[str, Option(help="As in e0.1.0.")],
    db: Annotated[
        Path | None, Option(help="Results database; default: the tag's, or results/experiments.db.")
    ] = None,
    format: Form = "table",
) -> None:
    """Show a version: its tag, best run, params, metrics and artifacts."""
    from lineage.extras.show.versions import print_version

    print_version(find_root(), version, db, format)
