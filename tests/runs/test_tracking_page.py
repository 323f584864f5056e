"""What docs/tracking.md puts beside calls of MLflow and DVCLive is run, line by line."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from baked_projects import SOURCE, Project

from lineage.extras.tracking.active_run import ActiveRun

PAGE = (SOURCE / "docs/tracking.md").read_text(encoding="utf-8")
LINES = [row.split("|")[3] for row in PAGE.split("| MLflow | DVCLive | here |")[1].splitlines()[2:] if row]
OURS = [re.findall(r"`([^`]+)`", line)[0] for line in LINES]
COMMANDS = [line for line in OURS if line.startswith(("python ", "dvc "))]


def test_our_side_of_the_table_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("roc.png").write_bytes(b"a picture")
    run = ActiveRun(tmp_path / "run", "run-1", {"C": 0.5})
    known: dict[str, Any] = {"run": run, "step": 3, "loss": 0.4, "f1": 0.8, "scores": {"auc": 0.9}, "text": "hello",
                             "labels": ["a"], "model": "a model", "predictions": "rows", "json": json, "shutil": shutil}  # fmt: skip
    results = {}
    for line in OURS:
        if line in COMMANDS:
            continue
        body = line if line.startswith("return") else f"return {line}"
        exec(f"def function():\n    {body}", known)
        results[line] = known["function"]()
    logged = [{name: value for name, value in event.items() if name != "timestamp"} for event in run.events()]
    assert logged == [{"step": 3, "loss": 0.4}, {"step": 3, "loss": 0.4, "f1": 0.8}, {"auc": 0.9}]
    files = {path.name: path.read_text() for path in (tmp_path / "run/run-1.artifacts").iterdir()}
    assert files == {"roc.png": "a picture", "notes.txt": "hello", "labels.json": '["a"]'}
    assert (results['run.params["C"]'], results["run.track_id"], results["return model"]) == (0.5, "run-1", "a model")
    assert results['return {"f1_score": f1}, predictions'] == ({"f1_score": 0.8}, "rows")
    assert results["run.checkpoint"] == tmp_path / "run/checkpoint"


def test_our_side_of_the_table_in_the_shell(trained: Project) -> None:
    assert len(COMMANDS) == 2
    printed = [trained.run(*line.split()).stdout for line in COMMANDS]
    assert "f1_score" in printed[0] and "index.html" in printed[1]
