"""Pruning of candidates, over whatever models, metrics, commits and remotes there are: the best and the irreplaceable stay."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml
from baked_projects import SOURCE
from hypothesis import given, settings
from hypothesis import strategies as st

from lineage.core.errors import Refused
from lineage.extras.model_manager.change_models import prune
from lineage.tracked.cache import cache_folder

METRIC = st.one_of(st.none(), st.sampled_from([0.1, 0.2, float("inf"), "text"]), st.floats(-5, 5))
MODEL = st.tuples(METRIC, st.booleans(), st.booleans(), st.booleans())
"""Its metric; whether the cache holds it, a commit names it, the remote holds it."""


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def store(folder: Path, content: bytes, suffix: str = "") -> str:
    name = md5(content) + suffix
    place = folder / "files/md5" / name[:2] / name[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return name


def make_project(root: Path, models: dict[str, tuple[object, bool, bool, bool]], mode: str, production: str) -> None:
    """Candidates as they may lie, without a pipeline: only git, a cache, a remote, and a database of rows."""
    (root / "models/candidates").mkdir(parents=True)
    (root / "models/production").mkdir()
    (root / "results").mkdir()
    (root / ".dvc").mkdir()
    (root / ".dvc/config").write_text(
        f"[core]\nremote = r\nanalytics = false\n['remote \"r\"']\nurl = {root}/remote\n[cache]\ndir = {root}/cache\n"
    )
    content = yaml.safe_load(re.sub("{{.*?}}", "rendered", (SOURCE / "params.yaml").read_text()))
    content["promote"]["mode"] = mode
    (root / "params.yaml").write_text(yaml.safe_dump(content))
    (root / "dvc.yaml").write_text("stages: {}\n")
    named = []
    database = sqlite3.connect(root / "results/experiments.db")
    database.execute("CREATE TABLE metrics (track_id, timestamp, version, model_hash, f1_score REAL)")
    for name, (metric, cached, committed, sent) in models.items():
        data = f"model {name}".encode()
        (root / f"models/candidates/{name}_model.bin").write_bytes(data)
        database.execute("INSERT INTO metrics VALUES (?, ?, 'e0.1.0', ?, ?)", (name, name, md5(data), metric))
        if cached:
            store(root / "cache", data)
        if sent:
            store(root / "remote", data)
        if committed:
            named.append({"md5": md5(data), "relpath": f"{name}_model.bin"})
    database.commit()
    database.close()
    card = {"track_id": production, "version": "e0.1.0", "model_hash": md5(f"model {production}".encode())}
    rest = ("git_commit", "data_hash", "test_hash", "params", "metrics", "promoted_at", "replaced", "reason")
    (root / "models/production/model.json").write_text(json.dumps({**card, **dict.fromkeys(rest)}))

    folder = store(root / "cache", json.dumps(named).encode(), ".dir")
    lock = {"schema": "2.0", "stages": {"s": {"cmd": "x", "outs": [{"path": "models/trained", "md5": folder}]}}}
    (root / "dvc.lock").write_text(yaml.safe_dump(lock))
    for command in (
        ["git", "init", "-q", "."],
        ["git", "add", "dvc.lock"],
        ["git", "-c", "user.name=A", "-c", "user.email=a@b.c", "commit", "-qm", "named"],
        ["git", "rm", "-q", "dvc.lock"],
        ["git", "-c", "user.name=A", "-c", "user.email=a@b.c", "commit", "-qm", "no longer in the newest commit"],
    ):
        subprocess.run(command, cwd=root, check=True)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    models=st.lists(MODEL, min_size=1, max_size=7),
    keep=st.integers(1, 4),
    mode=st.sampled_from(["max", "min"]),
    data=st.data(),
)
def test_prune_never_removes_a_best_a_production_or_an_unrecoverable_model(models, keep, mode, data) -> None:  # type: ignore[no-untyped-def]
    named = {f"run{place}": model for place, model in enumerate(models)}
    production = data.draw(st.sampled_from([*named, "elsewhere"]))
    root, before = Path(tempfile.mkdtemp()).resolve(), Path.cwd()
    try:
        make_project(root, named, mode, production)
        cache_folder.cache_clear()
        numbers = {
            name: model[0] for name, model in named.items() if isinstance(model[0], float) and model[0] != float("inf")
        }
        ranked = sorted(numbers, key=lambda name: (-numbers[name] if mode == "max" else numbers[name], name))
        surplus = set(named) - set(ranked[:keep]) - {production}
        nowhere = {name for name in surplus if not (named[name][1] and named[name][2]) and not named[name][3]}
        os.chdir(root)
        try:
            prune(keep)
            refused = False
        except Refused as error:
            refused = True
            assert all(name in str(error) for name in nowhere)
        left = {path.name.removesuffix("_model.bin") for path in (root / "models/candidates").iterdir()}
        assert refused == bool(nowhere)
        assert left == (set(named) if refused else set(named) - surplus)
        for name in left:
            assert (root / f"models/candidates/{name}_model.bin").read_bytes() == f"model {name}".encode()
    finally:
        os.chdir(before)
        shutil.rmtree(root)
