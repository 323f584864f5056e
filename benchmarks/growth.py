"""What twenty versions cost: bytes in DVC's cache and remote, and seconds of merging, as the history grows.

Each version is one run with 100,000 predictions, recorded by `dvc repro`, committed, tagged and pushed. The floor are the
bytes of the prediction files alone. `merge_results.py` of the 2nd and of the last version are timed in copies of the
project, as whole processes; the best time counts. So are, in seconds of CPU, `merge_data.py` of the 2nd and of the 12th
month, one batch each, where all earlier batches lie in the inbox, and what reading them all again would cost. Prints
Markdown tables and writes build/benchmarks/growth.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
FILES = ROOT / "benchmarks/growth_files"
FOLDER = ROOT / "build/benchmarks"
sys.path[:0] = [str(ROOT / "tests")]
sys.dont_write_bytecode = True  # cookiecutter would copy __pycache__ into every project
EARLY = 2
"""The version whose merge the last one's is compared with: the first that has something to merge into."""

Sizes = dict[str, int]


def make_project(folder: Path, rows: int) -> Any:
    """Make a project with `rows` test items, pushed, before its first run."""
    import pandas as pd
    from baked_projects import make_bakery

    project = make_bakery(folder)()
    del project.environment["PYTHONDONTWRITEBYTECODE"]  # its user's Python keeps what it has compiled
    shutil.copyfile(FILES / "experiment.py", project.path / "experiment.py")
    test = project.path / "data/test.parquet"
    test.unlink()
    pd.DataFrame({"id": range(rows), "label": [number % 10 for number in range(rows)]}).to_parquet(test)
    project.set_param("model", {"number": 0})
    project.set_param("merge.data_test_overlap", "allow")  # the ids of these test items mean nothing
    project.repro("merge_data")
    project.dvc("add", "data/test.parquet")
    project.commit("an experiment that learns nothing")
    project.dvc("push")
    return project


def sizes_below(folder: Path) -> Sizes:
    """The size of each object of a cache or a remote, by its hash."""
    paths = [path for path in (folder / "files/md5").rglob("*") if path.is_file()]
    return {path.parent.name + path.name: path.stat().st_size for path in paths}


def cache_of(project: Any) -> Path:
    return project.path.parent / "cache"


def remote_of(project: Any) -> Path:
    return project.path.parent / f"{project.path.name}-remote"


def outputs_by_hash(project: Any) -> dict[str, str]:
    """Which output each hash of dvc.lock belongs to, the files of folders included."""
    found: dict[str, str] = {}
    lock = yaml.safe_load((project.path / "dvc.lock").read_text("utf-8"))
    for stage in lock["stages"].values():
        for out in stage.get("outs", []):
            md5 = out["md5"]
            found[md5] = out["path"]
            listing = cache_of(project) / "files/md5" / md5[:2] / md5[2:]
            if md5.endswith(".dir") and listing.exists():
                for entry in json.loads(listing.read_text("utf-8")):
                    found.setdefault(entry["md5"], out["path"])
    return found


def time_merge(original: Any, folder: Path, rounds: int) -> float:
    """Time merge_results.py in copies of the project that have a run to merge."""
    from baked_projects import copy_project

    times = []
    for turn in range(rounds):
        project = copy_project(original, folder / str(turn))
        began = time.perf_counter()
        project.script("merge_results")
        times.append(time.perf_counter() - began)
        shutil.rmtree(folder / str(turn))
    return min(times)


def make_month(folder: Path, month: int, rows: int) -> None:
    """Drop the batch of a month: a key, a label and eight columns."""
    import duckdb

    columns = ", ".join(f"random() AS x{place}" for place in range(8))
    query = f"SELECT range AS id, range % 10 AS label, {columns} FROM range({month * rows}, {(month + 1) * rows})"
    duckdb.sql(f"COPY ({query}) TO '{folder}/month_{month}.parquet' (COMPRESSION zstd)")


def cpu_seconds() -> float:
    """Seconds of processors that ended children have used: other work on the machine counts less than in elapsed time."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def time_months(folder: Path, months: int, rows: int, rounds: int) -> dict[str, float]:
    """Time merge_data.py of the second and of the last month, and of the last without a record of what was merged."""
    from baked_projects import make_bakery

    project = make_bakery(folder)()
    del project.environment["PYTHONDONTWRITEBYTECODE"]
    inbox, train = project.path / "data/incoming", project.path / "data/train.parquet"
    (inbox / "batch_001.parquet").unlink()
    before = folder / "before.parquet"
    found = {}

    def timed(name: str) -> None:
        times = []
        for _ in range(rounds):
            shutil.copyfile(before, train)
            began = cpu_seconds()
            project.script("merge_data")
            times.append(cpu_seconds() - began)
        found[name] = min(times)

    for month in range(1, months + 1):
        make_month(inbox, month, rows)
        if month in (2, months):
            shutil.copyfile(train, before)
            timed(f"of month {month}")
        if month == months:
            import pandas as pd

            pd.read_parquet(before).to_parquet(before, index=False)
            timed(f"of month {month}, all batches read again")
        project.script("merge_data")
    return found


def prediction_bytes(project: Any, rows: int, versions: int) -> int:
    """The bytes of the prediction files: those of results/predictions, or else what pandas writes, compressed by zstd."""
    files = list((project.path / "results/predictions").glob("*.parquet"))
    if files:
        return sum(path.stat().st_size for path in files)
    sys.path.insert(0, str(FILES))
    import experiment

    test = experiment.load_data(project.path / "data/test.parquet")
    path = project.path.parent / "predictions.parquet"
    total = 0
    for number in range(1, versions + 1):
        _, predictions = experiment.evaluate({"number": number}, test)
        predictions.assign(track_id=f"run-{number}").to_parquet(path, compression="zstd")
        total += path.stat().st_size
    return total


def measure(folder: Path, versions: int, rows: int, rounds: int) -> dict[str, Any]:
    """Make the versions, one after another, and measure what they left."""
    project = make_project(folder / "project", rows)
    cache = sizes_below(cache_of(project))
    remote = sizes_below(remote_of(project))
    outputs: dict[str, str] = {}
    merges = {}
    for number in range(1, versions + 1):
        project.set_param("experiment.version", f"e0.{number}.0")
        project.set_param("model.number", number)
        if number in (EARLY, versions):
            project.repro("train")
            merges[number] = time_merge(project, folder / "copies", rounds)
        project.repro()
        outputs = {**outputs_by_hash(project), **outputs}
        project.commit(f"version {number}")
        project.git("tag", f"e0.{number}.0")
        project.dvc("push")
        print(f"version {number} of {versions}", file=sys.stderr)
    new = {md5: size for md5, size in sizes_below(cache_of(project)).items() if md5 not in cache}
    sent = {md5: size for md5, size in sizes_below(remote_of(project)).items() if md5 not in remote}
    by_output: Counter[str] = Counter()
    for md5, size in new.items():
        by_output[outputs.get(md5, "in no dvc.lock")] += size
    return {
        "predictions": prediction_bytes(project, rows, versions),
        "cache": sum(new.values()),
        "remote": sum(sent.values()),
        "by_output": dict(by_output.most_common()),
        "merge_early": merges[EARLY],
        "merge_last": merges[versions],
    }


def show(found: dict[str, Any], versions: int, rows: int) -> None:
    """Print the tables."""
    floor = found["predictions"]
    bytes_of = {
        "the prediction files alone": floor,
        "new in the cache": found["cache"],
        "new in the remote": found["remote"],
        **{f"of the cache: {path}": size for path, size in found["by_output"].items()},
    }
    print(f"{versions} versions with {rows:,} predictions each\n\n| | MB | × |\n| --- | ---: | ---: |")
    for name, size in bytes_of.items():
        print(f"| {name} | {size / 1e6:.2f} | {size / floor:.2f} |")
    early = found["merge_early"]
    print("\n| merge_results.py | s | × |\n| --- | ---: | ---: |")
    for place, seconds in ((EARLY, early), (versions, found["merge_last"])):
        print(f"| of version {place} | {seconds:.2f} | {seconds / early:.2f} |")


def show_months(found: dict[str, float], rows: int) -> None:
    """Print what months cost."""
    first = next(iter(found.values()))
    print(f"\n| merge_data.py, {rows:,} rows a month | CPU s | × |\n| --- | ---: | ---: |")
    for name, seconds in found.items():
        print(f"| {name} | {seconds:.2f} | {seconds / first:.2f} |")


def main() -> None:
    """Measure, print, and keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=20)
    parser.add_argument("--rows", type=int, default=100_000, help="predictions of each version")
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument("--month-rows", type=int, default=20_000, help="of each month's batch")
    parser.add_argument("--rounds", type=int, default=3, help="of the merges that are timed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        months = time_months(Path(folder) / "months", options.months, options.month_rows, options.rounds)
        show_months(months, options.month_rows)
        found = measure(Path(folder), options.versions, options.rows, options.rounds)
    show(found, options.versions, options.rows)
    found["months"] = months
    machine = {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
    report = {"machine": machine, "versions": options.versions, "rows": options.rows, **found}
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "growth.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
