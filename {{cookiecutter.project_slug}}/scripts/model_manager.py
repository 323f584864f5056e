"""Models: the pipeline's stage `promote_model`."""

from __future__ import annotations

from lineage.cli import DEBUG, guarded, new_app, say

app = new_app("Keep new models as candidates and gate the best one into production.")


@app.callback()
def models() -> None:
    """Candidates and production."""


@app.command()
def stage(debug: bool = DEBUG) -> None:
    """Run the pipeline stage promote_model, as params.yaml says."""
    from lineage.promotion import promote_stage

    guarded(lambda: promote_stage(say), debug=debug)


if __name__ == "__main__":
    app()
