"""A model may be a folder, as `save_pretrained` writes one: everything that takes a model takes it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from baked_projects import Project, copy_project
from models_project import candidates, card, models, object_of, rows
from versions_project import proof
from worktrees_project import sh, work_in

from lineage.extras.retrieve.files_at_commit import hashes_by_name
from lineage.tracked.hashes import manifest_of, path_md5

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder_original(light_original: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose newest model, the best, is a folder with a folder in it."""
    trained = copy_project(light_original, tmp_path_factory.mktemp("folder"))
    path = trained.path / "experiment.py"
    text = path.read_text(encoding="utf-8")
    save = '(path / "deep").mkdir(parents=True)\n    (path / "about.json").write_text("{}")\n    '
    text = text.replace("path.write_text(", f'{save}(path / "deep/model.json").write_text(')
    path.write_text(text.replace("path.read_text()", '(path / "deep/model.json").read_text()'), encoding="utf-8")
    trained.set_param("promote.confidence", None)  # a small gain promotes it
    run_version(trained, "e0.2.0", 0.2)
    return trained


@pytest.fixture
def project(folder_original: Project, tmp_path: Path) -> Project:
    return copy_project(folder_original, tmp_path)


def run_version(project: Project, version: str, strength: float) -> str:
    project.set_param("experiment.version", version)
    project.set_param("model.C", strength)
    said = project.repro()
    project.commit(version)
    return said


def test_it_goes_into_production_and_comes_back_from_cache_and_remote(project: Project, tmp_path: Path) -> None:
    run = rows(project)[-1]
    kept = project.path / f"models/candidates/{run['track_id']}_model.bin"
    production = project.path / "models/production/model.bin"
    assert sorted(manifest_of(production)) == ["about.json", "deep/model.json"]
    assert path_md5(production) == path_md5(kept) == card(project)["model_hash"] == run["model_hash"]
    listed = hashes_by_name(manifest_of(project.path / "models/candidates"))
    assert listed[kept.name] == run["model_hash"] and len(listed) == 2

    project.script("version_tag", "--version", "e0.2.0")
    project.dvc("push")
    assert proof(project, "e0.2.0", code=0)["model"] == "yes"
    target = tmp_path / "copies"
    target.mkdir()
    for _ in range(2):
        assert f"md5 {run['model_hash']}" in models(project, "download", "--version", "e0.2.0", "--output", str(target))
    assert path_md5(target / kept.name) == run["model_hash"]
    (target / kept.name / "about.json").write_text("mine")
    assert "it is not overwritten" in models(
        project, "download", "--version", "e0.2.0", "--output", str(target), code=1
    )
    artifact = ("--artifact", f"models/trained/{kept.name}", "--output", str(tmp_path / "got"))
    project.script("experiment_explorer", "get", "--version", "e0.2.0", *artifact)
    assert path_md5(tmp_path / "got") == run["model_hash"]

    project.set_param("promote.keep", 1)
    run_version(project, "e0.3.0", 0.1)
    better = rows(project)[-1]
    assert candidates(project) == {better["track_id"]}, "what a commit names may go"
    models(project, "promote", "--version", "e0.2.0")  # from the cache
    assert path_md5(production) == run["model_hash"] == card(project)["model_hash"]
    assert "up to date" in project.dvc("status")
    project.git("checkout", "dvc.lock")
    project.dvc("checkout", "--force")
    for md5 in manifest_of(target / kept.name).values():
        if md5 == manifest_of(tmp_path / "got")["deep/model.json"]:
            object_of(project, md5).unlink()  # it is in the remote only
    models(project, "promote", "--run-id", run["track_id"])
    assert path_md5(production) == run["model_hash"]


def test_it_is_added_and_pruned_as_a_candidate_and_measured_again(project: Project, tmp_path: Path) -> None:
    run = rows(project)[-1]
    models(project, "download", "--run-id", run["track_id"], "--output", str(tmp_path / "theirs"))
    run_version(project, "e0.3.0", 0.1)
    models(project, "prune", "--keep", "1")
    assert run["track_id"] not in candidates(project)
    project.git("commit", "--quiet", "--all", "--message", "pruned")
    add = ("add-candidate", "--run-id", run["track_id"], "--model-path", str(tmp_path / "theirs"))
    assert f"candidates: {run['track_id']} (e0.2.0) added" in models(project, *add)
    assert path_md5(project.path / f"models/candidates/{run['track_id']}_model.bin") == run["model_hash"]
    assert "is there already" in models(project, *add)
    (tmp_path / "theirs/about.json").write_text("[]")
    assert "is not the model that run" in models(project, *add, code=1)

    project.git("commit", "--quiet", "--all", "--message", "their model")
    test = project.path / "data/test.parquet"
    frame = pd.read_parquet(test)
    test.unlink()
    frame[1:].to_parquet(test)
    said = run_version(project, "e0.4.0", 1e-6)
    assert f"production: {card(project)['track_id']} stays" in said and "against 0.9" in said, "measured again"


def test_one_that_only_a_colleagues_commit_records_comes_with_a_fetch(project: Project, tmp_path: Path) -> None:
    """Here its rows were merged, and a branch that this clone has never seen names its files."""
    run = rows(project)[-1]
    project.git("clone", "--quiet", "--bare", ".", str(tmp_path / "origin.git"))
    project.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    project.git("reset", "--quiet", "--soft", "HEAD~1")
    shutil.rmtree(project.path / "models")
    words = ("download", "--run-id", run["track_id"], "--output", str(tmp_path / "got"))
    problem, remedy = models(project, *words, code=1).splitlines()
    assert problem.endswith(f"(e0.2.0): no commit records the folder {run['model_hash']}")
    assert remedy == "  → git fetch --all"
    project.run("bash", "-ec", remedy.removeprefix("  → "))
    models(project, *words)
    assert path_md5(tmp_path / "got") == run["model_hash"]


def test_a_worktree_brings_it_home(project: Project) -> None:
    sh(project, "setup", "a")
    work_in(project, "a", "e0.3.0", C=0.1)
    sh(project, "finish", "a", "--collect")
    best = rows(project)[-1]
    assert best["version"] == "e0.3.0"
    kept = project.path / f"models/candidates/{best['track_id']}_model.bin"
    assert path_md5(kept) == best["model_hash"] and best["model_hash"].endswith(".dir")
    assert project.git("status", "--porcelain") == "" and "up to date" in project.dvc("status")
