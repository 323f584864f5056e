"""The stage promote_model: the gate, then production; last, the best are kept as candidates."""

from lineage.core.console import new_app

app = new_app("Keep new models as candidates and promote the best, as params.yaml says.")


@app.command()
def main() -> None:
    """Let the new models of models/trained through the gate."""
    from lineage.models.candidates import keep_candidates, runs_of_models
    from lineage.models.gate import decide
    from lineage.models.production import carry_out, locked_folders, note_comparison
    from lineage.models.run_model import open_models

    models = open_models()  # by the section `promote` of params.yaml
    with locked_folders(models.root):
        decision = decide(models, runs_of_models(models), models.promote.strategy)
        carry_out(models, decision)
        if decision.compared:
            note_comparison(models)
        # after the gate: the model in production is always among the candidates
        keep_candidates(models)


if __name__ == "__main__":
    app()
