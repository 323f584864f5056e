"""Train: turn params.yaml and experiment.py into recorded runs. This is the pipeline's stage `train`."""

from lineage.core.console import new_app, say, warn

app = new_app("Run the experiment once, or once for each point of the sweep, and record every run.")


@app.command()
def main(debug: bool = False) -> None:
    """Train as params.yaml says. With --debug, runs are done in this process, one by one; the first error ends it."""
    from lineage.runs.train import train_stage

    train_stage(say, warn, debug=debug)


if __name__ == "__main__":
    app()
