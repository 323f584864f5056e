"""Versions, beside what a user would type instead: whole commands, their start-up included, all in one run.

Each command runs three times in turn with the others; the best time counts, since machines are shared. Prints Markdown tables
and writes build/benchmarks/retrieval.json.
"""

from __future__ import annotations

import json
import os
import platform
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build/benchmarks/retrieval"
PROJECT = FOLDER / "digit-experiments"
DATABASE = FOLDER / "large.db"
ROUNDS = 3
MODEL_BYTES = 100 * 1000 * 1000
RUNS = 10_000
EXPLORER = (sys.executable, "scripts/experiment_explorer.py")
PANDAS = (
    "import sqlite3, pandas as pd; "
    f"print(pd.read_sql('SELECT * FROM metrics', sqlite3.connect({str(DATABASE)!r})).sort_values('f1_score').tail(20))"
)
GET = ("--artifact", "models/large.bin", "--output", "../out/model.bin")
DVC_GET = ("dvc", "get", ".", "models/large.bin", "--rev", "e0.1.0", "--out", "../out/link.bin")
CHECKED = f"{' '.join(DVC_GET)} && cp ../out/link.bin ../out/model.bin && md5sum ../out/model.bin"
"""What `get` gives: a file of one's own, and its hash. `dvc get` alone makes a read-only link to the cache and checks nothing."""

BY_CHECKOUT = (
    "git checkout -q e0.1.0 && dvc checkout -q models/large.bin.dvc && cp models/large.bin ../out/model.bin"
    " && git checkout -q main && dvc checkout -q models/large.bin.dvc"
)
"""What one types who does not know `dvc get`; the working tree changes meanwhile."""

CONTESTS: dict[str, dict[str, tuple[str, ...]]] = {
    "get: a cached model of 100 MB": {
        "experiment_explorer get": (*EXPLORER, "get", "--version", "e0.1.0", *GET),
        "dvc get . --rev": DVC_GET,
        "dvc get . --rev, cp, md5sum": ("sh", "-c", CHECKED),
        "git checkout, dvc checkout, cp, and back": ("sh", "-c", BY_CHECKOUT),
    },
    "list: the best 20 of 10,000 runs": {
        "experiment_explorer list": (*EXPLORER, "list", "--db", str(DATABASE)),
        "list --where": (*EXPLORER, "list", "--db", str(DATABASE), "--where", "version=e0.3.0", "--sort", "log_loss"),
        "pandas read_sql": (sys.executable, "-c", PANDAS),
    },
    "--help": {
        f"{name} --help": (sys.executable, f"scripts/{name}.py", "--help")
        for name in ("experiment_explorer", "version_tag", "merge_artifacts", "train", "model_manager")
    },
}


def run(*command: str) -> None:
    """Run a command as its user does: Python keeps the bytecode of what it has compiled once."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def make_project() -> None:
    """A project with a large model in its cache, tagged; and a large results database."""
    if FOLDER.exists():
        for path in FOLDER.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        shutil.rmtree(FOLDER)
    FOLDER.mkdir(parents=True)
    answers = ("--no-input", "--output-dir", str(FOLDER), str(ROOT), f"shared_cache_dir={FOLDER / 'cache'}")
    subprocess.run(["cookiecutter", *answers], check=True, capture_output=True)
    (PROJECT / "models/large.bin").write_bytes(random.Random(1).randbytes(MODEL_BYTES))
    run("dvc", "add", "models/large.bin")
    for command in (["add", "--all"], ["commit", "-m", "a model"], ["tag", "-a", "-m", "a model", "e0.1.0"]):
        run("git", "-c", "user.name=Benchmark", "-c", "user.email=benchmark@example.com", *command)
    (PROJECT / "models/large.bin").unlink()  # the next version has another one
    (PROJECT / "models/large.bin").write_bytes(random.Random(3).randbytes(MODEL_BYTES))
    run("dvc", "add", "models/large.bin")
    run("git", "-c", "user.name=Benchmark", "-c", "user.email=benchmark@example.com", "commit", "-am", "another model")


def make_database() -> None:
    """A results database with the rows of many runs; their predictions would lie beside it, as files."""
    chance = random.Random(2)
    columns = (
        "track_id TEXT, timestamp TEXT, version TEXT, git_commit TEXT, git_dirty INTEGER, data_hash TEXT, dvc_hash TEXT, "
        "test_hash TEXT, model_hash TEXT, model_C REAL, f1_score REAL, log_loss REAL, PRIMARY KEY (track_id, timestamp)"
    )
    with sqlite3.connect(DATABASE) as connection:
        connection.execute(f"CREATE TABLE metrics ({columns})")
        for number in range(RUNS):
            begin = (f"run-{number:05d}", "2026-01-01", f"e0.{number % 50}.0", "c" * 40, 0, "d" * 32, "e" * 32)
            numbers = (chance.random(), chance.random(), chance.random())
            connection.execute(f"INSERT INTO metrics VALUES ({', '.join('?' * 12)})", (*begin, "t", "m", *numbers))


def measure(command: tuple[str, ...]) -> float:
    shutil.rmtree(FOLDER / "out", ignore_errors=True)
    (FOLDER / "out").mkdir()
    began = time.perf_counter()
    run(*command)
    return time.perf_counter() - began


def main() -> None:
    make_project()
    make_database()
    report: dict[str, dict[str, dict[str, float]]] = {}
    for contest, contenders in CONTESTS.items():
        times: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(ROUNDS):
            for name, command in contenders.items():
                times[name].append(measure(command))
        best = {name: min(found) for name, found in times.items()}
        first = next(iter(best.values()))
        report[contest] = {name: {"seconds": found, "ratio": found / first} for name, found in best.items()}
        print(f"\n{contest}\n\n| | seconds | × |\n| --- | ---: | ---: |")
        for name, row in report[contest].items():
            print(f"| {name} | {row['seconds']:.2f} | {row['ratio']:.1f} |")
    machine = {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
    (FOLDER.parent / "retrieval.json").write_text(
        json.dumps({"machine": machine, "contests": report}, indent=2) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
