"""Look at past experiments. Nothing here writes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lineage.cli import DEBUG, Format, Mode, guarded, new_app

app = new_app("Look at past experiments; nothing is ever written.")


@app.callback()
def explorer() -> None:
    """Read-only views of the results database."""


@app.command("list")
def list_runs(
    db: Annotated[Path | None, typer.Option(help="Results database; default: results/experiments.db.")] = None,
    sort: Annotated[str | None, typer.Option(help="Metric to sort by; default: promote.metric.")] = None,
    mode: Annotated[Mode | None, typer.Option(help="What is best; default: promote.mode.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many runs.")] = 20,
    format: Annotated[Format, typer.Option(help="How to print.")] = Format.table,
    debug: bool = DEBUG,
) -> None:
    """Show the leaderboard: runs, best first."""
    from lineage.listing import print_leaderboard

    guarded(lambda: print_leaderboard(db, sort, mode.value if mode else None, limit, format.value), debug=debug)


if __name__ == "__main__":
    app()
