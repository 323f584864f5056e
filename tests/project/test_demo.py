"""`make demo`, as a newcomer runs it: in a clone of the template, on a machine that knows nobody."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from baked_projects import TEMPLATE, Project, clean_environment
from light_project import WEAK_EXPERIMENT

VENV = Path(sys.executable).parents[1]
NEITHER_COPIED = shutil.ignore_patterns(".venv", "build", ".git", ".*_cache", "__pycache__")


@pytest.fixture
def template(tmp_path: Path) -> Project:
    """A clone of the template with its environment, an empty HOME and no Git identity."""
    home = tmp_path / "home"
    home.mkdir()
    copied = Project(tmp_path / "template", clean_environment(home))
    shutil.copytree(TEMPLATE, copied.path, ignore=NEITHER_COPIED)
    (copied.path / ".venv").symlink_to(VENV)
    copied.git("init", "--quiet")  # the demo bakes inside another repository, which ignores build/
    return copied


def lighten_template(template: Project) -> None:
    """Let the demo show a model that takes no time: what the sample learns, one demo shows."""
    code = template.path / "{{cookiecutter.project_slug}}/experiment.py"
    code.write_text(WEAK_EXPERIMENT, encoding="utf-8")


def leaderboard(demo: Project) -> list[dict[str, object]]:
    return json.loads(demo.script("experiment_explorer", "list", "--format", "json"))


def assert_went_well(template: Project, printed: str, name: str = "digit-experiments") -> Project:
    """Check the project that the demo leaves, and that what it printed is what is there."""
    demo = Project(template.path / "build" / name, template.environment)
    newest, oldest = runs = leaderboard(demo)
    light = (demo.path / "experiment.py").read_text(encoding="utf-8") == WEAK_EXPERIMENT
    low, middle, high = (0.86, 0.89, 0.92) if light else (0.92, 0.95, 0.98)
    assert middle < newest["f1_score"] < high and low < oldest["f1_score"] < middle
    rows = [line for line in printed.splitlines() if re.match(r"\s*e0\.1\.0\s", line)]
    for run, row in zip(runs, rows[-2:]):
        assert run["track_id"] in row and f"{run['f1_score']:.4f}" in row
    model = json.loads((demo.path / "models/production/model.json").read_text())
    assert model["track_id"] == newest["track_id"]
    assert f"production: {newest['track_id']} (e0.1.0) promoted — better: f1_score " in printed
    files = list((demo.path / "results/predictions").glob("*.parquet"))
    assert len(files) == 2 and len(pd.read_parquet(demo.path / "results/predictions")) == 720
    assert "537 rows now" in printed and "987 rows now" in printed
    assert "Data and pipelines are up to date." in demo.dvc("status")
    assert demo.git("status", "--porcelain") == ""
    assert demo.git("log", "--format=%s").splitlines() == [
        "results with the second batch", "first results", "Start from cookiecutter-lineage",
    ]  # fmt: skip
    assert f"\nTry next:\n  cd build/{name} " in printed
    return demo


def recorded(demo: Project) -> set[str]:
    """The md5 of every output and every tracked file or folder of the newest commit."""
    lock = yaml.safe_load((demo.path / "dvc.lock").read_text())
    outs = [out for stage in lock["stages"].values() for out in stage["outs"] if out["path"] != "results/metrics.json"]
    for pointer in demo.path.glob("*/*.dvc"):
        outs += yaml.safe_load(pointer.read_text())["outs"]
    return {out["md5"] for out in outs}


@pytest.mark.slow
def test_make_demo_shows_the_leaderboard_and_can_be_run_again(template: Project) -> None:
    first = template.run("make", "demo")
    demo = assert_went_well(template, first.stdout)
    before = {run["track_id"] for run in leaderboard(demo)}
    remote = template.path / "build/digit-experiments-remote/files/md5"
    stored = {path.parent.name + path.name: path for path in remote.rglob("*") if path.is_file()}
    assert recorded(demo) <= set(stored)
    for md5, path in stored.items():
        assert md5.removesuffix(".dir") == hashlib.md5(path.read_bytes()).hexdigest()
    assert template.git("status", "--porcelain", "--ignored", "--", "build") == "!! build/"
    assert {path.name for path in Path(template.environment["HOME"]).rglob("*") if "dvc" in path.name} <= {"dvc"}
    (demo.path / "thesis.txt").write_text("three years of work")
    lighten_template(template)
    again = template.run("make", "demo")
    second = assert_went_well(template, again.stdout, "digit-experiments-2")
    assert before.isdisjoint(run["track_id"] for run in leaderboard(second))
    assert {run["track_id"] for run in leaderboard(demo)} == before
    assert demo.git("status", "--porcelain") == "?? thesis.txt"
    assert demo.dvc("status", "--cloud").splitlines()[-1] == "Cache and remote 'storage' are in sync."


@pytest.mark.slow
def test_make_demo_with_s3_pushes_to_a_real_server_and_removes_nothing_that_it_did_not_make(template: Project) -> None:
    mine = template.path / "build/digit-experiments/thesis.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("three years of work")
    lighten_template(template)
    printed = template.run("make", "demo", "S3=1").stdout
    demo = assert_went_well(template, printed, "digit-experiments-2")
    assert mine.read_text() == "three years of work" and list(mine.parent.iterdir()) == [mine]
    assert "– remote  s3://experiments/digit-experiments-2 is not looked at yet\n    → make setup" in printed
    numbers = [int(number) for number in re.findall(r"^(\d+) files pushed$", printed, re.MULTILINE)]
    assert len(numbers) == 2 and f"\n{sum(numbers)} objects in s3://experiments/digit-experiments-2\n" in printed
    assert not list((template.path / "build").glob("*-remote"))
    assert_is_served(template, demo, sum(numbers))


def assert_is_served(template: Project, demo: Project, number: int) -> None:
    """Start a server on what the demo left, and look for every object that the newest commit needs."""
    sys.path.insert(0, str(TEMPLATE / "tools"))
    from s3_server import s3_server

    data = template.path / "build/s3/data"
    with s3_server(data, "experiments", "ANOTHERKEY", "another-secret") as server:
        listed = server.client().list_objects_v2(Bucket="experiments", Prefix="digit-experiments-2/files/md5/")
        keys = [entry["Key"] for entry in listed["Contents"]]
        assert len(keys) == number
        assert recorded(demo) <= {"".join(key.split("/")[-2:]) for key in keys}
        for key in keys:
            content = server.client().get_object(Bucket="experiments", Key=key)["Body"].read()
            assert hashlib.md5(content).hexdigest() == "".join(key.split("/")[-2:]).removesuffix(".dir")


@pytest.mark.slow
def test_a_demo_that_fails_says_where_in_one_line(template: Project) -> None:
    batch = template.path / "{{cookiecutter.project_slug}}/data/incoming/batch_001.parquet"
    batch.write_text("not parquet")
    done = template.run("make", "demo", code=2)
    assert "error: the demo stopped: `dvc repro` ended with exit code 255; what it printed is above\n" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr and "Try next" not in done.stdout
