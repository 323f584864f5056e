"""The report of few and of very many runs: its size, how long it takes to write, and until it can be used in Chromium.

    python benchmarks/report.py --runs 100 10000

A real project with twenty tagged versions, whose rows, predictions (of 500 runs) and events (of 60) are multiplied from one real
run. Each page is written by `experiment_explorer.py report`, a process of its own, and opened by a real Chromium; the best of three
counts, since machines are shared. Prints a Markdown table and writes build/benchmarks/report.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests")]

from browser import open_browser, open_page  # noqa: E402 — the browser of the tests

FOLDER = ROOT / "build/benchmarks/report"
PROJECT = FOLDER / "digit-experiments"
ROUNDS = 3
VERSIONS = 20
WITH_PREDICTIONS = 500
WITH_EVENTS = 60
STEPS = 50
EVENTS = """
    CREATE TABLE events (track_id TEXT, timestamp TEXT, step INTEGER, loss REAL, PRIMARY KEY (track_id, timestamp))
"""


def run(*command: str) -> None:
    """Run a command as its user does: Python keeps the bytecode of what it has compiled once."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def git(*command: str) -> None:
    run("git", "-c", "user.name=Benchmark", "-c", "user.email=benchmark@example.com", *command)


def make_project() -> None:
    """Bake a project, run it once, and tag twenty versions of it."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    answers = ("--no-input", "--output-dir", str(FOLDER), str(ROOT), f"shared_cache_dir={FOLDER / 'cache'}")
    subprocess.run(["cookiecutter", *answers], check=True, capture_output=True)
    run("dvc", "repro")
    git("add", "--all")
    git("commit", "--no-verify", "--message", "a run")
    for number in range(1, VERSIONS + 1):
        git("tag", "--annotate", "--message", f"version {number}", f"e0.{number}.0")


def make_runs(count: int) -> None:
    """Multiply the one real run, so that the versions share so many runs."""
    database = PROJECT / "results/experiments.db"
    chance = np.random.default_rng(1)
    with closing(sqlite3.connect(database)) as connection:
        real = pd.read_sql("SELECT * FROM metrics", connection).iloc[[0]]
    original = pd.read_parquet(PROJECT / f"results/predictions/{real.at[0, 'track_id']}.parquet")
    rows = real.loc[real.index.repeat(count)].reset_index(drop=True)
    rows["track_id"] = [f"run-{number}" for number in range(count)]
    rows["version"] = [f"e0.{number % VERSIONS + 1}.0" for number in range(count)]
    rows["f1_score"] = chance.uniform(0.8, 0.99, count)
    rows["model_C"] = chance.uniform(0.01, 10, count)
    names = rows["track_id"].repeat(STEPS)[: WITH_EVENTS * STEPS]
    steps = np.arange(len(names)) % STEPS
    events = pd.DataFrame({"track_id": names, "timestamp": steps.astype(str), "step": steps, "loss": 1 / (steps + 1)})
    content = database.read_bytes()
    database.unlink()  # it may be a link into DVC's cache
    database.write_bytes(content)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM metrics")
        rows.to_sql("metrics", connection, index=False, if_exists="append")
        connection.execute("DROP TABLE IF EXISTS events")
        connection.execute(EVENTS)
        events.to_sql("events", connection, index=False, if_exists="append")
    shutil.rmtree(PROJECT / "results/predictions")
    (PROJECT / "results/predictions").mkdir()
    for run_id in rows["track_id"][:WITH_PREDICTIONS]:
        predictions = original.assign(track_id=run_id)
        predictions.to_parquet(PROJECT / f"results/predictions/{run_id}.parquet", index=False)


def measure(count: int) -> dict[str, float]:
    """Write and open the report of so many runs; return bytes of the page, and seconds."""
    make_runs(count)
    page = PROJECT / "report.html"
    written = []
    usable = []
    with open_browser() as browser:
        for _ in range(ROUNDS):
            began = time.perf_counter()
            run(sys.executable, "scripts/experiment_explorer.py", "report")
            written.append(time.perf_counter() - began)
            began = time.perf_counter()
            seen = open_page(browser, page)
            seen.page.wait_for_selector("html[data-ready]")
            usable.append(time.perf_counter() - began)
            if seen.errors:
                sys.exit(f"the page says: {seen.errors}")
    return {"megabytes": page.stat().st_size / 1e6, "write": min(written), "open": min(usable)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="*", default=[100, 10_000])
    counts = parser.parse_args().runs
    make_project()
    found = {count: measure(count) for count in counts}
    print("| runs | page, MB | written after, s | can be used after, s |")
    print("| ---: | ---: | ---: | ---: |")
    for count, figures in found.items():
        print(f"| {count} | {figures['megabytes']:.1f} | {figures['write']:.1f} | {figures['open']:.1f} |")
    machine = {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
    (FOLDER.parent / "report.json").write_text(json.dumps({"machine": machine, "found": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
