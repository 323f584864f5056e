"""The example in PyTorch: `make test-torch`, in an environment of its own. pytest does not collect this file by itself."""

from __future__ import annotations

from baked_projects import Project
from project_content import card, newest_metrics, rows


def test_the_network_in_pytorch_passes_the_checks_of_a_project_and_trains(fresh: Project) -> None:
    """Its tests kill a run, let it go on, and compare the model with that of a run that was not killed."""
    printed = fresh.run("make", "--silent", "example", "NAME=neural-net/torch").stdout
    assert "uv add --frozen 'torch>=2.5' && make lock && make setup" in printed
    assert " passed" in fresh.run("make", "test").stdout
    fresh.run("make", "lint")
    printed = fresh.repro()
    metrics = newest_metrics(fresh)
    assert metrics["f1_score"] > 0.93 and metrics["val_f1_score"] > 0.93
    events = rows(fresh, "SELECT * FROM events ORDER BY step")
    assert [event["step"] for event in events] == list(range(len(events)))
    assert events[-1]["train_loss"] < events[0]["train_loss"] / 10
    model = card(fresh)["model_hash"]
    fresh.repro("--force", "--single-item", "train")
    again = rows_of_runs(fresh)
    assert again == [model], "equal models are equal bytes"


def rows_of_runs(project: Project) -> list[str]:
    """The hashes of the models of the newest runs."""
    from toy_runs import databases
    from toy_runs import rows as rows_of

    return [row["model_hash"] for path in databases(project) for row in rows_of(path)]
