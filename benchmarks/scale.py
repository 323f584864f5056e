"""What grows with the number of files and of runs: slopes, and what follows from them for docs/scale.md.

A folder that DVC tracks, a listing of S3, and the results database are each measured at two sizes; the slope between them is
what one more thousand costs. Prints a Markdown table and writes build/benchmarks/scale.json. It takes about two minutes.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "{{cookiecutter.project_slug}}/scripts"), str(ROOT / "tools")]
sys.dont_write_bytecode = True  # cookiecutter would copy __pycache__ into every project
FILES = (1_000, 10_000)
RUNS = (50_000, 400_000)
NEW_RUNS = 1_000
COLUMNS = 40
"""Of a run's row: about what the sample has, and ten params more."""


def seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure_dvc(folder: Path, files: int) -> dict[str, float]:
    """Add a folder, look at its status when nothing has changed, and weigh its listing."""
    data = folder / "data"
    data.mkdir(parents=True)
    for number in range(files):
        (data / f"part-{number:06}-0123456789ab.parquet").write_text(str(number))

    def dvc(*words: str) -> None:
        subprocess.run(["dvc", *words], cwd=folder, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    dvc("init", "--no-scm")
    added = seconds(lambda: dvc("add", "data"))
    status = seconds(lambda: dvc("status"))
    [listing] = folder.glob(".dvc/cache/files/md5/*/*.dir")
    return {"dvc add, s": added, "dvc status, s": status, "listing (.dir), bytes": listing.stat().st_size}


def measure_s3(client: Any, files: int) -> dict[str, float]:
    """List all objects of a remote, as DVC does to know what is missing there."""
    have = client.list_objects_v2(Bucket="scale")["KeyCount"]
    for number in range(have, files):
        client.put_object(Bucket="scale", Key=f"files/md5/{number % 256:02x}/{number:030x}", Body=b"")
    pages = client.get_paginator("list_objects_v2")
    requests: list[int] = []
    took = seconds(lambda: requests.extend(page["KeyCount"] for page in pages.paginate(Bucket="scale")))
    assert sum(requests) == files
    return {"S3 listing, s": took, "S3 listing, requests": len(requests)}


def measure_results(folder: Path, runs: int) -> dict[str, float]:
    """Merge a thousand runs into a results database of so many."""
    import sqlite3

    from lineage.extras.merge_artifacts.databases import merge_databases
    from lineage.merge.rules import Rules

    folder.mkdir()
    columns = ", ".join(f"c{number} {'REAL' if number % 2 else 'TEXT'}" for number in range(COLUMNS - 2))
    for name, first, last in (("base", 0, runs), ("new", runs, runs + NEW_RUNS)):
        with sqlite3.connect(folder / f"{name}.db") as connection:
            connection.execute(
                f"CREATE TABLE metrics (track_id TEXT, timestamp TEXT, {columns}, PRIMARY KEY (track_id, timestamp))"
            )
            marks = ", ".join("?" * COLUMNS)
            rows = (
                (f"run-{n:09}", f"2026-01-01 {n:09}", *(n / 7 if c % 2 else f"{n:016x}" for c in range(COLUMNS - 2)))
                for n in range(first, last)
            )
            connection.executemany(f"INSERT INTO metrics VALUES ({marks})", rows)
    output = folder / "out.db"
    took = seconds(lambda: merge_databases(folder / "base.db", [folder / "new.db"], output, Rules("merge")))
    return {"merge_results of 1,000 runs, s": took, "experiments.db, bytes": output.stat().st_size}


def main() -> None:
    from s3_server import s3_server

    report: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name, s3_server(Path(name, "s3"), "scale", "key", "secret") as server:
        folder = Path(name)
        kinds: list[tuple[tuple[int, int], Callable[[int], dict[str, float]], str]] = [
            (FILES, lambda size: measure_dvc(folder / f"dvc-{size}", size), "files"),
            (FILES, lambda size: measure_s3(server.client(), size), "objects"),
            (RUNS, lambda size: measure_results(folder / f"runs-{size}", size), "runs"),
        ]
        print("| | smaller | larger | a thousand more |\n| --- | ---: | ---: | ---: |")
        for (few, many), measured, unit in kinds:
            less = measured(few)
            more = measured(many)
            for what in less:
                slope = (more[what] - less[what]) / (many - few) * 1000
                report[what] = {f"{few} {unit}": less[what], f"{many} {unit}": more[what], "per thousand": slope}
                sizes = f"{less[what]:.4g} ({few:,} {unit}) | {more[what]:.4g} ({many:,} {unit})"
                print(f"| {what} | {sizes} | {slope:.4g} |", flush=True)
    machine = {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
    target = ROOT / "build/benchmarks/scale.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"machine": machine, "slopes": report}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
