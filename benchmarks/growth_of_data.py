"""What more training data cost, as parts and as one file: seconds and bytes of merges, reading of many parts, a history.

    merges   new rows merged into bases of several sizes, by `merge_data.py` and by `dvc repro merge_data`
    small    a few rows added to many: what is pushed
    parts    a thousand parts beside one file: read, listed, merged into
    history  versions, each with one per cent more rows and 10,000 predictions: the remote beside what the last one needs

Bytes are those of new objects in DVC's cache and remote. “Own bytes” are those of the new rows in a parquet file of their
own, as they lie in the inbox, which is tracked, too. Real projects, real DVC. The sizes of issue and docs:

    python benchmarks/growth_of_data.py --bases 5 20 50 --new 1000000 --versions 100

Prints Markdown tables and writes build/benchmarks/growth_of_data.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from growth import FILES, FOLDER, ROOT, cache_of, cpu_seconds, remote_of, sizes_below

sys.path[:0] = [str(ROOT / "{{cookiecutter.project_slug}}/scripts")]

LAYOUTS = ("parts", "file")
TRAIN = "data/train.parquet"
MILLION = 1_000_000
Found = dict[str, Any]


def query_rows(first: int, rows: int) -> str:
    """The query of rows with a key, a label and eight numbers that do not compress."""
    columns = ", ".join(f"random()::FLOAT AS x{place}" for place in range(8))
    return f"SELECT range AS id, range % 10 AS label, {columns} FROM range({first}, {first + rows})"


def make_rows(file: Path, first: int, rows: int) -> int:
    """Write rows to a file; return the bytes."""
    import duckdb

    file.unlink(missing_ok=True)
    duckdb.sql(f"COPY ({query_rows(first, rows)}) TO '{file}' (COMPRESSION zstd)")
    return file.stat().st_size


def make_parts(folder: Path, rows: int) -> None:
    """Write rows as a folder of parts of a million each, as merges leave them."""
    from lineage.merge.data_files import PartFolder
    from lineage.tables.engine import open_engine
    from lineage.tables.parts import RECORD

    folder.mkdir()
    with open_engine() as engine:
        parts = PartFolder(engine, folder, "data", {})
        for start in range(0, rows, MILLION):
            parts.write(query_rows(start, min(MILLION, rows - start)))
        parts.write(query_rows(0, 0), RECORD, {})


def make_project(folder: Path, layout: str, rows: int) -> Any:
    """Make a project with so many rows, committed and pushed."""
    from baked_projects import make_bakery

    project = make_bakery(folder)()
    del project.environment["PYTHONDONTWRITEBYTECODE"]  # its user's Python keeps what it has compiled
    shutil.copyfile(FILES / "experiment.py", project.path / "experiment.py")
    project.set_param("model", {"number": 0})
    project.set_param("merge.data_layout", layout)
    test = project.path / "data/test.parquet"
    test.unlink()
    make_rows(test, -10_000, 10_000)
    (project.path / "data/incoming/batch_001.parquet").unlink()
    data = project.path / TRAIN
    make_parts(data, rows) if layout == "parts" else make_rows(data, 0, rows)
    project.repro("merge_data")
    project.dvc("add", "data/test.parquet")
    project.commit("the base")
    project.dvc("push")
    return project


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Measure seconds that passed, and seconds of processors that ended children have used."""
    began = time.perf_counter()
    used = cpu_seconds()
    work()
    return time.perf_counter() - began, cpu_seconds() - used


def objects_of(project: Any, path: str) -> set[str]:
    """The hashes behind an output or a tracked folder of the working tree."""
    from lineage.tracked.recorded import recorded_outputs
    from lineage.tracked.remote import with_files

    return with_files(project.path, [recorded_outputs(project.path)[path]])


def grow(project: Any, rows: int, new: int) -> Found:
    """Merge new rows into a project of `rows`, and record and push them."""
    own = make_rows(project.path / "data/incoming/new.parquet", rows, new)
    script = timed(lambda: project.script("merge_data"))
    project.dvc("checkout", "--force", TRAIN)
    before = [sizes_below(place(project)) for place in (cache_of, remote_of)]
    repro = timed(lambda: project.repro("merge_data"))
    push = timed(lambda: project.dvc("push"))
    data = objects_of(project, TRAIN)
    found: Found = {"rows": rows, "new": new, "own": own, "script": script, "repro": repro, "push": push}
    for name, place, old in zip(("cache", "remote"), (cache_of, remote_of), before, strict=True):
        fresh = {md5: size for md5, size in sizes_below(place(project)).items() if md5 not in old}
        found[name] = sum(size for md5, size in fresh.items() if md5 in data)
        found[f"all of {name}"] = sum(fresh.values())
    return found


def measure_merges(folder: Path, bases: list[int], new: int) -> list[Found]:
    """Grow a project of each size in each layout."""
    found = []
    for rows in bases:
        for layout in LAYOUTS:
            print(f"{new:,} rows into {rows:,}, {layout}", file=sys.stderr)
            place = folder / f"{layout}-{rows}"
            found.append({"layout": layout, **grow(make_project(place, layout, rows), rows, new)})
            print(found[-1], file=sys.stderr)
            shutil.rmtree(place)
    return found


def show_merges(found: list[Found]) -> None:
    """Print a line for each size and layout; ratios to the smallest base, and to the new rows' own bytes."""
    first: dict[tuple[str, str], float] = {}
    print("\n| rows | new | layout | merge_data.py s | × | CPU s | × | dvc repro s | × | push s ", end="")
    print("| cache MB | × own | remote MB | × own | with the batch |\n|" + " ---: |" * 15)
    for one in found:
        cells = [f"{one['rows']:,}", f"{one['new']:,}", one["layout"]]
        for name, seconds in (("script", one["script"][0]), ("CPU", one["script"][1]), ("repro", one["repro"][0])):
            small = first.setdefault((one["layout"], name), seconds)
            cells += [f"{seconds:.2f}", f"{seconds / small:.2f}"]
        cells.append(f"{one['push'][0]:.1f}")
        for name in ("cache", "remote"):
            cells += [f"{one[name] / 1e6:.2f}", f"{one[name] / one['own']:.2f}"]
        print("|", " | ".join([*cells, f"{one['all of remote'] / 1e6:.2f}"]), "|")


def measure_parts(folder: Path, count: int) -> Found:
    """Read and merge a thousand rows a part, and the same rows as one file."""
    import duckdb
    import pandas as pd

    from lineage.merge import data_files
    from lineage.merge.data import merge_data
    from lineage.merge.rules import Rules
    from lineage.tables.sources import read_sources
    from lineage.tracked.hashes import path_md5

    data_files.PART_ROWS = 1000
    make_rows(folder / "base.parquet", 0, 1000 * count)
    make_rows(folder / "new.parquet", 1000 * count, 1000)
    found: Found = {}
    for layout in LAYOUTS:
        rules = Rules("merge", ("id",), layout=layout)
        place = folder / layout
        place.mkdir()
        data, more = place / "train.parquet", place / ".train.parquet.1.tmp"
        merge_data([], [folder / "base.parquet"], data, rules, "data")
        files = f"{data}/*.parquet" if data.is_dir() else str(data)
        work: dict[str, Callable[[], Any]] = {
            "pandas.read_parquet": lambda data=data: pd.read_parquet(data),
            "DuckDB: sum of a column": lambda files=files: duckdb.sql(f"SELECT sum(x0) FROM '{files}'").fetchall(),
            "md5 of all": lambda data=data: path_md5(data),
            "record of what was merged": lambda data=data: read_sources(data),
            "merge of 1,000 rows": lambda data=data, more=more, rules=rules: merge_data(
                [data], [folder / "new.parquet"], more, rules, "data"
            ),
        }
        for name, one in work.items():
            began = time.perf_counter()
            one()
            found.setdefault(name, {})[layout] = time.perf_counter() - began
        parts = list(data.glob("*")) or [data]
        found.setdefault("bytes, MB", {})[layout] = sum(part.stat().st_size for part in parts) / 1e6
    return found


def show_parts(found: Found, count: int) -> None:
    """Print both layouts side by side."""
    print(f"\n| {1000 * count:,} rows | {count} parts, s | one file, s |\n| --- | ---: | ---: |")
    for name, both in found.items():
        print(f"| {name} | {both['parts']:.2f} | {both['file']:.2f} |")


def measure_history(folder: Path, rows: int, versions: int) -> Found:
    """Run versions, each with one per cent more rows and 10,000 predictions, and send all of them to the remote."""
    from lineage.setup.project import MERGE_DRIVER

    project = make_project(folder, "parts", rows)
    project.git("config", "merge.dvc.driver", MERGE_DRIVER)  # which the doctor asks for
    for number in range(1, versions + 1):
        first = rows + (number - 1) * rows // 100
        make_rows(project.path / f"data/incoming/more_{number:03d}.parquet", first, rows // 100)
        project.set_param("experiment.version", f"e0.{number}.0")
        project.set_param("model.number", number)
        project.repro()
        project.commit(f"version {number}")
        project.git("tag", f"e0.{number}.0")
        if number % 10 == 0 or number == versions:
            found = weigh_history(project)
            ratio = f"{sum(found['all'].values()) / 1e6:.2f} MB, the last {sum(found['last'].values()) / 1e6:.2f}"
            print(f"version {number} of {versions}: {ratio}", file=sys.stderr)
    project.script("doctor", "--send")
    return {**found, "remote": sum(sizes_below(remote_of(project)).values())}


def weigh_history(project: Any) -> Found:
    """The bytes of the objects that the last commit needs, and all, by the output that they belong to."""
    from lineage.tracked.recorded import recorded_outputs
    from lineage.tracked.remote import with_files

    sizes = sizes_below(cache_of(project))
    seen: set[str] = set()
    found: Found = {"last": {}, "all": {}}
    for commit in project.git("log", "--format=%H").splitlines():
        for path, md5 in recorded_outputs(project.path, commit, pushed=True).items():
            more = with_files(project.path, [md5]) - seen
            seen |= more
            found["all"][path] = found["all"].get(path, 0) + sum(sizes[one] for one in more)
        found["last"] = found["last"] or dict(found["all"])
    return found


def show_history(found: Found, rows: int, versions: int) -> None:
    """Print the bytes, and what they belong to."""
    print(f"\n{versions} versions, from {rows:,} rows on, each with 1 % more and 10,000 predictions\n")
    print("| | the last, MB | all, MB | × |\n| --- | ---: | ---: | ---: |")
    last = sum(found["last"].values())
    print(f"| the remote | {last / 1e6:.2f} | {found['remote'] / 1e6:.2f} | {found['remote'] / last:.2f} |")
    for path, size in sorted(found["all"].items(), key=lambda pair: -pair[1])[:8]:
        own = found["last"].get(path, 0)
        print(f"| {path} | {own / 1e6:.2f} | {size / 1e6:.2f} | {size / max(own, 1):.2f} |")


def main() -> None:
    """Measure, print, and keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=["merges", "small", "parts", "history"])
    parser.add_argument("--bases", type=float, nargs="*", default=[0.1, 0.4, 1], help="million rows")
    parser.add_argument("--new", type=int, default=20_000, help="rows that are merged into each base")
    parser.add_argument("--parts", type=int, default=1000)
    parser.add_argument("--history-rows", type=int, default=MILLION)
    parser.add_argument("--versions", type=int, default=5)
    options = parser.parse_args()
    machine = {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
    report: Found = {"machine": machine, **vars(options)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "merges" in options.only:
            bases = [round(base * MILLION) for base in options.bases]
            report["merges"] = measure_merges(folder, bases, options.new)
            show_merges(report["merges"])
        if "small" in options.only:
            report["small"] = measure_merges(folder / "small", [MILLION], 1000)
            show_merges(report["small"])
        if "parts" in options.only:
            report["parts"] = measure_parts(folder, options.parts)
            show_parts(report["parts"], options.parts)
        if "history" in options.only:
            report["history"] = measure_history(folder / "history", options.history_rows, options.versions)
            show_history(report["history"], options.history_rows, options.versions)
    FOLDER.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=2) + "\n"
    (FOLDER / "growth_of_data.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
