"""The options of `experiment_explorer.py verify`; `verify` does the work."""

from typing import Annotated

from lineage.core.console import Form, Option, new_app
from lineage.core.paths import find_root

app = new_app()


@app.command()
def verify(
    version: Annotated[list[str] | None, Option(help="As in e0.1.0; again for more.")] = None,
    all: Annotated[bool, Option("--all", help="All versions.")] = False,
    format: Form = "table",
) -> None:
    """Prove that row, tag, code, data and model of versions fit together and are there."""
    from lineage.core.errors import BadInput
    from lineage.extras.verify.verify import print_proofs

    if all == bool(version):
        all_of_them = "python scripts/experiment_explorer.py verify --all"
        raise BadInput("give --version or --all", all_of_them)
    print_proofs(find_root(), version or (), format)
