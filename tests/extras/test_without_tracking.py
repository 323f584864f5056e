"""A project without the extra `tracking`: functions of two arguments miss nothing, and what was logged stays."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from baked_projects import Project, copy_project
from toy_runs import rows, toy

MISSING = "an extra that is not here: No module named 'lineage.extras.tracking'\n  → make setup EXTRAS=tracking\n"


@pytest.fixture
def project(light_original: Project, tmp_path: Path) -> Project:
    return copy_project(light_original, tmp_path)


def taking_the_run(project: Project, body: str) -> Path:
    """Give the project a toy whose `fit` takes the run."""
    toy(project, body)
    path = project.path / "experiment.py"
    path.write_text(path.read_text().replace("(train, params)", "(train, params, run)"))
    return path


def test_without_tracking_functions_of_two_arguments_work_and_one_that_takes_the_run_asks_for_it(
    project: Project,
) -> None:
    database = project.path / "results/experiments.db"
    logged = "SELECT count(*) AS n FROM events"
    body = "run.log(step=0, loss=1.0)\nrun.artifact('made.txt').write_text('by a run')"
    experiment = taking_the_run(project, body)
    project.repro()
    project.commit("A run that logs")
    made = list((project.path / "results/artifacts").rglob("made.txt"))
    assert (rows(database, logged), len(made)) == ([{"n": 1}], 1)

    shutil.rmtree(project.path / "scripts/lineage/extras/tracking")
    project.set_param("model.x", 2)
    asks = f"the third argument of fit() or evaluate() in experiment.py asks for {MISSING}"
    before = project.git("status", "--porcelain")
    assert project.script("train", code=2) == f"error: {asks}"
    assert project.git("status", "--porcelain") == before
    assert list((project.path / "results/unfinished").iterdir()) == [], "no training has begun"

    experiment.rename(project.path / "logging_fit.py")
    others = "from logging_fit import evaluate, fit, load_data, load_model, save_model\n"
    experiment.write_text(others)
    dvc_yaml = project.path / "dvc.yaml"
    declared = dvc_yaml.read_text()
    dvc_yaml.write_text(
        declared.replace("      - experiment.py\n", "      - experiment.py\n      - logging_fit.py\n", 1)
    )
    failed = project.script("train", code=1)
    assert f"error: 1 of 1 runs failed: {asks}" in failed, "where fit is imported, the run says so when it calls it"
    dvc_yaml.write_text(declared)

    toy(project, "assert params['x'] == 2", "metrics['f1_score'] = len(test) / 1000")
    project.set_param("model.x", 2)
    project.set_param("validation.fraction", 0.5)
    printed = project.repro()
    assert "merge metrics: +1 ~0 =0 !0" in printed and "events" not in printed
    [row] = rows(database, "SELECT * FROM metrics WHERE model_x = 2")
    assert row["val_f1_score"] != row["f1_score"] > 0
    assert (rows(database, logged), [path.exists() for path in made]) == ([{"n": 1}], [True]), "what was logged stays"
    assert (project.path / "results/plots/curves.csv").read_text() == "track_id,step,name,value\n"
    assert list((project.path / "models/trained").iterdir()) == [
        project.path / f"models/trained/{row['track_id']}_model.bin"
    ]

    project.set_param("validation.fraction", 0.0)
    taking_the_run(project, body)
    project.run("make", "setup", "EXTRAS=tracking", f"VENV={sys.prefix}")
    assert "merge events: +1 ~0 =0 !0" in project.repro()
