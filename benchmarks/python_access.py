"""`lineage.sql` over twenty versions, beside what one would do by hand with Git, sqlite3 and pandas; start-up included.

Each command is a process of its own that runs five times in turn with the others; the best time counts, since machines are
shared. All objects are in DVC's cache. Prints a Markdown table and writes build/benchmarks/python_access.json.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build/benchmarks/python_access"
PROJECT = FOLDER / "digit-experiments"
ROUNDS = 5
VERSIONS = 20
RUNS = 4
ITEMS = 25_000
"""Of the test set: with them 20 versions of 4 runs have 2,000,000 predictions."""

NAMES = [f"e0.{number}.0" for number in range(1, VERSIONS + 1)]
QUERY = """
    SELECT source, count(*) AS predictions, avg((predicted = actual)::INT) AS accuracy, max(f1_score) AS best
    FROM predictions JOIN metrics USING (source, track_id)
    GROUP BY source ORDER BY source
"""
BY_LINEAGE = f"import lineage; print(lineage.sql({QUERY!r}, {NAMES!r}).df())"
METRICS_BY_LINEAGE = (
    f"import lineage; print(lineage.sql('SELECT source, max(f1_score) FROM metrics GROUP BY 1', {NAMES!r}).df())"
)
BY_HAND = f"""
import json, sqlite3, subprocess
from pathlib import Path
import pandas as pd
import yaml

cache = Path({str(FOLDER / "cache/files/md5")!r})
frames = []
for version in {NAMES!r}:
    lock = yaml.safe_load(subprocess.run(["git", "show", version + ":dvc.lock"], capture_output=True).stdout)
    outs = {{out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}}
    def at(md5): return cache / md5[:2] / md5[2:]
    def files(name): return {{entry["relpath"]: entry["md5"] for entry in json.loads(at(outs[name]).read_bytes())}}
    own = [Path(name).stem for name in files("results/runs")]
    database = sqlite3.connect(f"file:{{at(outs['results/experiments.db'])}}?mode=ro", uri=True)
    metrics = pd.read_sql("SELECT * FROM metrics", database)
    held = files("results/predictions")
    rows = pd.concat([pd.read_parquet(at(held[run + ".parquet"])) for run in own])
    frames.append(rows.merge(metrics, on="track_id").assign(source=version))
rows = pd.concat(frames).assign(right=lambda rows: rows["predicted"] == rows["actual"])
print(rows.groupby("source").agg(predictions=("right", "size"), accuracy=("right", "mean"), best=("f1_score", "max")))
"""
BY_DVC = (
    "for v in " + " ".join(NAMES[:2]) + "; do dvc get . results/experiments.db --rev $v --out ../out/$v.db;"
    " dvc get . results/predictions --rev $v --out ../out/$v; done"
)
COMMANDS: dict[str, tuple[str, ...]] = {
    "lineage.sql over metrics and predictions": (sys.executable, "-c", BY_LINEAGE),
    "git show, sqlite3, pandas, by hand": (sys.executable, "-c", BY_HAND),
    "lineage.sql over metrics": (sys.executable, "-c", METRICS_BY_LINEAGE),
    "import lineage": (sys.executable, "-c", "import lineage"),
    "python": (sys.executable, "-c", ""),
    "dvc get of 2 of the 20 versions, nothing read yet": ("sh", "-c", BY_DVC),
}


def run(*command: str) -> str:
    """Run a command as its user does: Python keeps the bytecode of what it has compiled once."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = str(FOLDER / "site")
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def git(*command: str) -> None:
    run("git", "-c", "user.name=Benchmark", "-c", "user.email=benchmark@example.com", *command)


def make_project() -> None:
    """A project with twenty tagged versions, each of four runs of its own, whose rows are multiplied from one real run."""
    if FOLDER.exists():
        for path in FOLDER.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        shutil.rmtree(FOLDER)
    FOLDER.mkdir(parents=True)
    answers = ("--no-input", "--output-dir", str(FOLDER), str(ROOT), f"shared_cache_dir={FOLDER / 'cache'}")
    subprocess.run(["cookiecutter", *answers], check=True, capture_output=True)
    (FOLDER / "site").mkdir()
    shutil.copyfile(PROJECT / "scripts/lineage/extras/access/import_lineage.py", FOLDER / "site/lineage.py")
    run("dvc", "repro")
    chance = np.random.default_rng(1)
    for name in NAMES:
        make_runs(name, chance)
        run("dvc", "commit", "--force", "merge_results", "train")
        git("add", "--all")
        git("commit", "--no-verify", "--message", name)
        git("tag", "--annotate", "--message", name, name)


def make_runs(version: str, chance: np.random.Generator) -> None:
    """Put four runs in the place of those that are there, and add them to the database."""
    [*_, old] = sorted((PROJECT / "results/runs").glob("*.db"))
    database = PROJECT / "results/experiments.db"
    content = database.read_bytes()
    database.unlink()
    database.write_bytes(content)
    for number in range(RUNS):
        run_id = f"{version}-run-{number}"
        with sqlite3.connect(database) as connection:
            columns = [row[1] for row in connection.execute("PRAGMA table_info(metrics)")]
            values = [f"'{run_id}'" if name == "track_id" else f'"{name}"' for name in columns]
            connection.execute(f"INSERT INTO metrics SELECT {', '.join(values)} FROM metrics LIMIT 1")
            connection.execute("UPDATE metrics SET version = ? WHERE track_id = ?", (version, run_id))
        connection.close()
        (PROJECT / f"results/runs/{run_id}.db").write_bytes(old.read_bytes())
        frame = pd.DataFrame({"track_id": run_id, "item_id": np.arange(ITEMS)})
        frame["actual"] = chance.integers(0, 10, ITEMS).astype("uint8")
        frame["predicted"] = chance.integers(0, 10, ITEMS).astype("uint8")
        frame["confidence"] = chance.random(ITEMS)
        frame.to_parquet(PROJECT / f"results/predictions/{run_id}.parquet", index=False, compression="zstd")
    for path in (PROJECT / "results/runs").iterdir():
        if not path.name.startswith(f"{version}-"):
            path.unlink()


def check() -> None:
    """Both ways count the same."""
    lock = yaml.safe_load((PROJECT / "dvc.lock").read_text("utf-8"))
    assert "merge_results" in lock["stages"]
    said = run(*COMMANDS["lineage.sql over metrics and predictions"])
    assert said.count("100000") == VERSIONS, said
    assert run(*COMMANDS["git show, sqlite3, pandas, by hand"]).count("100000") == VERSIONS


def measure(command: tuple[str, ...]) -> float:
    shutil.rmtree(FOLDER / "out", ignore_errors=True)
    (FOLDER / "out").mkdir()
    began = time.perf_counter()
    run(*command)
    return time.perf_counter() - began


def main() -> None:
    make_project()
    check()
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            times[name].append(measure(command))
    best = {name: min(found) for name, found in times.items()}
    first = next(iter(best.values()))
    print(f"\n{VERSIONS} versions, {VERSIONS * RUNS * ITEMS:,} predictions\n\n| | seconds | × |\n| --- | ---: | ---: |")
    for name, seconds in best.items():
        print(f"| {name} | {seconds:.2f} | {seconds / first:.1f} |")
    machine = {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
    report = {name: {"seconds": seconds, "ratio": seconds / first} for name, seconds in best.items()}
    (FOLDER.parent / "python_access.json").write_text(
        json.dumps({"machine": machine, "contest": report}, indent=2) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
