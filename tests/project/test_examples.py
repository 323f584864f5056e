"""Examples: each is put in place by one command, passes the project's own checks, and trains."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from baked_projects import SOURCE, Project
from project_content import card, newest_metrics, rows

NAMES = ("boosting", "neural-net", "regression", "text")


def put(project: Project, name: str, code: int = 0) -> str:
    """Run `make example`; return what it printed."""
    done = project.run("make", "--silent", "example", f"NAME={name}", code=code)
    return done.stdout + done.stderr


def remedy_of(printed: str) -> str:
    """The command behind the arrow, without the comment."""
    return printed.partition("→ ")[2].splitlines()[0].partition("   #")[0]


def type_in(project: Project, command: str) -> None:
    """Type a command, as a message says."""
    project.run("bash", "-euo", "pipefail", "-c", command)


@pytest.mark.slow
def test_an_example_comes_in_one_command_and_goes_in_another(fresh: Project) -> None:
    printed = put(fresh, "boosting")
    assert printed.splitlines() == [
        "from examples/boosting:",
        "  experiment.py",
        "  tests/conftest.py",
        "  tests/test_task.py",
        "  params.yaml: model, validation.fraction, promote.metric, promote.mode",
        "  data/test.parquet",
        "  data/incoming/tumours.parquet",
        "back: git restore . && dvc checkout --force data/incoming data/test.parquet",
        "next:",
        "  uv add --frozen 'lightgbm>=4.5' && make lock && make setup   # what it needs",
        "  dvc repro",
    ]
    for file in ("experiment.py", "tests/conftest.py", "tests/test_task.py"):
        assert (fresh.path / file).read_bytes() == (fresh.path / "examples/boosting" / Path(file).name).read_bytes()
    assert [path.name for path in (fresh.path / "data/incoming").iterdir()] == ["tumours.parquet"]
    assert len(pd.read_parquet(fresh.path / "data/test.parquet")) == 150
    params = yaml.safe_load((fresh.path / "params.yaml").read_text("utf-8"))
    assert params["model"] == yaml.safe_load((fresh.path / "examples/boosting/params.yaml").read_text())["model"]
    changed = fresh.git("diff", "--unified=0", "params.yaml").splitlines()[4:]
    kept = [line for line in changed if not re.match(r"@@|[-+]  \w+: .* +# |[-+]  \w+: [\w.]+$|-?$", line)]
    assert kept == [], "only values changed, and comments stay"

    type_in(fresh, "uv add --quiet --frozen 'lightgbm>=4.5'")
    assert '"lightgbm>=4.5",' in (fresh.path / "pyproject.toml").read_text("utf-8")
    type_in(fresh, printed.partition("back: ")[2].splitlines()[0])
    assert fresh.git("status", "--porcelain") == ""
    assert [path.name for path in (fresh.path / "data/incoming").iterdir()] == ["batch_001.parquet"]


@pytest.mark.slow
def test_an_example_replaces_nothing_that_cannot_be_brought_back(fresh: Project) -> None:
    assert put(fresh, "bosting", code=2).startswith(
        "error: there is no example 'bosting'; there are boosting, neural-net, neural-net/torch, regression, text\n"
        "  → make example NAME=boosting\n"
    )
    code = fresh.path / "experiment.py"
    code.write_text(code.read_text("utf-8") + "# mine\n", encoding="utf-8")
    refused = put(fresh, "text", code=2)
    assert "error: no commit holds what changed in 1 files: experiment.py …\n" in refused
    assert code.read_text("utf-8").endswith("# mine\n")
    type_in(fresh, remedy_of(refused))

    fresh.drop_batch(2)
    refused = put(fresh, "text", code=2)
    assert "error: data/incoming is not what data/incoming.dvc has recorded\n" in refused
    type_in(fresh, remedy_of(refused))
    assert "data/incoming/functions.parquet" in put(fresh, "text")
    fresh.git("restore", ".")
    fresh.dvc("checkout", "--force", "data/incoming")
    assert sorted(path.name for path in (fresh.path / "data/incoming").iterdir()) == [
        "batch_001.parquet",
        "batch_002.parquet",
    ]


def test_an_example_does_not_mix_with_results_of_the_project(trained: Project) -> None:
    database = (trained.path / "results/experiments.db").read_bytes()
    refused = put(trained, "regression", code=2)
    assert "error: the project has results of its own (dvc.lock); those of an example would mix\n" in refused
    assert (trained.path / "results/experiments.db").read_bytes() == database
    type_in(trained, remedy_of(refused))
    printed = put(trained, "regression")
    assert "  params.yaml: model, promote.metric, promote.mode\n  dvc.yaml: plots\n" in printed
    assert "uv add" not in printed, "it needs nothing"
    trained.git("restore", ".")
    trained.git("switch", "--quiet", "-")
    trained.dvc("checkout", "--force")
    assert (trained.path / "results/experiments.db").read_bytes() == database


@pytest.mark.slow
@pytest.mark.parametrize("name", [*NAMES, "neural-net/torch"])
def test_a_project_passes_its_own_checks_with_an_example_in_place(
    fresh: Project, name: str, mypy_cache: dict[str, str]
) -> None:
    put(fresh, name)
    assert "Success: no issues found" in fresh.run("make", "lint", **mypy_cache).stdout
    if name != "neural-net/torch":  # make test-torch
        assert " passed" in fresh.run("make", "test").stdout


@pytest.mark.slow
def test_a_network_that_was_killed_goes_on_from_its_checkpoint(fresh: Project) -> None:
    put(fresh, "neural-net")
    fresh.set_param("model.patience", 60)
    with subprocess.Popen(
        ["dvc", "repro"], cwd=fresh.path, env=fresh.environment, stdout=subprocess.DEVNULL, start_new_session=True
    ) as running:
        begun = wait_for_events(fresh, 10)
        os.killpg(running.pid, signal.SIGKILL)
    [work] = (fresh.path / "results/unfinished").glob("*.*")
    track_id = work.name.partition(".")[2]
    printed = fresh.repro()
    assert f"{track_id} goes on from its checkpoint\n" in printed
    assert "merge events: +60 ~0 =0" in printed
    events = rows(fresh, "SELECT * FROM events ORDER BY step")
    assert [event["step"] for event in events] == list(range(60))
    assert {event["track_id"] for event in events} == {track_id} == {card(fresh)["track_id"]}
    times = [event["timestamp"] for event in events]
    assert times[begun - 2] < times[-1], "what was logged before the kill was not trained again"
    assert events[0]["val_loss"] > 5 * events[-1]["val_loss"]
    curves = pd.read_csv(fresh.path / "results/plots/curves.csv")
    assert sorted(curves["name"].unique()) == ["train_loss", "val_f1", "val_loss"]
    assert curves.groupby("name")["step"].apply(list).map(len).tolist() == [60, 60, 60]
    best = min(event["val_loss"] for event in events)
    assert newest_metrics(fresh)["val_log_loss"] == pytest.approx(best, rel=1e-9), "the best epoch is kept"
    assert newest_metrics(fresh)["f1_score"] > 0.95


@pytest.mark.slow
def test_trees_stop_early_and_their_model_is_in_lightgbms_own_format(fresh: Project) -> None:
    put(fresh, "boosting")
    fresh.repro()
    events = rows(fresh, "SELECT * FROM events ORDER BY step")
    losses = [event["val_loss"] for event in events]
    patience = yaml.safe_load((fresh.path / "params.yaml").read_text("utf-8"))["model"]["patience"]
    best = losses.index(min(losses))
    assert [event["step"] for event in events] == list(range(best + 1 + patience)), "the curve ends some rounds later"
    assert newest_metrics(fresh)["val_log_loss"] == pytest.approx(losses[best], rel=1e-9), "the best round is kept"
    assert newest_metrics(fresh)["f1_score"] > 0.9
    model = (fresh.path / "models/production/model.bin").read_text("utf-8")
    assert model.startswith("tree\n") and model.count("\nTree=") == best + 1
    curves = pd.read_csv(fresh.path / "results/plots/curves.csv")
    assert sorted(curves["name"].unique()) == ["train_loss", "val_loss"]


@pytest.mark.slow
def test_texts_are_learned_and_their_model_folder_and_artifacts_come_back(fresh: Project) -> None:
    put(fresh, "text")
    fresh.commit("texts")
    fresh.repro()
    assert newest_metrics(fresh)["f1_score"] > 0.5, "of nine topics"
    fresh.commit("results")
    fresh.script("version_tag", "--version", "e0.1.0")
    [run] = rows(fresh, "SELECT track_id, model_hash FROM metrics")
    production = fresh.path / "models/production/model.bin"
    assert sorted(path.name for path in production.iterdir()) == ["numbers.npz", "words.json"]
    made = fresh.path / "results/artifacts" / run["track_id"]
    words = json.loads((made / "words_of_topics.json").read_text("utf-8"))
    topics = set(pd.read_parquet(fresh.path / "data/test.parquet")["topic"])
    assert words.keys() == topics and all(len(found) == 10 for found in words.values())
    vocabulary = json.loads((production / "words.json").read_text("utf-8"))["vocabulary"]
    assert json.loads((made / "vocabulary.json").read_text("utf-8")).keys() == set(vocabulary)
    for artifact in ("models/production", f"results/artifacts/{run['track_id']}"):
        fresh.script("experiment_explorer", "get", "--version", "e0.1.0", "--artifact", artifact)
        there, here = (sorted(path for path in (root / artifact).rglob("*") if path.is_file())
                       for root in (fresh.path / "build/e0.1.0", fresh.path))  # fmt: skip
        assert [path.read_bytes() for path in there] == [path.read_bytes() for path in here] and there
    loads = "import lineage; print(lineage.load_model('e0.1.0').topics)"
    assert set(json.loads(fresh.run("python", "-c", loads).stdout.replace("'", '"'))) == topics


def wait_for_events(project: Project, number: int) -> int:
    """Wait until a run has logged as many events; return how many there are."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        for file in (project.path / "results/unfinished").glob("*/events.csv"):
            lines = file.read_text("utf-8").count("\n1")
            if lines >= number:
                return lines
        time.sleep(0.02)
    raise AssertionError("no run logged")


def test_equal_layers_have_one_file_each() -> None:
    """The network in PyTorch has its code and needs only; data and params are those of the folder above."""
    there = {path.name for path in (SOURCE / "examples/neural-net/torch").iterdir()}
    assert there == {"experiment.py", "requirements.txt"}


def test_the_texts_are_a_task() -> None:
    """They are written once, from the documentation of one SciPy; they do not change with it."""
    train, test = (pd.read_parquet(SOURCE / f"examples/text/{name}.parquet") for name in ("functions", "test"))
    both = pd.concat([train, test])
    assert (len(train), len(test)) == (540, 181)
    assert both["id"].is_unique and both["text"].is_unique
    assert set(train["topic"]) == set(test["topic"]) and both["topic"].nunique() == 9
    leaks = [text for text in both["text"] if ">>>" in text or "Parameters" in text]
    assert leaks == []


def test_examples_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (SOURCE / "examples").rglob("*.parquet")}
    assert sum(sizes.values()) < 700_000, json.dumps(sizes)
