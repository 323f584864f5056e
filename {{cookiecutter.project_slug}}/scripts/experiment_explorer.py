"""Look at past experiments: list, show, compare, bring back, prove. Code, data and results here are never changed."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from lineage.cli import DEBUG, Format, Mode, guarded, new_app, say

app = new_app("Look at past experiments and bring them back; the working tree is left alone.")

DB = Annotated[Path | None, typer.Option(help="Results database; default: the tag's, or results/experiments.db.")]
VERSION = Annotated[str, typer.Option(help="As in e0.1.0.")]
FORMAT = Annotated[Format, typer.Option(help="How to print.")]


class Strategy(str, Enum):
    auto = "auto"
    cache = "cache"
    dvc_get = "dvc-get"
    worktree = "worktree"


@app.command("list")
def list_runs(
    db: Annotated[Path | None, typer.Option(help="Results database; default: results/experiments.db.")] = None,
    sort: Annotated[str | None, typer.Option(help="Metric to sort by; default: promote.metric.")] = None,
    mode: Annotated[Mode | None, typer.Option(help="What is best; default: promote.mode, or by the name.")] = None,
    where: Annotated[list[str] | None, typer.Option(help="As in model_C=1.0; again for more conditions.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many runs.")] = 20,
    format: FORMAT = Format.table,
    debug: bool = DEBUG,
) -> None:
    """Show the leaderboard: runs, best first."""
    from lineage.listing import print_leaderboard

    best = mode.value if mode else None
    guarded(lambda: print_leaderboard(db, sort, best, limit, format.value, where or ()), debug=debug)


@app.command()
def show(version: VERSION, db: DB = None, format: FORMAT = Format.table, debug: bool = DEBUG) -> None:
    """Show a version: its tag, best run, params, metrics and artifacts."""
    from lineage.listing import print_version

    _in_project(lambda root: print_version(root, version, db, format.value), debug)


@app.command()
def diff(
    v1: VERSION,
    v2: VERSION,
    db: DB = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many flipped predictions.")] = 20,
    format: FORMAT = Format.table,
    debug: bool = DEBUG,
) -> None:
    """Compare two versions: params, metrics, data, predictions, code."""
    from lineage.listing import print_difference

    _in_project(lambda root: print_difference(root, v1, v2, db, limit, format.value), debug)


@app.command()
def get(
    version: VERSION,
    artifact: Annotated[str, typer.Option(help="File or folder, as its path in the project.")],
    output: Annotated[Path | None, typer.Option(help="Default: build/VERSION/ARTIFACT.")] = None,
    strategy: Annotated[
        Strategy, typer.Option(help="auto: cache and remote, then dvc get, then a worktree.")
    ] = Strategy.auto,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    debug: bool = DEBUG,
) -> None:
    """Bring a file or folder of a version back."""
    from lineage import retrieval

    _in_project(
        lambda root: say(f"wrote {retrieval.get(root, version, artifact, output, strategy.value, force)}"), debug
    )


@app.command()
def checkout(version: VERSION, debug: bool = DEBUG) -> None:
    """Make ../explore-VERSION: its code with all its data, models and results."""
    from lineage import exploring

    _in_project(lambda root: say(f"ready: {exploring.checkout(root, version)}"), debug)


@app.command()
def worktrees(format: FORMAT = Format.table, debug: bool = DEBUG) -> None:
    """List what checkout made."""
    from lineage import exploring
    from lineage.listing import print_rows

    def work(root: Path) -> None:
        made = exploring.worktrees(root)
        rows = [(one.version, str(one.folder), ", ".join(one.changes) or None) for one in made]
        print_rows(("version", "folder", "changes"), rows, format.value)

    _in_project(work, debug)


@app.command()
def cleanup(
    version: Annotated[str | None, typer.Option(help="Default: all.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Also with changes, which are lost.")] = False,
    debug: bool = DEBUG,
) -> None:
    """Remove what checkout made, and nothing else."""
    from lineage import exploring

    def work(root: Path) -> None:
        for removed in exploring.cleanup(root, version, force):
            say(f"removed {removed.folder}")

    _in_project(work, debug)


@app.command()
def verify(
    version: Annotated[list[str] | None, typer.Option(help="As in e0.1.0; again for more.")] = None,
    all: Annotated[bool, typer.Option("--all", help="All versions.")] = False,
    format: FORMAT = Format.table,
    debug: bool = DEBUG,
) -> None:
    """Prove that row, tag, code, data and model of versions fit together and are there."""
    from lineage import proof, versions
    from lineage.errors import BadInput, Refused
    from lineage.listing import print_rows

    def work(root: Path) -> None:
        if all == bool(version):
            raise BadInput("give --version or --all", "experiment_explorer.py verify --all")
        chosen = versions.tags(root) if all else [versions.find_tag(root, name) for name in version or ()]
        rows, whole = proof.verify(root, chosen)
        print_rows(proof.HEADER, rows, format.value)
        if not whole:
            broken = next(str(row[0]) for row in rows if row[-1])
            raise Refused(
                "not everything holds",
                f"python scripts/experiment_explorer.py checkout --version {broken}   # fetches what is only in the remote"
                f"\n  → python scripts/version_tag.py --version {broken} --push   # sends what is only here",
            )

    _in_project(work, debug)


def _in_project(work: Callable[[Path], None], debug: bool) -> None:
    from lineage.layout import find_root

    guarded(lambda: work(find_root()), debug=debug)


if __name__ == "__main__":
    app()
