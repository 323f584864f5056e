"""Two people in two clones change rows of one project, and `git pull` merges them as it merges lines."""

from __future__ import annotations

import pytest
from baked_projects import Project
from clones_project import ada_and_bob
from worktrees_project import conflicts, correct, edit_results, metric_rows

from lineage.setup.project import MERGE_DRIVER

pytestmark = pytest.mark.slow


def drop(project: Project, run: str) -> None:
    """Take a run out of the results by hand, and let DVC record that."""
    edit_results(project, "DELETE FROM metrics WHERE track_id = ?", run)
    (project.path / f"results/predictions/{run}.parquet").unlink()
    project.dvc("commit", "--force", "merge_results")


def send(project: Project, message: str) -> None:
    project.commit(message)
    project.dvc("push")
    project.git("push", "--quiet", "origin", "main")


def predictions(project: Project) -> set[str]:
    return {path.stem for path in (project.path / "results/predictions").glob("*.parquet")}


def test_rows_that_two_people_changed_and_dropped_are_the_same_in_both_clones_after_a_pull(
    light_trained: Project,
) -> None:
    light_trained.set_param("sweep.grid", {"model.C": [0.5, 2.0]})
    light_trained.repro()
    light_trained.set_param("sweep.grid", {})
    light_trained.repro()
    light_trained.commit("a sweep")
    ada, bob = ada_and_bob(light_trained, light_trained.path.parent)
    for person in (ada, bob):
        person.git("config", "merge.dvc.driver", MERGE_DRIVER)
    before = metric_rows(ada)
    kept, dropped, *others = sorted(before)

    correct(ada, kept, accuracy=0.25)
    drop(ada, dropped)
    ada.commit("one run corrected, one dropped")
    correct(bob, kept, f1_score=0.5)
    bob.set_param("experiment.version", "e0.2.0")
    bob.set_param("model.C", 0.7)
    bob.repro()
    [new] = metric_rows(bob).keys() - before.keys()
    send(bob, "another cell of that run, and a new run")

    merged = ada.run("git", "pull", "--no-rebase", "--no-edit", "--quiet", "origin", "main")
    assert "dvc.lock merged; next: dvc pull && dvc repro" in merged.stderr, "some objects are in the remote only"
    ada.run("sh", "-c", "dvc pull && dvc repro")
    send(ada, "what dvc repro wrote anew")
    bob.git("pull", "--quiet", "origin", "main")
    bob.dvc("pull")
    for person in (ada, bob):
        rows = metric_rows(person)
        assert rows.keys() == {kept, *others, new} == predictions(person)
        assert rows[kept] == {**before[kept], "accuracy": 0.25, "f1_score": 0.5}
        assert {run: rows[run] for run in others} == {run: before[run] for run in others}
        assert "up to date" in person.dvc("status")

    correct(bob, kept, log_loss=0.2)
    send(bob, "a third cell")
    correct(ada, kept, log_loss=0.1)
    drop(ada, others[0])
    ada.commit("the same cell, and another run dropped")
    said = ada.run("git", "pull", "--no-rebase", "--no-edit", "--quiet", "origin", "main", code=1).stderr
    [found] = conflicts(ada)
    assert found.pop("key").startswith(f"track_id={kept}, timestamp=")
    assert found == {
        "table": "metrics", "column": "log_loss", "base": before[kept]["log_loss"], "ours": 0.1, "theirs": 0.2
    }  # fmt: skip
    take = said[said.index("→ git checkout --ours dvc.lock") :].splitlines()[0].partition("   #")[0]
    assert take == "→ git checkout --ours dvc.lock && git add dvc.lock"
    ada.run("sh", "-c", take.removeprefix("→ "))
    ada.git("commit", "--quiet", "--no-verify", "--no-edit")
    ada.dvc("checkout")
    assert conflicts(ada) == [] and metric_rows(ada)[kept]["log_loss"] == 0.1
    assert metric_rows(ada).keys() == {kept, *others[1:], new}
