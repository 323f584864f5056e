"""Runs and sweeps: what they cost beyond the user's own code, beside DVC's queue, and what a shared database file loses.

The floor of a sweep is one process that only imports experiment.py, loads the data, fits and evaluates the same models.

Everything is measured in one go on one machine. Prints Markdown tables and writes build/benchmarks/runs.json.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "{{cookiecutter.project_slug}}/scripts")]
sys.dont_write_bytecode = True  # cookiecutter would copy __pycache__ into every project
FOLDER = ROOT / "build/benchmarks"
PROCESSES, RUNS, ROUNDS = 8, 50, 20
STRENGTHS = [round(0.05 * number, 2) for number in range(1, 21)]

EXPERIMENT = """
import json
import time

import pandas as pd


def load_data(path):
    return pd.read_parquet(path)


def fit(train, params):
    until = time.process_time() + params["seconds"]
    while time.process_time() < until:
        pass
    return params


def evaluate(model, test):
    return {"f1_score": 0.5}, pd.DataFrame({"item_id": test["id"], "actual": test["label"], "predicted": 0})


def save_model(model, path):
    path.write_text(json.dumps(model))


def load_model(path):
    return json.loads(path.read_text())
"""

FLOOR = """
import sys
from pathlib import Path

import experiment

train = experiment.load_data(Path("data/train.parquet"))
test = experiment.load_data(Path("data/test.parquet"))
for strength in map(float, sys.argv[1:]):
    model = experiment.fit(train, {"name": "logistic_regression", "C": strength, "max_iter": 1000})
    experiment.evaluate(model, test)
"""


def bake(folder: Path, seconds: float, numbers: list[int]) -> Any:
    """A project after `merge_data` whose runs burn so many seconds of processor time, with a sweep over `numbers`."""
    from baked_projects import make_bakery

    project = make_bakery(folder)()
    project.repro("merge_data")
    (project.path / "experiment.py").write_text(EXPERIMENT, encoding="utf-8")
    project.set_param("model", {"seconds": seconds, "number": 0})
    project.set_param("sweep.grid", {"model.number": numbers} if numbers else {})
    project.commit("an experiment that only burns time")
    return project


def own_seconds(project: Any) -> float:
    """What the runs of a project spent in the user's own code, summed."""
    total = 0.0
    for path in (project.path / "results/runs").glob("*.db"):
        with sqlite3.connect(path) as connection:
            total += connection.execute("SELECT duration_seconds FROM metrics").fetchone()[0]
    return total


def timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure_overhead(folder: Path) -> dict[str, float]:
    """200 runs in one worker: the whole of `train.py`, start and end included, less the time of the user's code."""
    project = bake(folder, 0.0, list(range(200)))
    project.set_param("sweep.jobs", 1)
    seconds = timed(lambda: project.script("train"))
    return {
        "seconds": seconds,
        "own": own_seconds(project),
        "ms_per_run": 1000 * (seconds - own_seconds(project)) / 200,
    }


def measure_digits(folder: Path) -> dict[str, float]:
    """20 models of the sample's digits: `dvc repro`, `train.py` and the floor, whole processes, the best of three.

    The first model goes into production.
    """
    from baked_projects import copy_project, make_bakery

    project = make_bakery(folder / "project")()
    project.repro("merge_data")
    project.set_param("sweep.grid", {"model.C": STRENGTHS})
    (project.path / "floor.py").write_text(FLOOR, encoding="utf-8")
    project.run("python", "-m", "compileall", "-q", "scripts", "experiment.py")
    one_thread = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}  # as in each run of a sweep
    sides: dict[str, Callable[[Any], Any]] = {
        "floor": lambda copy: copy.run("python", "floor.py", *map(str, STRENGTHS), **one_thread),
        "train": lambda copy: copy.script("train"),
        "repro": lambda copy: copy.repro(),
    }
    found: dict[str, float] = {}
    for number, side in enumerate([*sides] * 3):
        copy = copy_project(project, folder / f"copy-{number}")
        cpu = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        seconds = timed(lambda copy=copy, side=side: sides[side](copy))
        cpu = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - cpu
        found[f"{side}_seconds"] = min(seconds, found.get(f"{side}_seconds", seconds))
        found[f"{side}_cpu_seconds"] = min(cpu, found.get(f"{side}_cpu_seconds", cpu))
        assert side == "floor" or len(list((copy.path / "results/runs").glob("*.db"))) == len(STRENGTHS)
    return {
        **found,
        "train_to_floor_ratio": found["train_seconds"] / found["floor_seconds"],
        "train_beyond_floor": found["train_seconds"] - found["floor_seconds"],
        "repro_beyond_train": found["repro_seconds"] - found["train_seconds"],
    }


def measure_jobs(folder: Path) -> dict[str, float]:
    """16 runs of one second each, in one worker and in two."""
    found = {}
    for jobs in (1, 2):
        project = bake(folder / str(jobs), 1.0, list(range(16)))
        project.set_param("sweep.jobs", jobs)
        found[f"jobs_{jobs}"] = timed(lambda project=project: project.script("train"))
    return {**found, "speedup": found["jobs_1"] / found["jobs_2"]}


def measure_queue(folder: Path) -> dict[str, float]:
    """The same 20 runs of half a second as a sweep of `dvc repro train`, and as `dvc exp run --queue` + `dvc queue start -j 2`."""
    sweep = bake(folder / "sweep", 0.5, list(range(20)))
    sweep.set_param("sweep.jobs", 2)
    ours = timed(lambda: sweep.repro("train"))
    own = own_seconds(sweep) / 2

    queued = bake(folder / "queue", 0.5, [])

    def queue() -> None:
        for number in range(20):
            queued.dvc("exp", "run", "--queue", "-S", f"model.number={number}", "train")
        queued.dvc("queue", "start", "--jobs", "2")
        while True:
            status = queued.dvc("queue", "status")
            if not any(word in status for word in ("Queued", "Running")):
                assert status.count("Success") == 20, status
                return
            time.sleep(1)

    theirs = timed(queue)
    queued.dvc("queue", "stop", "--kill")
    return {
        "sweep_seconds": ours,
        "queue_seconds": theirs,
        "sweep_overhead": ours - own,
        "queue_overhead": theirs - own,
        "ratio": (theirs - own) / (ours - own),
    }


def write_own(folder: str, worker: int) -> None:
    """Write runs as the template does: a database each."""
    from lineage.runs.run import Facts, Run
    from lineage.runs.run_database import write_run

    for number in range(RUNS):
        track_id = f"run-{worker}-{number:02d}"
        run = Run(track_id, {}, {"worker": worker}, {"model_worker": "INTEGER"}, Facts(version="e0.1.0"))
        write_run(Path(folder) / f"{track_id}.db", run, {"score": float(number)})


def write_shared(folder: str, worker: int) -> None:
    """Log runs as one would with xetrack: one tracker for each process, all into one file."""
    from xetrack import Tracker

    tracker = None
    for number in range(RUNS):
        try:
            tracker = tracker or Tracker(db=f"{folder}/shared.db", engine="sqlite", table="metrics", warnings=False)
            tracker.track_id = f"run-{worker}-{number}"
            tracker.log({"worker": worker, "score": float(number)})
        except Exception:  # "database is locked", "duplicate column name": that run is lost, the process goes on
            continue


def measure_losses(folder: Path) -> dict[str, float]:
    """8 processes with 50 runs each, 20 rounds: rows that are there afterwards."""
    from lineage.extras.merge_artifacts.databases import merge_databases
    from lineage.merge.rules import Rules

    found = {
        "expected": PROCESSES * RUNS * ROUNDS,
        "own_databases": 0,
        "shared_by_processes": 0,
        "shared_by_threads": 0,
    }
    processes = ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn"))
    threads = ThreadPoolExecutor(PROCESSES)
    for turn in range(ROUNDS):
        for name, pool, write in (
            ("own_databases", processes, write_own),
            ("shared_by_processes", processes, write_shared),
            ("shared_by_threads", threads, write_shared),
        ):
            place = folder / f"{name}-{turn}"
            place.mkdir(parents=True)
            list(pool.map(write, [str(place)] * PROCESSES, range(PROCESSES)))
            database = place / "shared.db"
            if write is write_own:
                merge_databases(None, sorted(place.glob("*.db")), database, Rules("merge"))
            with sqlite3.connect(database) as connection:
                found[name] += connection.execute("SELECT count(DISTINCT track_id) FROM metrics").fetchone()[0]
            shutil.rmtree(place)
    processes.shutdown()
    return {name: float(value) for name, value in found.items()}


def descend(runs: list[Any]) -> list[float]:
    """Take 10,000 steps of softmax regression on 1,797 digits for each run, step by step in turns, and log them.

    Returns:
        processor seconds of the steps of each run; one that is None logs nothing.
    """
    import numpy as np
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    right = np.eye(10)[labels]
    weights = [np.zeros((64, 10)) for _ in runs]
    seconds = [0.0 for _ in runs]
    for step in range(10_000):
        for number, run in enumerate(runs):
            began = time.process_time()
            scores = np.exp(pixels / 16 @ weights[number])
            chances = scores / scores.sum(axis=1, keepdims=True)
            weights[number] -= 0.001 * pixels.T @ (chances - right) / 16
            loss = -np.log(chances[right > 0]).mean()
            if run:
                run.log(step=step, loss=loss, val_f1=0.5)
            seconds[number] += time.process_time() - began
    return seconds


def record(project: Path, track_id: str, run: Any) -> float:
    """Write the database of a run, with what it logged where it logged; return the processor seconds."""
    from lineage.runs.run import Facts, Run, run_files
    from lineage.runs.run_argument import logged_events
    from lineage.runs.run_database import write_run

    began = time.process_time()
    planned = Run(track_id, {}, {"x": 1}, {"model_x": "INTEGER"}, Facts(version="e0.1.0"))
    events = logged_events(run.folder, track_id) if run else None
    write_run(run_files(project, track_id).database, planned, {"f1_score": 0.5}, events)
    return time.process_time() - began


def measure_events(folder: Path) -> dict[str, float]:
    """10,000 events × 20 runs: a loop that logs each step, and is recorded, beside one that logs none; then the merge.

    Loops are measured in processor time, step by step in turns, with one thread as in a sweep: the others of a library
    spin while a line is written. The merge is measured as a whole process, from start to end.
    """
    import numpy as np  # noqa: F401  # a limit of threads is for libraries that are there
    from baked_projects import make_bakery
    from threadpoolctl import threadpool_limits

    from lineage.extras.tracking.active_run import ActiveRun

    project = make_bakery(folder)()
    record(folder / "first", "first", None)
    seconds = dict.fromkeys(("plain", "logging", "plain recorded", "logged recorded"), 0.0)
    with threadpool_limits(1):
        for number in range(20):
            run = ActiveRun(project.path / "work", f"run-{number:02d}", {"x": 1})
            plain, logged = descend([None, run])
            seconds["plain"] += plain
            seconds["logging"] += logged - plain
            seconds["plain recorded"] += record(folder / "plain", run.track_id, None)
            seconds["logged recorded"] += record(project.path, run.track_id, run)
            run.end()
    run = ActiveRun(folder / "work", "run", {})
    only_logging = timed(lambda: [run.log(step=step, loss=0.5) for step in range(200_000)])
    plain = seconds["plain"] + seconds["plain recorded"]
    more = seconds["logging"] + seconds["logged recorded"] - seconds["plain recorded"]
    return {
        "rows_logged_per_second": 200_000 / only_logging,
        **{f"{name} seconds": value for name, value in seconds.items()},
        "overhead_percent": 100 * more / plain,
        "merge_seconds": timed(lambda: project.script("merge_results")),
    }


CONTESTS: dict[str, Callable[[Path], dict[str, float]]] = {
    "20 digit runs: dvc repro and train.py against a process that only fits": measure_digits,
    "overhead of a run, 200 runs": measure_overhead,
    "2 jobs against 1, runs of 1 s": measure_jobs,
    "20 runs: sweep against dvc queue": measure_queue,
    "rows of 8 × 50 runs, 20 rounds": measure_losses,
    "10,000 events × 20 runs: logged against a plain loop": measure_events,
}


def main() -> None:
    """Run every contest, or those whose names hold one of the words that are given."""
    report = {}
    wanted = sys.argv[1:] or [""]
    contests = {name: contest for name, contest in CONTESTS.items() if any(word in name for word in wanted)}
    for name, contest in contests.items():
        with tempfile.TemporaryDirectory() as folder:
            report[name] = contest(Path(folder))
        print(f"\n{name}\n\n| | |\n| --- | ---: |")
        for key, value in report[name].items():
            print(f"| {key.replace('_', ' ')} | {value:.2f} |", flush=True)
    machine = {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
    FOLDER.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": machine, "contests": report}, indent=2) + "\n"
    (FOLDER / "runs.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
