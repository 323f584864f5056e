"""Train: turn params.yaml and experiment.py into recorded runs. This is the pipeline's stage `train`."""

from __future__ import annotations

from lineage.cli import DEBUG, guarded, new_app, say, warn

app = new_app("Run the experiment once, or once for each point of the sweep, and record every run.")


@app.command()
def main(debug: bool = DEBUG) -> None:
    """Train as params.yaml says. With --debug, runs are done in this process, one by one; the first error ends it."""
    from lineage.training import train_stage

    guarded(lambda: train_stage(say, warn, debug=debug), debug=debug)


if __name__ == "__main__":
    app()
