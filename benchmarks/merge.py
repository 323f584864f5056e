"""Merging, beside what a user would write instead: seconds, ratios to the floor, and peak memory, all in one run.

Each contender runs in a process of its own, three times in turn with the others; the best time counts, since machines are
shared. Prints a Markdown table and writes build/benchmarks/merge.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "{{cookiecutter.project_slug}}/scripts"))
FOLDER = ROOT / "build/benchmarks"
COMPILED = {"PYTHONPYCACHEPREFIX": str(FOLDER / "compiled")}
"""Elsewhere than beside the code, where cookiecutter would copy it into every project."""

ROUNDS = 3
LONG = 15.0
"""Seconds after which one round is enough."""

COLUMNS = ("track_id", "timestamp", "version", "item_id", "actual", "predicted", "p0", "p1", "p2", "note")


def make_database(path: Path, start: int, rows: int, extra: bool) -> None:
    """Predictions as xetrack stores them: ten columns, or eleven."""
    kinds = ["TEXT", "TEXT", "TEXT", "INTEGER", "INTEGER", "INTEGER", "REAL", "REAL", "REAL", "TEXT"]
    declared = ", ".join(f"{name} {kind}" for name, kind in zip(COLUMNS, kinds, strict=True)) + (
        ", extra REAL" if extra else ""
    )
    chance = random.Random(start)
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE predictions ({declared}, PRIMARY KEY (track_id, timestamp))")
        for number in range(start, start + rows):
            values = [f"run-{number // 10000:05d}", f"2026-01-01 00:00:00.{number:09d}", "e0.1.0", number, number % 10]
            values += [chance.randrange(10), *(chance.random() for _ in range(3)), "x" * 10, *([0.5] if extra else [])]
            connection.execute(f"INSERT INTO predictions VALUES ({', '.join('?' * len(values))})", values)


def make_data() -> None:
    """The files of all contests, unless they are there."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    if (FOLDER / "done").exists():
        return
    make_database(FOLDER / "base.db", 0, 500_000, extra=False)
    for place in range(9):
        make_database(FOLDER / f"source_{place}.db", 500_000 + place * 20_000, 20_000, extra=True)
    (FOLDER / "runs").mkdir()
    for place in range(1000):
        make_database(FOLDER / f"runs/{place:04d}.db", place * 10_000, 500, extra=False)
    import duckdb

    columns = ", ".join(f"random() AS x{place}" for place in range(6))
    for name, first, last in (("base", 0, 5_000_000), ("new", 4_500_000, 5_500_000)):
        query = f"SELECT range AS id, range % 10 AS label, {columns} FROM range({first}, {last})"
        if name == "new":  # half of it is there already, equal to the bit
            shared = f"SELECT * FROM '{FOLDER}/base.parquet' WHERE id >= {first}"
            query = f"{shared} UNION ALL SELECT * FROM ({query}) WHERE id >= 5000000"
        duckdb.sql(f"COPY ({query}) TO '{FOLDER}/{name}.parquet' (COMPRESSION zstd)")
    (FOLDER / "done").touch()


def sources() -> list[Path]:
    return [FOLDER / f"source_{place}.db" for place in range(9)]


def results_floor(out: Path) -> None:
    """Hand-written ATTACH + INSERT SELECT: no check of any kind."""
    shutil.copyfile(FOLDER / "base.db", out)
    connection = sqlite3.connect(out)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("ALTER TABLE predictions ADD COLUMN extra REAL")
    for path in sources():
        connection.execute("ATTACH ? AS source", (str(path),))
        connection.execute("INSERT INTO predictions SELECT * FROM source.predictions")
        connection.commit()
        connection.execute("DETACH source")
    connection.close()


def results_ours(out: Path) -> None:
    """merge_databases: identity, conflicts, types, order, integrity check of the whole."""
    from lineage.extras.merge_artifacts.databases import merge_databases
    from lineage.merge.rules import Rules

    merge_databases(FOLDER / "base.db", sources(), out, Rules("merge"))


def results_recorded(out: Path) -> None:
    """The same with a base whose bytes are those that dvc.lock records, as in the stage merge_results."""
    from lineage.extras.merge_artifacts.databases import merge_databases
    from lineage.merge.rules import Rules

    merge_databases(FOLDER / "base.db", sources(), out, Rules("merge"), is_proven=True)


def naive_duckdb(out: Path, first: Path, paths: list[Path]) -> None:
    """What one writes with DuckDB's SQLite scanner, here by ADBC: common columns, keys NOT IN those that are there."""
    import adbc_driver_sqlite.dbapi as adbc
    import duckdb

    shutil.copyfile(first, out)
    for path in paths:
        with adbc.connect(str(out)) as base, base.cursor() as reader, adbc.connect(str(path)) as other:
            reader.execute("SELECT * FROM predictions LIMIT 0")
            known = reader.fetch_arrow_table().column_names
            reader.execute("SELECT track_id, timestamp FROM predictions")
            engine = duckdb.connect()
            engine.register("there", reader.fetch_arrow_table())
            with other.cursor() as cursor:
                cursor.execute("SELECT * FROM predictions")
                new = cursor.fetch_arrow_table()
            engine.register("new", new)
            columns = ", ".join(name for name in known if name in new.column_names)
            keys = "track_id || timestamp"
            query = f"SELECT {columns} FROM new WHERE {keys} NOT IN (SELECT {keys} FROM there)"
            found = engine.sql(query).to_arrow_table()
            reader.adbc_ingest("predictions", found, mode="append")
            base.commit()


def results_naive(out: Path) -> None:
    """The loop above."""
    naive_duckdb(out, FOLDER / "base.db", sources())


def small() -> list[Path]:
    return sorted((FOLDER / "runs").glob("*.db"))


def small_ours(out: Path) -> None:
    """merge_databases of a thousand runs."""
    from lineage.extras.merge_artifacts.databases import merge_databases
    from lineage.merge.rules import Rules

    merge_databases(small()[0], small()[1:], out, Rules("merge"))


def small_floor(out: Path) -> None:
    """Hand-written ATTACH + INSERT SELECT of a thousand runs."""
    shutil.copyfile(small()[0], out)
    connection = sqlite3.connect(out)
    connection.execute("PRAGMA synchronous = OFF")
    for path in small()[1:]:
        connection.execute("ATTACH ? AS source", (str(path),))
        connection.execute("INSERT INTO predictions SELECT * FROM source.predictions")
        connection.commit()
        connection.execute("DETACH source")
    connection.close()


def small_naive(out: Path) -> None:
    """The naive loop over a thousand runs."""
    naive_duckdb(out, small()[0], small()[1:])


def results_pandas(out: Path) -> None:
    """pandas: read all, concat, drop_duplicates, to_sql."""
    import pandas as pd

    frames = [
        pd.read_sql("SELECT * FROM predictions", sqlite3.connect(path)) for path in (FOLDER / "base.db", *sources())
    ]
    frame = pd.concat(frames).drop_duplicates(["track_id", "timestamp"])
    frame.to_sql("predictions", sqlite3.connect(out), index=False)


def data_floor(out: Path) -> None:
    """DuckDB copies the base."""
    import duckdb

    duckdb.sql(f"COPY (FROM '{FOLDER}/base.parquet') TO '{out}' (FORMAT parquet, COMPRESSION zstd)")


def data_floor_result(out: Path) -> None:
    """DuckDB copies the rows of the result: the base, and half of what comes."""
    import duckdb

    rows = f"FROM '{FOLDER}/base.parquet' UNION ALL FROM '{FOLDER}/new.parquet' WHERE id >= 5000000"
    duckdb.sql(f"COPY ({rows}) TO '{out}' (FORMAT parquet, COMPRESSION zstd)")


def data_ours(out: Path) -> None:
    """merge_data: identity, conflicts, types, order."""
    from lineage.merge.data import merge_data
    from lineage.merge.rules import Rules

    merge_data([FOLDER / "base.parquet"], [FOLDER / "new.parquet"], out, Rules("merge", ("id",)), "data")


def data_limited(out: Path) -> None:
    """The same with a base (360 MB as DuckDB holds it) of nearly five times the memory limit, as 5 GB under a limit of 1 GB."""
    os.environ["LINEAGE_MEMORY_LIMIT"] = "75MB"
    data_ours(out)


def data_pandas(out: Path) -> None:
    """pandas: read both, concat, drop_duplicates, write."""
    import pandas as pd

    frames = [pd.read_parquet(FOLDER / f"{name}.parquet") for name in ("base", "new")]
    pd.concat(frames).drop_duplicates("id").to_parquet(out, compression="zstd")


def data_polars(out: Path) -> None:
    """polars: scan both, concat, unique, sink."""
    import polars

    frames = [polars.scan_parquet(FOLDER / f"{name}.parquet") for name in ("base", "new")]
    polars.concat(frames).unique("id", keep="first", maintain_order=True).collect().write_parquet(out)


CONTESTS: dict[str, dict[str, Callable[[Path], None]]] = {
    "results: 9 × 20,000 rows and a new column into 500,000": {
        "floor (ATTACH + INSERT)": results_floor,
        "merge_artifacts": results_ours,
        "the stage: a base as dvc.lock records it": results_recorded,
        "naive DuckDB loop": results_naive,
        "pandas concat + to_sql": results_pandas,
    },
    "results: 1,000 runs of 500 rows into one database": {
        "floor (ATTACH + INSERT)": small_floor,
        "merge_artifacts": small_ours,
        "naive DuckDB loop": small_naive,
    },
    "data: 1,000,000 rows, half of them known, into 5,000,000 × 8": {
        "floor (DuckDB copies the base)": data_floor,
        "DuckDB copies the result": data_floor_result,
        "merge_artifacts": data_ours,
        "merge_artifacts, memory limit a fifth of the base": data_limited,
        "polars concat + unique": data_polars,
        "pandas concat": data_pandas,
    },
}


def measure(contest: str, name: str) -> tuple[float, float]:
    """Seconds and peak MB of one contender, in a process of its own.

    Its libraries are imported before the clock starts; the project's own package is imported, compiled, while it runs.
    """
    command = [sys.executable, __file__, "--run", contest, name]
    environment = {**os.environ, **COMPILED}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    seconds, megabytes = done.stdout.split()
    return float(seconds), float(megabytes)


def run_one(contest: str, name: str) -> None:
    import adbc_driver_sqlite.dbapi  # noqa: F401
    import duckdb  # noqa: F401
    import pandas  # noqa: F401
    import polars  # noqa: F401 — loaded before the clock starts

    out = FOLDER / "out"
    out.unlink(missing_ok=True)
    began = time.perf_counter()
    CONTESTS[contest][name](out)
    seconds = time.perf_counter() - began
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    out.unlink(missing_ok=True)
    sys.stdout.flush()
    os._exit(0)  # pyarrow's threads may still be starting; their teardown can abort the process


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args().run
    if chosen:
        run_one(*chosen)
    make_data()
    report: dict[str, dict[str, dict[str, float]]] = {}
    for contest, contenders in CONTESTS.items():
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
        for _ in range(ROUNDS):
            for name in contenders:
                if not times[name] or times[name][-1][0] < LONG:
                    times[name].append(measure(contest, name))
        floor = min(seconds for seconds, _ in next(iter(times.values())))
        report[contest] = {
            name: {
                "seconds": min(t for t, _ in found),
                "ratio": min(t for t, _ in found) / floor,
                "peak_mb": max(m for _, m in found),
            }
            for name, found in times.items()
        }
        print(f"\n{contest}\n\n| | seconds | × floor | peak MB |\n| --- | ---: | ---: | ---: |")
        for name, row in report[contest].items():
            print(f"| {name} | {row['seconds']:.2f} | {row['ratio']:.1f} | {row['peak_mb']:.0f} |")
    machine = {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
    (FOLDER / "merge.json").write_text(
        json.dumps({"machine": machine, "contests": report}, indent=2) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
