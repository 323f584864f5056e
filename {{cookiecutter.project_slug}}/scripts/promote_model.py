"""The stage promote_model: keep the new models as candidates; let the best one into production."""

from lineage.core.console import new_app, say

app = new_app("Keep new models as candidates and promote the best, as params.yaml says.")


@app.command()
def main() -> None:
    """Let the new models of models/trained through the gate."""
    from lineage.models.gate import promote_stage

    promote_stage(say)


if __name__ == "__main__":
    app()
