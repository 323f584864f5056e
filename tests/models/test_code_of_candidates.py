"""A candidate says when the code that it needs is not on this branch, and which merge brings it."""

from __future__ import annotations

from pathlib import Path

import pytest
from baked_projects import Project, copy_project
from models_project import card, models, rows

from lineage.setup.project import MERGE_DRIVER

pytestmark = pytest.mark.slow


@pytest.fixture
def trained(light_trained: Project) -> Project:
    return light_trained


@pytest.fixture(scope="module")
def deep_original(light_original: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Main, with a candidate of e2.0.0, whose code is on the branch `deep` and in its tag."""
    trained = copy_project(light_original, tmp_path_factory.mktemp("deep"))
    trained.set_param("promote.confidence", None)  # a small gain promotes it
    trained.commit("any gain counts")
    trained.git("switch", "--quiet", "--create", "deep")
    path = trained.path / "experiment.py"
    text = path.read_text(encoding="utf-8")
    text = text.replace("path.write_text(", 'path.mkdir()\n    (path / "m.json").write_text(')
    path.write_text(text.replace("path.read_text()", '(path / "m.json").read_text()'), encoding="utf-8")
    trained.set_param("experiment.version", "e2.0.0")
    trained.set_param("model.C", 0.1)
    trained.repro()
    trained.script("version_tag", "--version", "e2.0.0", "--commit", "models are folders")
    run = rows(trained)[-1]
    assert run["git_dirty"] == 1, "it ran before the commit, so its git_commit is on main"
    trained.git("switch", "--quiet", "main")
    trained.dvc("checkout")
    folder = trained.path / "results/incoming/theirs"
    folder.mkdir()
    for name in ("experiments.db", "predictions"):
        trained.dvc("get", ".", f"results/{name}", "--rev", "deep", "-o", str(folder / name))
    trained.repro()
    model = f"models/trained/{run['track_id']}_model.bin"
    trained.dvc("get", ".", model, "--rev", "deep", "-o", "build/theirs")
    models(trained, "add-candidate", "--run-id", run["track_id"], "--model-path", "build/theirs")
    trained.git("add", "--all")
    trained.commit("their results and model")
    return trained


@pytest.fixture
def project(deep_original: Project, tmp_path: Path) -> Project:
    return copy_project(deep_original, tmp_path)


def test_it_names_the_merge_that_makes_it_usable_and_then_it_is(project: Project) -> None:
    run = next(row for row in rows(project) if row["version"] == "e2.0.0")
    listed = models(project, "list", "--format", "csv").splitlines()
    needs = "candidate, needs the code of e2.0.0 (git merge e2.0.0)"
    assert next(line for line in listed if run["track_id"] in line).startswith(f'"{needs}"')
    by_hand = models(project, "promote", "--run-id", run["track_id"])
    assert "needs the code of e2.0.0 (git merge e2.0.0)" in by_hand
    project.git("checkout", "dvc.lock")
    project.dvc("checkout", "--force")
    gate = models(project, "promote", "--db", "results/experiments.db")
    assert f"run {run['track_id']} does not take part: it needs the code of e2.0.0\n  → git merge e2.0.0\n" in gate
    assert card(project)["track_id"] != run["track_id"]

    project.git("config", "merge.dvc.driver", MERGE_DRIVER)
    project.run("bash", "-ec", f"git merge{needs.partition('git merge')[2].rstrip(')')}")
    project.dvc("checkout")
    assert "needs the code" not in models(project, "list")
    project.repro()
    assert card(project)["track_id"] in (run["track_id"], rows(project, "f1_score")[-1]["track_id"])


def test_a_commit_is_named_where_no_tag_is_and_a_fetch_where_no_commit_is(project: Project) -> None:
    project.git("tag", "--delete", "e2.0.0")
    commit = project.git("rev-parse", "--short=10", "deep")
    project.git("clone", "--quiet", "--bare", ".", "../origin.git")
    project.git("remote", "add", "origin", "../origin.git")
    assert f"needs the code of e2.0.0 (git merge {commit})" in models(project, "list")
    project.git("branch", "--quiet", "-D", "deep")
    said = models(project, "list")
    assert "which no commit here has (git fetch --all --tags)" in said
    project.run("bash", "-ec", said.partition("which no commit here has (")[2].partition(")")[0])
    assert f"needs the code of e2.0.0 (git merge {commit})" in models(project, "list")


def test_code_of_an_earlier_commit_of_this_branch_is_here(trained: Project) -> None:
    with (trained.path / "experiment.py").open("a") as file:
        file.write("\n# more\n")
    trained.set_param("model.C", 0.1)
    trained.repro()
    trained.commit("other code")
    assert len({row["code_hash"] for row in rows(trained)}) == 2
    assert "needs the code" not in models(trained, "list")
