"""A merge of training data on a Dask cluster beside one DuckDB: seconds, peak memory, and the same bytes.

A scheduler and two workers of 1 GB on this machine; each contender merges in a process of its own, once. A worker is killed
in the middle of one merge. Prints a Markdown table and writes build/benchmarks/cluster.json. `--rows 1000000` is quicker.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "{{cookiecutter.project_slug}}/scripts"), str(ROOT / "tests")]
sys.dont_write_bytecode = True  # cookiecutter would copy __pycache__ into every project
FOLDER = ROOT / "build/benchmarks/cluster"
MEMORY = "1GB"


def make_data(rows: int) -> Path:
    """A base of ten columns, and as many incoming rows as a fifth of it, half of them known: equal, or changed."""
    import duckdb

    folder = FOLDER / str(rows)
    if (folder / "changed.parquet").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    columns = ", ".join(f"hash(range, {number}) / 1.8e19 AS x{number}" for number in range(8))
    tenth = rows // 10
    for name, first, last, value in (
        ("base", 0, rows, "x0"),
        ("new", rows - tenth, rows + tenth, "x0"),
        ("changed", rows - tenth, rows + tenth, "x0 + id % 2"),
    ):
        numbers = f"SELECT range AS id, range % 10 AS label, {columns} FROM range({first}, {last})"
        query = f"SELECT * REPLACE ({value} AS x0) FROM ({numbers})"
        duckdb.sql(f"COPY ({query}) TO '{folder}/{name}.parquet' (FORMAT parquet, COMPRESSION zstd)")
    return folder


def run_one(folder: Path, strategy: str, address: str, output: Path) -> None:
    """Merge, here or on a cluster; print seconds until all is known and until it is written, and peak MB."""
    from lineage.core.params import Merge, Params, Sweep
    from lineage.merge.data import line_up, union_all_by_name, write_rows
    from lineage.merge.rules import Rules, merge_or_rebase
    from lineage.tables.engine import open_engine

    began = time.perf_counter()
    incoming = folder / ("new.parquet" if strategy == "merge" else "changed.parquet")
    rules = Rules(strategy, ("id",))
    with open_engine() as engine:
        relations = line_up(engine, [folder / "base.parquet"], [incoming], rules, "data")
        if address:
            from lineage.extras.cluster.merge import merge_on_cluster

            section: dict[str, Any] = {"strategy": "merge", "data_strategy": "merge"}
            merge = Merge(**section, key_columns=[], data_key_columns=["id"])
            params = Params.model_construct(sweep=Sweep(address=address), merge=merge)
            plan = merge_on_cluster(relations, rules, params, output)
        else:
            plan = merge_or_rebase(union_all_by_name(relations), rules)
        known = time.perf_counter() - began
        write_rows(relations, plan, output)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"known": known, "seconds": time.perf_counter() - began, "mb": peak, "plan": plan.line()}))
    sys.stdout.flush()
    os._exit(0)


def kill_a_worker(folder: Path, worker: int) -> None:
    """Kill a worker's process in the middle: when the second piece is cut."""
    while len(list(folder.glob(".lineage-*/*.parquet"))) < 2:
        time.sleep(0.02)
    os.kill(worker, signal.SIGKILL)


def measure(folder: Path, strategy: str, address: str, client: Any, kill: bool = False) -> dict[str, Any]:
    """One contender; of the cluster also the peak of each worker so far."""
    output = folder / f"{strategy}-{'cluster' if address else 'alone'}.parquet"
    command = [sys.executable, __file__, "--run", str(folder), strategy, address, str(output)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    if kill:
        kill_a_worker(folder, next(iter(client.run(os.getpid).values())))
    found: dict[str, Any] = json.loads(process.communicate()[0])
    if address:
        peaks = client.run(lambda: __import__("resource").getrusage(0).ru_maxrss // 1024)
        found["workers_mb"] = sorted(peaks.values())
    return found


def main() -> None:
    from dask_processes import cluster
    from distributed import Client

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="of the base")
    parser.add_argument("--strategies", nargs="+", default=["merge", "rebase"], help="which of merge and rebase")
    parser.add_argument("--run", nargs=4, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.run:
        run_one(Path(chosen.run[0]), chosen.run[1], chosen.run[2], Path(chosen.run[3]))
    folder = make_data(chosen.rows)
    report: dict[str, Any] = {}
    print("| | known after, s | written after, s | peak MB here | peak MB of each worker | same bytes |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for strategy in chosen.strategies:
        alone = measure(folder, strategy, "", None)
        report[f"{strategy}, one DuckDB"] = alone
        show(f"{strategy}, one DuckDB", alone, "")
        for kill in (False, True):
            with cluster(folder / f"cluster-{strategy}-{kill}") as made, Client(made.address) as client:
                client.wait_for_workers(2)
                found = measure(folder, strategy, made.address, client, kill)
            same = (folder / f"{strategy}-cluster.parquet").read_bytes() == (
                folder / f"{strategy}-alone.parquet"
            ).read_bytes()
            name = f"{strategy}, two workers of {MEMORY}{', one killed' if kill else ''}"
            assert same and found["plan"] == alone["plan"], name
            report[name] = found
            show(name, found, "yes")
    machine = {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
    written = json.dumps({"machine": machine, "rows": chosen.rows, "contests": report}, indent=2)
    (FOLDER.parent / "cluster.json").write_text(written + "\n", encoding="utf-8")


def show(name: str, found: dict[str, Any], same: str) -> None:
    workers = ", ".join(map(str, found.get("workers_mb", ())))
    print(
        f"| {name} | {found['known']:.1f} | {found['seconds']:.1f} | {found['mb']:.0f} | {workers} | {same} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
