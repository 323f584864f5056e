"""A whole `dvc repro`, beside a hand-written script of pandas and sqlite3 that does the same: whole processes, in one run.

Both begin with two batches of three merged and one run recorded; what is measured is the third batch: merged, fitted,
evaluated, metrics and predictions appended, the best model kept. They take turns; the best time of each counts, since
machines are shared. Prints a Markdown table and writes build/benchmarks/pipeline.json.
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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FILES = ROOT / "benchmarks/pipeline_files"
FOLDER = ROOT / "build/benchmarks"
sys.path[:0] = [str(ROOT / "tests")]
sys.dont_write_bytecode = True  # cookiecutter would copy __pycache__ into every project
BATCHES = 3


@dataclass(frozen=True)
class Seconds:
    """What one contender took.

    Attributes:
        whole: seconds of the command, its start-up included.
        own: seconds of the user's code, its imports included, as the script by hand takes them. A row of a run counts no
            imports.
    """

    whole: float
    own: float

    @property
    def overhead(self) -> float:
        """What is not the user's code."""
        return self.whole - self.own


def make_rows(first: int, count: int) -> Any:
    """Rows of three classes that overlap: `id`, `label`, and ten measurements."""
    import numpy as np
    import pandas as pd

    chance = np.random.default_rng(first)
    labels = chance.integers(0, 3, count)
    measured = chance.normal(labels[:, None], 2.0, (count, 10))
    frame = pd.DataFrame(measured, columns=[f"x{number}" for number in range(10)])
    return frame.assign(id=range(first, first + count), label=labels)


def write_data(folder: Path, rows: int, tests: int) -> None:
    """Write the batches and the test set."""
    folder.mkdir()
    size = rows // BATCHES
    for number in range(BATCHES):
        make_rows(number * size, size).to_parquet(folder / f"batch_{number}.parquet", index=False)
    make_rows(rows, tests).to_parquet(folder / "test.parquet", index=False)


def drop_batches(data: Path, project: Path, numbers: range) -> None:
    """Copy batches into the inbox."""
    for number in numbers:
        shutil.copyfile(data / f"batch_{number}.parquet", project / f"data/incoming/batch_{number}.parquet")


def make_project(folder: Path, data: Path) -> Any:
    """Make a project after its first `dvc repro`, with the last batch in its inbox."""
    from baked_projects import make_bakery

    project = make_bakery(folder)()
    del project.environment["PYTHONDONTWRITEBYTECODE"]  # its user's Python keeps what it has compiled
    shutil.copyfile(FILES / "experiment.py", project.path / "experiment.py")
    shutil.rmtree(project.path / "data/incoming")
    (project.path / "data/incoming").mkdir()
    (project.path / "data/test.parquet").unlink()
    shutil.copyfile(data / "test.parquet", project.path / "data/test.parquet")
    drop_batches(data, project.path, range(BATCHES - 1))
    project.set_param("model", {"var_smoothing": 1e-9})
    project.repro()
    project.commit("first results")
    drop_batches(data, project.path, range(BATCHES - 1, BATCHES))
    return project


def make_by_hand(folder: Path, data: Path, environment: dict[str, str]) -> Any:
    """Make the same for the script written by hand."""
    from baked_projects import Project

    project = Project(folder / "by-hand", environment)
    for name in ("data/incoming", "results", "models"):
        (project.path / name).mkdir(parents=True)
    for path in FILES.glob("*.py"):
        shutil.copyfile(path, project.path / path.name)
    shutil.copyfile(data / "test.parquet", project.path / "data/test.parquet")
    drop_batches(data, project.path, range(BATCHES - 1))
    project.run("python", "by_hand.py")
    drop_batches(data, project.path, range(BATCHES - 1, BATCHES))
    return project


def measure_project(original: Any, folder: Path) -> float:
    """Time `dvc repro` in a copy."""
    from baked_projects import copy_project

    project = copy_project(original, folder)
    began = time.perf_counter()
    project.repro()
    return time.perf_counter() - began


def measure_by_hand(original: Any, folder: Path) -> Seconds:
    """Time the script in a copy."""
    from baked_projects import Project

    shutil.copytree(original.path, folder)
    project = Project(folder, original.environment)
    began = time.perf_counter()
    printed = project.run("python", "by_hand.py").stdout
    return Seconds(time.perf_counter() - began, float(printed))


def measure(rows: int, tests: int, rounds: int) -> dict[str, Seconds]:
    """Let both take turns; the best of each counts."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_data(folder / "data", rows, tests)
        project = make_project(folder / "project", folder / "data")
        by_hand = make_by_hand(folder, folder / "data", project.environment)
        ours = []
        theirs = []
        for turn in range(rounds):
            ours.append(measure_project(project, folder / f"project-{turn}"))
            theirs.append(measure_by_hand(by_hand, folder / f"by-hand-{turn}"))
    best = min(theirs, key=lambda seconds: seconds.whole)
    return {"dvc repro": Seconds(min(ours), best.own), "by hand: pandas + sqlite3": best}


def main() -> None:
    """Measure, print, and keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=300_000, help="of training data, after the merge")
    parser.add_argument("--tests", type=int, default=33_000, help="rows of the test set")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    found = measure(options.rows, options.tests, options.rounds)
    floor = found["by hand: pandas + sqlite3"]
    print(f"{options.rows:,} training and {options.tests:,} test rows\n")
    print("| | whole, s | × | user's own code, s | overhead, s | overhead ÷ whole script |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, seconds in found.items():
        cells = [f"{seconds.whole:.2f}", f"{seconds.whole / floor.whole:.2f}", f"{seconds.own:.2f}"]
        cells += [f"{seconds.overhead:.2f}", f"{seconds.overhead / floor.whole:.2f}"]
        print(f"| {name} | {' | '.join(cells)} |")
    machine = {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
    contests = {name: {**asdict(seconds), "overhead": seconds.overhead} for name, seconds in found.items()}
    FOLDER.mkdir(parents=True, exist_ok=True)
    report = {"machine": machine, "rows": options.rows, "tests": options.tests, "contests": contests}
    (FOLDER / "pipeline.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
