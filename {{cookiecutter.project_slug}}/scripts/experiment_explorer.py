"""Look at runs and versions, and bring them back: list, show, diff, get, verify, and so on."""

from pathlib import Path
from typing import Annotated, Literal

from lineage.core.console import Argument, Format, Mode, Option, new_app, say
from lineage.core.paths import find_root

app = new_app("Look at past experiments and bring them back; the working tree is left alone.")

DB = Annotated[
    Path | None, Option(help="Results database; default: the tag's, or results/experiments.db.")
]
VERSION = Annotated[str, Option(help="As in e0.1.0.")]
FORMAT = Annotated[Format, Option(help="How to print.")]
Strategy = Literal["auto", "cache", "dvc-get", "worktree"]
Chart = Literal["versions", "sweeps", "curves", "confusion"]
RUN = Annotated[list[str] | None, Option(help="A run's id, as in list; again for more.")]


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
    format: FORMAT = "table",
) -> None:
    """Show the leaderboard: runs, best first."""
    from lineage.results.leaderboard import print_leaderboard, read_leaderboard

    rows, names = read_leaderboard(db, sort, mode, where or ())
    if columns:
        names = columns.split(",")
    elif format == "json":
        names = list(dict.fromkeys([*names, *(rows[0] if rows else ())]))  # data_hash and all
    print_leaderboard(rows[:limit], names, format)


@app.command(extra="report")
def report(
    output: Annotated[Path, Option("--output", "-o", help="The page.")] = Path("report.html"),
    run: RUN = None,
    open: Annotated[bool, Option("--open", help="Show it in a browser.")] = False,
) -> None:
    """Write one page that shows everything, and opens without a network."""
    from lineage.extras.report.page import write_report

    write_report(find_root(), output, run or (), open)


@app.command(extra="report")
def plot(
    chart: Annotated[Chart, Argument(help="What to draw.")] = "versions",
    of: Annotated[
        str | None, Argument(help="The metric, version, or name that was logged.")
    ] = None,
    output: Annotated[Path, Option("--output", "-o", help=".png or .svg.")] = Path("plot.png"),
    run: RUN = None,
) -> None:
    """Draw a chart of the report into a file."""
    from lineage.extras.report.picture import write_picture

    write_picture(find_root(), chart, of, output, run or ())


@app.command(extra="show")
def evaluate(
    version: Annotated[str | None, Option(help="The best run of this version.")] = None,
    run_id: Annotated[str | None, Option(help="This run; default: production.")] = None,
    format: FORMAT = "table",
) -> None:
    """Measure a model on the present test data by the present code; show what was recorded, too."""
    from lineage.extras.show.models import print_evaluation

    print_evaluation(run_id, version, format)


@app.command(extra="show")
def show(
    version: VERSION,
    db: DB = None,
    format: FORMAT = "table",
) -> None:
    """Show a version: its tag, best run, params, metrics and artifacts."""
    from lineage.extras.show.versions import print_version

    print_version(find_root(), version, db, format)


@app.command(extra="git_merge")
def conflicts(format: FORMAT = "table") -> None:
    """Show every cell that both sides of a merge changed: of the merge that is under way."""
    from lineage.extras.git_merge.conflicts import print_conflicts

    print_conflicts(find_root(), format)


@app.command(extra="show")
def diff(
    v1: VERSION,
    v2: VERSION,
    db: DB = None,
    limit: Annotated[int, Option(min=0, help="At most so many flipped predictions.")] = 20,
    format: FORMAT = "table",
) -> None:
    """Compare two versions: params, metrics, data, predictions, code."""
    from lineage.extras.show.versions import print_difference

    print_difference(find_root(), v1, v2, db, limit, format)


@app.command(extra="retrieve")
def get(
    version: VERSION,
    artifact: Annotated[str, Option(help="File or folder, as its path in the project.")],
    output: Annotated[Path | None, Option(help="Default: build/VERSION/ARTIFACT.")] = None,
    strategy: Annotated[
        Strategy, Option(help="auto: cache and remote, then dvc get, then a worktree.")
    ] = "auto",
    force: Annotated[bool, Option("--force", help="Replace what is there.")] = False,
    as_file: Annotated[bool, Option("--as-file", help="Parts of data become one file.")] = False,
) -> None:
    """Bring a file or folder of a version back."""
    from lineage.extras.retrieve import get as retrieval

    made = retrieval.get(find_root(), version, artifact, output, strategy, force)
    if as_file and made.is_dir():
        retrieval.fold_parts(made)
    say(f"wrote {made}")


@app.command(extra="retrieve")
def checkout(version: VERSION) -> None:
    """Make ../explore-VERSION: its code with all its data, models and results."""
    from lineage.extras.retrieve import checkout as exploring

    say(f"ready: {exploring.checkout(find_root(), version)}")


@app.command(extra="retrieve")
def worktrees(format: FORMAT = "table") -> None:
    """List what checkout made."""
    from lineage.core.listing import print_rows
    from lineage.extras.retrieve import checkout as exploring

    made = exploring.worktrees(find_root())
    rows = [(one.version, str(one.folder), ", ".join(one.changes) or None) for one in made]
    print_rows(("version", "folder", "changes"), rows, format)


@app.command(extra="retrieve")
def cleanup(
    version: Annotated[str | None, Option(help="Default: all.")] = None,
    force: Annotated[bool, Option("--force", help="Also with changes, which are lost.")] = False,
) -> None:
    """Remove what checkout made, and nothing else."""
    from lineage.extras.retrieve import checkout as exploring

    for removed in exploring.cleanup(find_root(), version, force):
        say(f"removed {removed.folder}")


@app.command(extra="verify")
def verify(
    version: Annotated[list[str] | None, Option(help="As in e0.1.0; again for more.")] = None,
    all: Annotated[bool, Option("--all", help="All versions.")] = False,
    format: FORMAT = "table",
) -> None:
    """Prove that row, tag, code, data and model of versions fit together and are there."""
    from lineage.core.errors import BadInput
    from lineage.extras.verify.verify import print_proofs

    if all == bool(version):
        all_of_them = "python scripts/experiment_explorer.py verify --all"
        raise BadInput("give --version or --all", all_of_them)
    print_proofs(find_root(), version or (), format)


if __name__ == "__main__":
    app()
