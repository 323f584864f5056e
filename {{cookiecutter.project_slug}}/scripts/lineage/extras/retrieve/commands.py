"""The commands `get`, `checkout`, `worktrees` and `cleanup` of `experiment_explorer.py`."""

from pathlib import Path
from typing import Annotated, Literal

from lineage.core.console import Form, Option, new_app, say
from lineage.core.paths import find_root

app = new_app()
Strategy = Literal["auto", "cache", "dvc-get", "worktree"]
Version = Annotated[str, Option(help="As in e0.1.0.")]


@app.command()
def get(
    version: Version,
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


@app.command()
def checkout(version: Version) -> None:
    """Make ../explore-VERSION: its code with all its data, models and results."""
    from lineage.extras.retrieve import checkout as exploring

    say(f"ready: {exploring.checkout(find_root(), version)}")


@app.command()
def worktrees(format: Form = "table") -> None:
    """List what checkout made."""
    from lineage.extras.retrieve import checkout as exploring
    from lineage.extras.show.listing import print_rows

    made = exploring.worktrees(find_root())
    rows = [(one.version, str(one.folder), ", ".join(one.changes) or None) for one in made]
    print_rows(("version", "folder", "changes"), rows, format)


@app.command()
def cleanup(
    version: Annotated[str | None, Option(help="Default: all.")] = None,
    force: Annotated[bool, Option("--force", help="Also with changes, which are lost.")] = False,
) -> None:
    """Remove what checkout made, and nothing else."""
    from lineage.extras.retrieve import checkout as exploring

    for removed in exploring.cleanup(find_root(), version, force):
        say(f"removed {removed.folder}")
