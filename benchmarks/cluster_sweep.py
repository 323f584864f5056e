"""A sweep on a Dask cluster on loopback beside one by loky: time, and what is left when a worker and a node are killed.

Scheduler and two nodes, each a nanny with a worker of one thread, are processes of their own that know nothing of the project; loky has two
processes. All is measured in one go on one machine. Prints Markdown and writes build/benchmarks/cluster_sweep.json.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "{{cookiecutter.project_slug}}/scripts")]
sys.dont_write_bytecode = True  # cookiecutter would copy __pycache__ into every project
FOLDER = ROOT / "build/benchmarks"
RUNS = 16
ITERATIONS = 4000
"""Of each fit: about four seconds of one core."""

STRENGTHS = [round(0.1 * number, 1) for number in range(1, RUNS + 1)]


def sweep(project: Any, backend: str, address: str = "") -> float:
    """Seconds that `train.py` takes for all runs, from nothing; each must be there once."""
    from toy_runs import databases, rows

    project.set_param("sweep.backend", backend)
    project.set_param("sweep.address", address)
    for path in [*(project.path / "results/runs").glob("*"), *(project.path / "models/trained").glob("*")]:
        path.unlink()
    began = time.perf_counter()
    project.script("train")
    seconds = time.perf_counter() - began
    found = [row for path in databases(project) for row in rows(path)]
    assert sorted(row["model_C"] for row in found) == STRENGTHS and {row["status"] for row in found} == {"ok"}
    return seconds


def make_fits_long(project: Any) -> None:
    """Let the sample's experiment fit by a solver that goes on for as many iterations as it may."""
    path = project.path / "experiment.py"
    quick = 'LogisticRegression(C=params["C"], max_iter=params["max_iter"])'
    long = 'LogisticRegression(C=params["C"], max_iter=params["max_iter"], solver="saga", tol=0.0)'
    text = path.read_text("utf-8")
    assert text.count(quick) == 1
    path.write_text(text.replace(quick, long), "utf-8")
    project.set_param("model.max_iter", ITERATIONS)


def kill_twice(made: Any, after: float) -> None:
    """SIGKILL a worker, whose nanny starts another, and after as long again a whole node."""
    import psutil

    time.sleep(after)
    nanny = psutil.Process(made.processes["worker-0"].pid)
    for process in nanny.children():
        if "spawn_main" in " ".join(process.cmdline()):
            process.send_signal(signal.SIGKILL)
    time.sleep(after)
    made.kill("worker-1")


def main() -> None:
    """Measure, print and write."""
    from baked_projects import make_bakery
    from dask_processes import cluster

    with tempfile.TemporaryDirectory() as folder:
        project = make_bakery(Path(folder))()
        make_fits_long(project)
        project.set_param("sweep.grid", {"model.C": STRENGTHS})
        project.set_param("sweep.jobs", 2)
        project.run("dvc", "repro", "merge_data")
        measured: dict[str, Any] = {
            "machine": f"{platform.platform()}, {os.cpu_count()} cores",
            "runs": RUNS,
            "iterations_each": ITERATIONS,
        }
        with cluster(Path(folder, "cluster")) as made:
            measured["loky"] = sweep(project, "loky")
            measured["dask"] = sweep(project, "dask", made.address)
            measured["local"] = sweep(project, "dask")
            killer = threading.Thread(target=kill_twice, args=(made, measured["loky"] / 4))
            killer.start()
            measured["killed"] = sweep(project, "dask", made.address)
            killer.join()
    names = {
        "loky": "loky",
        "dask": "Dask: scheduler and two nodes",
        "local": "Dask: a local cluster, with its start",
        "killed": "Dask, a worker and then one of the two nodes killed",
    }
    print(f"{RUNS} fits of {ITERATIONS} iterations each, two at a time:\n\n| | seconds | × loky |\n| --- | --- | --- |")
    for key, name in names.items():
        print(f"| {name} | {measured[key]:.1f} | {measured[key] / measured['loky']:.2f} |")
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "cluster_sweep.json").write_text(json.dumps(measured, indent=1), "utf-8")


if __name__ == "__main__":
    main()
