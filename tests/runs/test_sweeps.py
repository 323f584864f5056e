"""Sweeps: which runs they make, in how many processes, and what is shown of them."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from baked_projects import Project, copy_project
from toy_runs import databases, models, new_rows, rows, toy


@pytest.fixture
def project(trained_original: Project, tmp_path: Path) -> Project:
    return copy_project(trained_original, tmp_path)


def test_the_grid_makes_the_product_and_runs_are_added_to_it(project: Project) -> None:
    toy(project)
    project.set_param("model", {"x": 0, "depth": None, "net": {"rate": 0.1, "name": "a"}})
    project.set_param("sweep.grid", {"model.x": [1, 2.5], "model.net.rate": [0.1, 0.2]})
    project.set_param(
        "sweep.runs", [{"model.depth": 3}, {"model.x": "auto", "model.net.name": "b"}, {"model.depth": 3}]
    )
    output = project.script("train")
    assert "warning: the sweep's 7 points are 6 different runs; equal ones are done once\n" in output
    found = {
        (row["model_x"], row["model_depth"], row["model_net_rate"], row["model_net_name"]) for row in new_rows(project)
    }
    assert found == {
        *((x, None, rate, "a") for x in ("1", "2.5") for rate in (0.1, 0.2)),
        ("0", 3, 0.1, "a"),
        ("auto", None, 0.1, "b"),
    }, "a param has one type in all runs of a sweep: x is text, depth a number"
    project.set_param("sweep.grid", {})
    project.set_param("sweep.runs", [{}, {"model.x": 1}])
    project.script("train")
    assert [row["model_x"] for row in new_rows(project)] in ([0, 1], [1, 0])


MISTAKES = {
    "runs over an unknown param": (
        "sweep.runs",
        [{"model.x": 1}, {"model.y": 2}],
        "sweep.runs[1]: 'model.y' is not a param; allowed: model.x",
    ),
    "runs that are no list": (
        "sweep.runs",
        {"model.x": 1},
        "sweep.runs: {'model.x': 1} is not allowed: input should be a valid list",
    ),
    "what to do with errors": (
        "sweep.on_error",
        "ignore",
        "sweep.on_error: 'ignore' is not allowed; allowed: 'fail' or 'keep'",
    ),
    "no thread": ("sweep.threads", 0, "sweep.threads: 0 is not allowed: input should be greater than or equal to 1"),
    "a cluster": ("sweep.backend", "ray", "sweep.backend: 'ray' is not allowed; allowed: 'loky' or 'dask'"),
    "a seed that is text": (
        "model",
        {"x": 1, "seed": "one"},
        "model.seed: 'one' is not allowed; allowed: a whole number from 0 to 4294967295",
    ),
}


@pytest.fixture(scope="module")
def unchanging(trained_original: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return toy(copy_project(trained_original, tmp_path_factory.mktemp("mistakes")))


@pytest.mark.parametrize(("key", "value", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_in_a_sweep_are_explained(unchanging: Project, key: str, value: Any, message: str) -> None:
    params = (unchanging.path / "params.yaml").read_text(encoding="utf-8")
    before = [path.name for path in databases(unchanging)]
    unchanging.set_param(key, value)
    output = unchanging.script("train", code=2)
    (unchanging.path / "params.yaml").write_text(params, encoding="utf-8")
    assert output == f"error: params.yaml: {message}\n" and [path.name for path in databases(unchanging)] == before


def test_metrics_that_are_nan_or_missing_in_a_run_are_said_and_recorded_as_null(project: Project) -> None:
    toy(
        project,
        measure="metrics |= {'loss': float('nan') if x == 1 else 0.1}\nif x == 3:\n    del metrics['drawn']",
        xs=[1, 2, 3],
    )
    output = project.script("train")
    ids = {row["model_x"]: row["track_id"] for row in new_rows(project)}
    assert f"warning: metric 'loss' is NaN in 1 of 3 runs, recorded as NULL: {ids[1]}\n" in output
    assert f"warning: metric 'drawn' is missing in 1 of 3 runs, recorded as NULL: {ids[3]}\n" in output
    assert "loss=NaN" in output
    project.script("merge_results")
    found = rows(project.path / "results/experiments.db", "SELECT * FROM metrics WHERE model_x > 0 ORDER BY model_x")
    assert [row["loss"] for row in found] == [None, 0.1, 0.1]
    assert [row["drawn"] is None for row in found] == [False, False, True]


def test_models_are_the_same_bytes_whatever_jobs_is_and_differ_with_the_seed(project: Project, tmp_path: Path) -> None:
    toy(project, xs=list(range(20)))
    other = copy_project(project, tmp_path / "other")
    project.set_param("sweep.jobs", 1)
    other.set_param("sweep.jobs", 2)
    project.script("train")
    other.script("train")
    assert models(project) == models(other) and len(models(project)) == 20
    assert {row["seed"] for row in new_rows(project)} == {0}

    project.set_param("model", {"x": 0, "seed": 0})
    project.set_param("sweep.grid", {"model.seed": [0, 1, 2]})
    project.script("train")
    drawn = {row["seed"]: row["drawn"] for row in new_rows(project)}
    assert sorted(drawn) == [0, 1, 2] and len(set(drawn.values())) == 3
    assert drawn[0] == {row["drawn"] for row in new_rows(other)}.pop(), "without model.seed, it is 0"


def test_workers_are_started_anew_with_few_threads_and_no_more_than_there_are_cores(project: Project) -> None:
    body = (
        "import multiprocessing\nimport xetrack\nPath(f'pid-{os.getpid()}').touch()\n"
        "params = {**params, 'start': multiprocessing.get_start_method(), 'omp': os.environ['OMP_NUM_THREADS']}"
    )
    toy(project, body, xs=list(range(6)))
    project.run("taskset", "--cpu-list", "0", "python", "scripts/train.py")
    assert len(list(project.path.glob("pid-*"))) == 1, "jobs: -1 uses the cores it may use, and no more"
    for path in (project.path / "models/trained").glob("*_model.bin"):
        assert json.loads(path.read_text())["params"].items() >= {"start": "loky", "omp": "1"}.items()


def test_a_terminal_shows_how_the_sweep_goes_and_a_pipe_gets_plain_lines(project: Project) -> None:
    body = "run.log(step=x, loss=1 / x)\ntime.sleep(0.5)\nif x == 2:\n    raise RuntimeError('no')"
    toy(project, body, "metrics['f1_score'] = x / 10", [1, 2, 3])
    code = project.path / "experiment.py"
    code.write_text(code.read_text().replace("def fit(train, params):", "def fit(train, params, run):"))
    project.set_param("sweep.on_error", "keep")
    main, terminal = pty.openpty()
    running = subprocess.Popen(
        ["python", "scripts/train.py"], cwd=project.path, env={**project.environment, "TERM": "xterm", "COLUMNS": "120"},
        stdout=terminal, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(terminal)
    shown = b""
    try:
        while part := os.read(main, 4096):
            shown += part
    except OSError:  # Linux ends a terminal whose program has ended with an error
        pass
    assert running.wait() == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert "0/3 done  " in text and "3/3 done  0 running  1 failed  time left 0:00:00 best f1_score 0.3000" in text
    assert "[3/3] " in text
    assert re.search(r"time left \S+ best f1_score \S+  step=3, loss=0\.333333", text), "the newest that a run logged"
    (project.path / "experiment.py").open("a").write("\n# other code\n")
    piped = project.run("python", "scripts/train.py").stdout
    chosen = r"the best of 3 runs is chosen by f1_score on the test data itself; validation\.fraction: 0\.2 .*\n"
    lines = r"(\[\d/3\] \d{8}T\d{6}-[0-9a-f]{8} model.x=[123] (f1_score=|failed: ).*\n){3}"
    assert re.fullmatch(lines + chosen, piped) and "\x1b" not in piped


def test_parallel_coordinates_of_the_newest_sweep_are_drawn(project: Project) -> None:
    toy(project, measure="metrics['f1_score'] = {1: 0.5, 10: 0.7, 100: 0.9}[x]", xs=[1, 10, 100])
    project.repro()
    table = pd.read_csv(project.path / "results/plots/sweep.csv")
    assert list(table["axis"].unique()) == ["model_x", "f1_score", "drawn"]
    axis = table[table["axis"] == "model_x"].sort_values("value")
    assert axis["position"].tolist() == [0.0, 0.5, 1.0] and axis["score"].tolist() == [0.5, 0.7, 0.9]
    metric = table[table["axis"] == "f1_score"].sort_values("value")
    assert metric["position"].tolist() == pytest.approx([0.0, 0.5, 1.0])
    assert set(table[table["axis"] == "drawn"]["position"]) == {0.5}
    [drawn] = json.loads(project.run("dvc", "plots", "show", "--json").stdout)["data"]["Newest sweep"]
    encoding = drawn["content"]["encoding"]
    assert (encoding["x"]["field"], encoding["y"]["field"], encoding["color"]["field"]) == ("axis", "position", "score")
    assert encoding["detail"][0]["field"] == "track_id"
    assert [row["axis"] for row in drawn["content"]["data"]["values"]] == table["axis"].tolist()
