"""Candidates: which are kept, what may become one, and what is never lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from baked_projects import Project
from models_project import (
    add_rows,
    candidates,
    card,
    md5,
    models,
    object_of,
    refusal,
    rows,
    stand_inside,
)
from worktrees_project import remedies

from lineage.core.errors import BadInput, Refused
from lineage.extras.model_manager.change_models import add_candidate, promote_by_hand, prune

pytestmark = pytest.mark.slow


@pytest.fixture
def trained(light_trained: Project) -> Project:
    return light_trained


@pytest.fixture
def inside(trained: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A trained project in which this process stands."""
    return stand_inside(trained, monkeypatch)


def test_a_sweep_of_thirty_keeps_the_five_with_the_smallest_loss(trained: Project) -> None:
    trained.set_param("promote.metric", "log_loss")
    trained.set_param("promote.mode", "min")
    grid = {"model.C": [10.0**-power for power in range(1, 7)], "model.max_iter": [10, 20, 40, 80, 160]}
    trained.set_param("sweep.grid", grid)
    said = trained.repro()
    best = [row["track_id"] for row in rows(trained, "log_loss, timestamp, track_id")]
    assert len(best) == 31 and "candidates: 5 kept in models/candidates/" in said
    incumbent = card(trained)["track_id"]
    assert candidates(trained) - {incumbent} == set(best[:5]) - {incumbent}

    # their bytes are in models/trained, the cache and a dvc.lock that no commit names yet
    state = sorted(candidates(trained))
    message = models(trained, "prune", "--keep", "2", code=1)
    assert "3 models could not be brought back, so nothing is pruned: " in message
    [commit, push] = remedies(message)
    assert (commit, push) == ("git add dvc.lock && git commit", "dvc push") and sorted(candidates(trained)) == state
    trained.run("sh", "-c", commit, GIT_EDITOR="echo The sweep >")
    assert "(3 pruned)" in models(trained, "prune", "--keep", "2")
    assert candidates(trained) == {*best[:2], incumbent}
    assert "up to date" in trained.dvc("status")
    target = trained.path / "build"
    gone = next(row for row in rows(trained) if row["track_id"] == best[4])
    target.mkdir()
    assert gone["model_hash"] in models(trained, "download", "--run-id", best[4], "--output", str(target))
    assert md5(target / f"{best[4]}_model.bin") == gone["model_hash"]
    (target / "mine.bin").write_text("mine")
    message = models(trained, "download", "--version", "e0.1.0", "--output", str(target / "mine.bin"), code=1)
    assert "exists; it is not overwritten" in message and (target / "mine.bin").read_text() == "mine"


def test_a_candidate_stays_while_its_artifact_is_in_no_commit(trained: Project) -> None:
    """Its model could be brought back, and what its run made could not."""
    trained.set_param("sweep.grid", {"model.C": [0.1, 5.0, 9.0]})
    trained.repro()
    trained.commit("sweep")
    ranked = [row["track_id"] for row in reversed(rows(trained, "f1_score, timestamp DESC"))]
    incumbent = card(trained)["track_id"]
    [*_, worst] = [run for run in ranked if run != incumbent]
    made = trained.path / f"results/artifacts/{worst}/figures/roc.txt"
    made.parent.mkdir(parents=True)
    made.write_text("drawn by hand")
    before = candidates(trained)
    message = models(trained, "prune", "--keep", "1", code=1)
    assert f"1 models could not be brought back, so nothing is pruned: {worst}\n" in message
    assert candidates(trained) == before and made.read_text() == "drawn by hand"

    trained.dvc("commit", "--force", "promote_model")
    trained.commit("what it made, too")
    digest = md5(made)
    models(trained, "prune", "--keep", "1")
    assert candidates(trained) == {ranked[0], incumbent} and not made.parent.parent.exists()
    assert object_of(trained, digest).read_text() == "drawn by hand"
    trained.git("checkout", "--quiet", "HEAD", "--", "dvc.lock")
    trained.dvc("checkout", "--force")
    assert made.read_text() == "drawn by hand" and candidates(trained) == before


def test_a_model_in_the_remote_only_can_be_pruned(inside: Project, said: list[str]) -> None:
    other = inside.path / "other.bin"
    other.write_bytes(b"a model that only this file holds")
    add_rows(inside, {"track_id": "theirs", "f1_score": 0.1, "model_hash": md5(other)})
    add_candidate(other, "theirs")
    assert said[0] == "candidates: theirs (e0.1.0) added, f1_score 0.1000"
    assert said[-1].startswith("next: git add dvc.lock")
    assert object_of(inside, md5(other)).read_bytes() == other.read_bytes(), "recorded by DVC, too"
    assert "nothing is pruned: theirs" in refusal(lambda: prune(1), Refused)
    [_, push] = remedies(refusal(lambda: prune(1), Refused))
    inside.run("sh", "-c", push)
    prune(1)
    assert "theirs" not in candidates(inside)


def test_candidates_from_elsewhere_never_overwrite(inside: Project, said: list[str]) -> None:
    theirs = inside.path.parent / "theirs.bin"
    theirs.write_bytes(b"their model")
    add = add_candidate
    database = inside.path / "results/experiments.db"
    mine = shutil.copyfile(database, inside.path.parent / "mine.db")
    add_rows(inside, {"track_id": "theirs", "model_hash": md5(theirs), "f1_score": 0.1})
    database.rename(inside.path.parent / "theirs.db")
    mine.rename(database)
    problem, _, remedy = refusal(lambda: add(theirs, "theirs"), BadInput).partition("\n  → ")
    assert problem == "run theirs has no row in experiments.db"
    inside.run("sh", "-c", remedy.replace("THEIR.db", "../theirs.db"))
    add_rows(inside, {"track_id": "failed", "model_hash": None})
    (inside.path / "models/candidates/notes.txt").write_text("mine")
    add(theirs, "theirs")
    assert (inside.path / "models/candidates/theirs_model.bin").read_bytes() == b"their model"
    assert (inside.path / "models/candidates/notes.txt").read_text() == "mine"
    said.clear()
    add(theirs, "theirs")
    assert said == ["candidates: theirs is there already"]
    theirs.write_bytes(b"another model")
    assert "is not the model that run theirs recorded" in refusal(lambda: add(theirs, "theirs"), Refused)
    assert "run failed has no model" in refusal(lambda: add(theirs, "failed"), Refused)
    assert (inside.path / "models/candidates/theirs_model.bin").read_bytes() == b"their model"


def test_what_cannot_be_a_model_or_a_run_is_refused(inside: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside.bin"
    outside.write_bytes(b"secret")
    link, empty = tmp_path / "link.bin", tmp_path / "empty.bin"
    link.symlink_to(outside)
    empty.touch()
    (tmp_path / "hollow/deep").mkdir(parents=True)
    (tmp_path / "hollow/deep/nothing").touch()
    ids = ("../../evil", "/etc/passwd", "it's", 'a"b', "", ".hidden", "x" * 200)
    add_rows(inside, *({"track_id": name, "model_hash": md5(outside)} for name in ids))
    add_rows(inside, {"track_id": "sly", "model_hash": "../../../../etc/passwd"})
    add_rows(inside, {"track_id": "gone", "model_hash": "0" * 32})
    before = {path: md5(path) for path in (inside.path / "models").rglob("*") if path.is_file()}
    for name in ids:
        expected = f"run id {name!r} cannot be part of a file name\n  → use letters"
        assert refusal(lambda name=name: add_candidate(outside, name), BadInput).startswith(expected)
        by_hand = refusal(lambda name=name: promote_by_hand(None, name, None, None, None), BadInput)
        assert by_hand.startswith(expected)
    kept = inside.path / "models/candidates/linked_model.bin"
    kept.symlink_to(outside)
    assert "is a link to" in refusal(lambda: prune(1), BadInput)
    kept.unlink()
    first = card(inside)["track_id"]
    for path, words in (
        (link, f"{link} is a link to {outside}, outside the DVC cache"),
        (empty, f"{empty} is empty, not a model"),
        (tmp_path / "hollow", f"{tmp_path / 'hollow'} is empty, not a model"),
        (tmp_path / "none", f"{tmp_path / 'none'} does not exist"),
    ):
        assert words in refusal(lambda path=path: add_candidate(path, first), BadInput)
    promote = promote_by_hand
    assert "is '../../../../etc/passwd', not an md5" in refusal(
        lambda: promote(None, "sly", None, None, None), BadInput
    )
    message = refusal(lambda: promote(None, "gone", None, None, None), Refused)
    assert message.startswith("the model of run gone (e0.1.0): object 000") and "not in the remote" in message
    assert "give either --run-id or --version" in models(inside, "download", "--output", "x", code=2)
    message = refusal(lambda: promote(None, None, "e9.9.9", None, None), Refused)
    assert "results/experiments.db has no such run of e9.9.9" in message
    assert {path: md5(path) for path in (inside.path / "models").rglob("*") if path.is_file()} == before
