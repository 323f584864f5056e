"""Experiments that a test starts itself come home: several at once, and one whose model main would prune."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from baked_projects import Project
from worktrees_project import (
    metric_rows,
    run_ids,
    sh,
    traces,
    work_in,
    worktree,
)

from lineage.tracked import recorded as records
from lineage.tracked.hashes import path_md5


@pytest.fixture
def trained(light_trained: Project) -> Project:
    return light_trained


@pytest.mark.slow
def test_a_model_that_main_prunes_comes_home_with_what_its_run_made(trained: Project) -> None:
    """Main keeps one candidate, and has a better one; the best of the experiment is brought all the same."""
    code = trained.path / "experiment.py"
    speaks = "def fit(train, params, run):\n    run.artifact('notes/C.txt').write_text(str(params['C']))\n"
    code.write_text(code.read_text(encoding="utf-8").replace("def fit(train, params):\n", speaks), encoding="utf-8")
    trained.set_param("promote.keep", 1)
    trained.repro()
    trained.commit("one candidate")
    sh(trained, "setup", "a")
    experiment = worktree(trained, "a")
    experiment.set_param("promote.keep", 5)
    work_in(trained, "a", "e0.2.0", C=50.0)
    [run] = set(run_ids(experiment)) - set(run_ids(trained))
    said = sh(trained, "finish", "a", "--collect")
    assert "(1 pruned)" in said, said
    assert (trained.path / f"models/candidates/{run}_model.bin").is_file()
    assert (trained.path / f"results/artifacts/{run}/notes/C.txt").read_text(encoding="utf-8") == "50.0"
    assert trained.git("status", "--porcelain") == "" and "up to date" in trained.dvc("status")
    assert traces(trained) == ([], "", [])


@pytest.mark.slow
def test_three_experiments_at_once_all_come_home(trained: Project, tmp_path: Path) -> None:
    for name in ("code", "data", "params"):
        sh(trained, "setup", name)
    code, data, params = (worktree(trained, name) for name in ("code", "data", "params"))
    source = code.path / "experiment.py"
    source.write_text(source.read_text(encoding="utf-8").replace('"log_loss":', '"loss":'), encoding="utf-8")
    code.run("sed", "-i", "s/version: e0.1.0/version: e0.2.0/", "params.yaml")
    frame = pd.read_parquet(data.path / "examples/batches/batch_002.parquet")
    frame["scanner"] = 4.0
    frame.to_parquet(data.path / "data/incoming/scanned.parquet")
    fit = data.path / "experiment.py"
    fit.write_text(
        fit.read_text(encoding="utf-8").replace(
            "return pd.read_parquet(path)", 'return pd.read_parquet(path).drop(columns="scanner", errors="ignore")'
        ),
        encoding="utf-8",
    )
    data.run("sed", "-i", "s/version: e0.1.0/version: e0.3.0/", "params.yaml")
    params.set_param("experiment.version", "e0.4.0")
    params.set_param("sweep.grid", {"model.C": [0.1, 0.3]})
    running = [
        subprocess.Popen(["dvc", "repro"], cwd=each.path, env=each.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for each in (code, data, params)
    ]  # fmt: skip
    for process in running:
        output = process.communicate()[0].decode()
        assert process.returncode == 0 and "lock" not in output.replace("lock file 'dvc.lock'", "").replace(
            "dvc.lock", ""
        ), output
    first, own = set(run_ids(trained)), {}
    for number, each in enumerate((code, data, params), start=2):
        each.commit("done")
        each.git("tag", "--annotate", f"e0.{number}.0", "--message", f"model=logistic | {each.path.name}")
        own[each.path.name] = set(run_ids(each)) - first
    assert [len(runs) for runs in own.values()] == [1, 1, 2]
    shutil.copyfile(fit, trained.path / "experiment.py")  # main needs code that reads the new column
    trained.repro()
    trained.commit("read scanned batches")
    rows = metric_rows(trained)
    for name in ("params", "data", "code"):
        sh(trained, "finish", name, "--collect")
    home = metric_rows(trained)
    assert set().union(*own.values()) <= set(home)
    assert {run: {key: home[run][key] for key in row} for run, row in rows.items()} == rows, (
        "main's own rows are as they were"
    )
    assert len(run_ids(trained)) == len(set(run_ids(trained))) == len(rows) + 4 + 1
    train = pd.read_parquet(trained.path / "data/train.parquet")
    assert len(train) == 987 and train["scanner"].notna().sum() == 450
    assert traces(trained) == ([], "", [])
    check_restorable(trained, tmp_path / "elsewhere")


def check_restorable(project: Project, folder: Path) -> None:
    """Every tag comes back whole from a clean clone that has nothing but the remote."""
    remote = project.path.parent / "digit-experiments-remote"
    clone = Project(folder / "clone", {**project.environment, "HOME": str(folder)})
    project.git("clone", "--quiet", str(project.path), str(clone.path))
    clone.dvc("remote", "modify", "--local", "storage", "url", str(remote))
    for tag in project.git("tag").splitlines():
        clone.git("checkout", "--quiet", tag)
        clone.dvc("pull")
        for path, md5 in records.recorded_outputs(clone.path).items():
            assert path_md5(clone.path / path) == md5, (tag, path)
