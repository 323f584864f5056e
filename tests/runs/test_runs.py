"""Runs and sweeps: every run recorded, in parallel, none lost, whatever kills it."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import SOURCE, Project, copy_project, stages_run

TOY = """
import json
import os
import random
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd


def load_data(path):
    return pd.read_parquet(path)


def fit(train, params):
    x = params["x"]
{body}
    return {{"params": params, "drawn": [random.random(), float(np.random.rand())], "order": list({{"a", "b", "c"}})}}


def evaluate(model, test):
    x = model["params"]["x"]
    metrics = {{"f1_score": 0.5, "drawn": model["drawn"][0]}}
{measure}
    return metrics, pd.DataFrame({{"item_id": test["id"], "actual": test["label"], "predicted": 0}})


def save_model(model, path):
    path.write_text(json.dumps(model, sort_keys=True))


def load_model(path):
    return json.loads(path.read_text())
"""


def toy(project: Project, body: str = "pass", measure: str = "pass", xs: list[Any] | None = None) -> Project:
    """Give the project a small experiment with one param, x: lines of `fit` and `evaluate`, and the xs to sweep over."""
    code = TOY.format(body=indent(body), measure=indent(measure))
    (project.path / "experiment.py").write_text(code, encoding="utf-8")
    project.set_param("model", {"x": 0})
    project.set_param("sweep.grid", {"model.x": xs} if xs else {})
    return project


def indent(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def rows(database: Path, query: str = "SELECT * FROM metrics ORDER BY track_id") -> list[dict[str, Any]]:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute(query)]
    finally:
        connection.close()


def databases(project: Project, folder: str = "results/runs") -> list[Path]:
    return sorted((project.path / folder).glob("*.db"))


def new_rows(project: Project, folder: str = "results/runs") -> list[dict[str, Any]]:
    """The rows of the runs that belong to the toy; the run that `trained` began with is no toy."""
    return [row for path in databases(project, folder) for row in rows(path) if "model_x" in row]


UNFINISHED = "results/unfinished"
"""Where the runs of a session are until all have ended."""


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture
def project(trained_original: Project, tmp_path: Path) -> Project:
    return copy_project(trained_original, tmp_path)


# What fails


def test_a_failed_run_is_recorded_with_its_error_and_the_others_finish(project: Project) -> None:
    toy(project, "if x == 2:\n    raise RuntimeError('no memory')", xs=[1, 2, 3])
    before = [path.name for path in databases(project)]
    output = project.script("train", code=1)
    [failed] = [row for row in new_rows(project, UNFINISHED) if row["status"] == "failed"]
    line = (project.path / "experiment.py").read_text().splitlines().index(
        "        raise RuntimeError('no memory')"
    ) + 1
    error = f"RuntimeError: no memory (experiment.py, line {line})"
    assert output.endswith(
        f"error: 1 of 3 runs failed:\n  {failed['track_id']}  model.x=2: {error}\n"
        "  → python scripts/train.py --debug   # shows where\n"
        "  → dvc repro   # when the cause is mended: does what is missing\n"
    )
    assert failed["error"] == error and failed["model_x"] == 2 and failed["model_hash"] is None
    assert sorted(
        (row["model_x"], row["status"], row["error"]) for row in new_rows(project, UNFINISHED) if row != failed
    ) == [
        (1, "ok", None),
        (3, "ok", None),
    ]
    assert not (project.path / f"models/unfinished/{failed['track_id']}_model.bin").exists()
    assert before == [path.name for path in databases(project)], "the outputs of a stage that fails stay as they were"
    traceback = project.script("train", "--debug", code=1)
    assert "Traceback" in traceback and traceback.endswith("RuntimeError: no memory\n")


def test_on_error_keep_goes_on_with_the_runs_that_did_not_fail(project: Project) -> None:
    toy(project, "if x == 2:\n    raise RuntimeError('no memory')", "metrics['f1_score'] = 0.9 + x / 40", [1, 2, 3])
    project.set_param("sweep.on_error", "keep")
    output = project.repro()
    assert (
        stages_run(output) == ["train", "merge_results", "promote_model"] and "warning: 1 of 3 runs failed:" in output
    )
    found = rows(project.path / "results/experiments.db", "SELECT * FROM metrics ORDER BY f1_score DESC, timestamp")
    assert [(row["model_x"], row["status"]) for row in found] == [(3, "ok"), (None, "ok"), (1, "ok"), (2, "failed")]
    assert found[-1]["error"].startswith("RuntimeError: no memory") and found[-1]["f1_score"] is None
    listed = json.loads(project.run("python", "scripts/experiment_explorer.py", "list", "--format", "json").stdout)
    assert listed[-1]["f1_score"] is None and listed[0]["model_x"] == 3
    assert json.loads((project.path / "results/metrics.json").read_text())["f1_score"] == 0.975
    assert len(list((project.path / "models/trained").iterdir())) == 2
    assert stages_run(project.repro()) == []

    toy(project, "raise RuntimeError('no memory')", xs=[1, 2])
    assert "error: 2 of 2 runs failed:" in project.repro(code=255), "nothing is left to go on with"


def test_a_killed_worker_costs_its_own_run_a_second_try_and_no_other_run_anything(project: Project) -> None:
    kill = "os.kill(os.getpid(), signal.SIGKILL)"
    once = f"if x == 1 and not Path('tried').exists():\n    Path('tried').touch()\n    {kill}\nif x == 2:\n    {kill}"
    toy(project, f"{once}\nif x == 3:\n    os._exit(7)", xs=[1, 2, 3, 4, 5, 6])
    output = project.script("train", code=1)
    found = {row["model_x"]: row for row in new_rows(project, UNFINISHED)}
    assert {x: row["status"] for x, row in found.items()} == {
        **dict.fromkeys([1, 4, 5, 6], "ok"),
        2: "failed",
        3: "failed",
    }
    question = "is there memory for sweep.jobs runs at a time?"
    assert found[2]["error"] == f"its process died twice (SIGKILL(-9)); {question}"
    assert found[3]["error"] == f"its process died twice (EXIT(7)); {question}"
    assert "error: 2 of 6 runs failed:" in output and "Traceback" not in output
    assert not [path for path in (project.path / UNFINISHED).iterdir() if path.name.startswith(".")]


# What was killed goes on


def start(project: Project) -> subprocess.Popen[str]:
    """Start train.py in a session of its own."""
    return subprocess.Popen(
        ["python", "scripts/train.py"], cwd=project.path, env=project.environment, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )  # fmt: skip


def wait_for(condition: Any, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def workers_of(project: Project) -> list[int]:
    """Process ids that runs of the toy have written down, of those that are alive."""
    found = [int(path.name.partition("-")[2]) for path in project.path.glob("pid-*")]
    return [
        pid
        for pid in found
        if Path(f"/proc/{pid}/stat").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text()
    ]


SLOW = "Path(f'pid-{os.getpid()}').touch()\nPath(f'began-{x}').touch()\nif x > 2 and Path('slow').exists():\n    time.sleep(60)"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "Ctrl-C"])
def test_a_sweep_that_was_stopped_does_only_what_is_missing(project: Project, how: signal.Signals) -> None:
    toy(project, SLOW, xs=[1, 2, 3, 4, 5])
    (project.path / "slow").touch()
    running = start(project)
    wait_for(lambda: len(new_rows(project, UNFINISHED)) == 2 and (project.path / "began-3").exists())
    assert workers_of(project)
    running.send_signal(how)
    output = running.communicate()[0]
    assert running.returncode == (-signal.SIGKILL if how == signal.SIGKILL else 130)
    wait_for(lambda: not workers_of(project), 10)
    if how == signal.SIGINT:
        assert "interrupted" in output and "Traceback" not in output
    done = {row["model_x"]: row["track_id"] for row in new_rows(project, UNFINISHED)}
    before = {name: md5(project.path / f"{UNFINISHED}/{name}.db") for name in done.values()}
    assert sorted(done) == [1, 2]

    (project.path / "slow").unlink()
    output = project.script("train")
    assert output.startswith("2 of 5 runs are there already, from a session that did not end\n[1/3] ")
    assert "[3/3]" in output and "warning" not in output
    after = {row["model_x"]: row["track_id"] for row in new_rows(project)}
    assert sorted(after) == [1, 2, 3, 4, 5] and after.items() >= done.items()
    assert {name: md5(project.path / f"results/runs/{name}.db") for name in done.values()} == before
    assert len(databases(project)) == len(list((project.path / "models/trained").iterdir())) == 5
    assert databases(project, UNFINISHED) == []


def test_code_that_the_user_lists_in_dvc_yaml_counts_and_what_python_leaves_beside_it_does_not(
    project: Project,
) -> None:
    (project.path / "mylib").mkdir()
    (project.path / "mylib/layers.py").write_text("width = 1\n")
    pipeline = project.path / "dvc.yaml"
    pipeline.write_text(
        pipeline.read_text().replace("      - experiment.py\n", "      - experiment.py\n      - mylib\n", 1)
    )
    toy(project)
    project.script("train")
    (project.path / "mylib/__pycache__").mkdir()
    (project.path / "mylib/__pycache__/layers.cpython-311.pyc").write_bytes(b"x")
    assert "1 of 1 runs are there already" in project.script("train")
    (project.path / "mylib/layers.py").write_text("width = 2\n")
    assert "there already" not in project.script("train")


def test_unfinished_runs_of_other_code_wait_until_they_fit_again(project: Project) -> None:
    mistake = "if x == 3 and not Path('mended').exists():\n    raise RuntimeError('a mistake')"
    toy(project, mistake, xs=[1, 2, 3])
    project.script("train", code=1)
    old = {path.name: md5(path) for path in databases(project, UNFINISHED)}
    toy(project, "pass", xs=[1, 2, 3])
    output = project.script("train")
    assert "[3/3]" in output and "there already" not in output
    assert {path.name: md5(path) for path in databases(project, UNFINISHED)} == old and len(old) == 3
    assert len(list((project.path / "models/unfinished").iterdir())) == 2
    assert {row["status"] for row in new_rows(project)} == {"ok"} and len(databases(project)) == 3
    assert project.git("status", "--porcelain", UNFINISHED, "models/unfinished") == ""

    toy(project, mistake, xs=[1, 2, 3])
    (project.path / "mended").touch()
    assert "2 of 3 runs are there already" in project.script("train")
    assert len({path.name for path in databases(project)} & set(old)) == 2


def test_a_failed_sweep_goes_on_under_dvc_and_a_finished_one_runs_anew(project: Project) -> None:
    toy(project, "if x == 3 and not Path('mended').exists():\n    raise OSError('disk is gone')", xs=[1, 2, 3])
    assert "error: 1 of 3 runs failed:" in project.repro(code=255)
    toy_code, toy_params = [(project.path / name).read_text() for name in ("experiment.py", "params.yaml")]
    project.git("checkout", "experiment.py", "params.yaml")
    assert stages_run(project.repro()) == [], "going back from a failure is free"
    (project.path / "experiment.py").write_text(toy_code)
    (project.path / "params.yaml").write_text(toy_params)
    (project.path / "mended").touch()
    assert "2 of 3 runs are there already" in project.repro()
    first = {row["track_id"] for row in new_rows(project)}
    assert len(first) == 3 and stages_run(project.repro()) == []
    output = project.repro("--force", "--single-item", "train")
    assert "there already" not in output and "[3/3]" in output
    second = {row["track_id"] for row in new_rows(project)}
    assert len(second) == 3 and not first & second
    project.repro()
    recorded = {row["track_id"] for row in rows(project.path / "results/experiments.db")}
    assert first | second < recorded

    (project.path / "mended").unlink()
    project.repro("--force", "--single-item", "train", code=255)
    (project.path / "mended").touch()
    assert "2 of 3 runs are there already" in project.repro("--force", "--single-item", "train")
    assert set(models(project)) == {1, 2, 3}, "models of the same bytes as those of a finished sweep stay"


# What a sweep does


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
    "a cluster": ("sweep.backend", "dask", "sweep.backend: 'dask' is not allowed; allowed: 'loky'"),
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
    project.script("merge_artifacts", "--stage", "merge_results")
    found = rows(project.path / "results/experiments.db", "SELECT * FROM metrics WHERE model_x > 0 ORDER BY model_x")
    assert [row["loss"] for row in found] == [None, 0.1, 0.1]
    assert [row["drawn"] is None for row in found] == [False, False, True]


UNUSABLE = {
    "name with a dot": ("metrics['val.acc'] = 1.0", "'val.acc' cannot be a column of metrics"),
    "name that every row has": ("metrics['error'] = 1.0", "'error' and 'error' would be one column of metrics"),
    "name that is a number": ("metrics[1] = 1.0", "'1' cannot be a column of metrics"),
    "no metrics": ("return None", "TypeError: cannot unpack non-iterable NoneType object"),
}


@pytest.mark.parametrize(("measure", "message"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_what_cannot_be_recorded_fails_the_run_with_its_reason(project: Project, measure: str, message: str) -> None:
    toy(project, measure=measure)
    output = project.script("train", code=1)
    assert message in output and "Traceback" not in output
    [row] = new_rows(project, UNFINISHED)
    assert row["status"] == "failed" and message in row["error"]


def test_empty_data_and_a_test_set_with_other_columns(project: Project) -> None:
    toy(project, measure="test['label2']")
    test = project.path / "data/test.parquet"
    frame = pd.read_parquet(test)
    test.unlink()
    frame.drop(columns=["pixel_63"]).assign(label2=1).drop(columns=["label"]).to_parquet(test)
    output = project.script("train", code=1)
    assert re.search(
        r"KeyError: 'label' \(experiment.py, line \d+\); only one of training and test data has label, label2, pixel_63\n",
        output,
    )
    test.unlink()
    frame[:0].to_parquet(test)
    assert "data/test.parquet has no rows" in project.script("train", code=1)
    train = project.path / "data/train.parquet"
    train.unlink()
    frame[:0].to_parquet(train)
    assert "data/train.parquet has no rows" in project.script("train", code=1)


# Every row says where it comes from


def test_a_row_names_its_environment_seed_and_duration(project: Project) -> None:
    toy(project, "time.sleep(0.3)")
    project.script("train")
    [row] = new_rows(project)
    version = project.run(
        "python", "-c", "import platform; print(platform.python_version(), platform.platform())"
    ).stdout
    assert f"{row['python']} {row['platform']}\n" == version
    assert row["lock_hash"] == md5(project.path / "requirements.lock") and row["seed"] == 0
    assert 0.3 < row["duration_seconds"] < 30 and len(row["run_hash"]) == 32
    assert (row["status"], row["error"]) == ("ok", None)


def test_outside_git_and_without_dvc_lock_what_is_lost_is_said(project: Project, tmp_path: Path) -> None:
    bare = Project(tmp_path / "bare", project.environment)
    shutil.copytree(
        project.path, bare.path, ignore=shutil.ignore_patterns(".git", ".dvc", "dvc.lock", "experiments.db", "runs")
    )
    toy(bare)
    output = bare.script("train")
    assert (
        "warning: outside a Git repository, or before its first commit: rows cannot lead back to the code\n" in output
    )
    assert (
        "warning: data/train.parquet is not what dvc.lock records: rows cannot lead back to the data; use dvc repro\n"
        in output
    )
    [row] = new_rows(bare)
    assert [row[name] for name in ("git_commit", "git_dirty", "dvc_hash")] == [None, None, None]
    assert row["data_hash"] == md5(bare.path / "data/train.parquet")


def test_rows_from_before_these_columns_get_null_in_them(project: Project) -> None:
    database = project.path / "results/experiments.db"
    old = project.path / "old.db"
    shutil.copyfile(database, old)
    with sqlite3.connect(old) as connection:
        for name in ("status", "error", "run_hash", "seed", "duration_seconds", "python", "platform", "lock_hash"):
            connection.execute(f"ALTER TABLE metrics DROP COLUMN {name}")
    project.script(
        "merge_artifacts", "--strategy", "merge", "--base-db", "old.db", "--exp-db", "results/runs", "--output-db", "new.db",
        "--on-conflict", "incoming",
    )  # fmt: skip
    [row] = rows(project.path / "new.db")
    assert row["status"] == "ok"
    toy(project, xs=[1])
    project.script("train")
    project.script(
        "merge_artifacts", "--strategy", "merge", "--base-db", "old.db", "--exp-db", "results/runs", "--output-db", "both.db"
    )  # fmt: skip
    assert [(row["status"], row["seed"]) for row in rows(project.path / "both.db")] == [(None, None), ("ok", 0)]


# The same bytes


def models(project: Project) -> dict[str, str]:
    found = {row["model_x"]: row["model_hash"] for row in new_rows(project)}
    for row in new_rows(project):
        assert md5(project.path / f"models/trained/{row['track_id']}_model.bin") == row["model_hash"]
    return found


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


# Other programs


def test_xetrack_itself_reads_metrics_and_100_000_predictions(tmp_path: Path) -> None:
    from xetrack import Reader

    from lineage.runs.run_database import Provenance, fact_cells, param_cells, write_run

    path = tmp_path / "run.db"
    count = 100_000
    frame = pd.DataFrame(
        {"item_id": range(count), "predicted": [f"c{n % 10}" for n in range(count)], "confidence": 0.5}
    )
    cells = [*fact_cells({"status": "ok", "seed": 0}), *param_cells([{"rate": 0.1}])[0]]
    write_run(path, "run-1", Provenance("e0.1.0", None, None, None, None), cells, {"auc": 1}, frame)
    before = md5(path)
    [metrics] = Reader(str(path), engine="sqlite", table="metrics").to_df().to_dict("records")
    assert (metrics["track_id"], metrics["auc"], metrics["model_rate"], metrics["status"]) == ("run-1", 1.0, 0.1, "ok")
    read = Reader(str(path), engine="sqlite", table="predictions").to_df()
    assert (
        read["item_id"].tolist() == list(range(count)) and read["predicted"][12] == "c2" and read["timestamp"].is_unique
    )
    for table, word in (("metrics", "run-1"), ("predictions", "c0")):
        shown = subprocess.run(
            [Path(sys.executable).parent / "xt", "head", str(path), "--table", table, "--n", "1"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert word in shown.stdout
    assert md5(path) == before, "reading changes nothing"


def test_a_terminal_shows_how_the_sweep_goes_and_a_pipe_gets_plain_lines(project: Project) -> None:
    toy(project, "time.sleep(0.5)\nif x == 2:\n    raise RuntimeError('no')", "metrics['f1_score'] = x / 10", [1, 2, 3])
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
    assert "0/3 done  " in text and "3/3 done  0 running  1 failed  best f1_score 0.3000  time left 0:00:00" in text
    assert "[3/3] " in text
    (project.path / "experiment.py").open("a").write("\n# other code\n")
    piped = project.run("python", "scripts/train.py").stdout
    assert (
        re.fullmatch(r"(\[\d/3\] \d{8}T\d{6}-[0-9a-f]{8} (f1_score=|failed: ).*\n){3}", piped) and "\x1b" not in piped
    )


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


# None lost

ROUNDS = 2
"""Twenty in benchmarks/runs.py."""


def write_runs(folder: str, worker: int) -> None:
    """Write 50 runs of 5 predictions, as one of the processes of a sweep does."""
    from lineage.runs.run_database import Provenance, fact_cells, param_cells, write_run

    for number in range(50):
        track_id = f"run-{worker}-{number:02d}"
        frame = pd.DataFrame({"item_id": range(5), "predicted": number})
        cells = [*fact_cells({"status": "ok"}), *param_cells([{"worker": worker}])[0]]
        provenance = Provenance("e0.1.0", None, None, None, None)
        write_run(Path(folder) / f"{track_id}.db", track_id, provenance, cells, {"score": float(number)}, frame)


def test_no_row_of_8_processes_with_50_runs_each_is_lost(tmp_path: Path) -> None:
    from lineage.merge.databases import merge_databases
    from lineage.merge.rules import Rules

    sys.path.insert(0, str(SOURCE / "scripts"))
    expected = sorted((f"run-{worker}-{number:02d}", float(number)) for worker in range(8) for number in range(50))
    pool = ProcessPoolExecutor(8, mp_context=get_context("spawn"))
    for turn in range(ROUNDS):
        folder = tmp_path / str(turn)
        folder.mkdir()
        list(pool.map(write_runs, [str(folder)] * 8, range(8)))
        merge_databases(None, sorted(folder.glob("*.db")), tmp_path / f"{turn}.db", Rules("merge"))
        found = rows(tmp_path / f"{turn}.db", "SELECT track_id, score FROM metrics ORDER BY track_id")
        assert [(row["track_id"], row["score"]) for row in found] == expected
        counts = rows(tmp_path / f"{turn}.db", "SELECT track_id, count(*) AS n FROM predictions GROUP BY track_id")
        assert len(counts) == 400 and {row["n"] for row in counts} == {5}
    pool.shutdown()
