"""The gate: which model goes into production, and which stays."""

from __future__ import annotations

import pytest
from baked_projects import Project, stages_run
from models_project import add_rows, candidates, card, md5, models, object_of, rows, stand_inside

from lineage.extras.model_manager.change_models import promote_by_hand

pytestmark = pytest.mark.slow


@pytest.fixture
def trained(light_trained: Project) -> Project:
    return light_trained


@pytest.fixture
def inside(trained: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A trained project in which this process stands."""
    return stand_inside(trained, monkeypatch)


def test_merge_then_rebase_then_rollback(trained: Project) -> None:
    first = card(trained)
    trained.dvc("push")
    trained.set_param("promote.strategy", "merge")
    trained.set_param("promote.keep", 1)
    trained.set_param("promote.confidence", None)
    trained.set_param("experiment.version", "e0.2.0")
    trained.set_param("model.C", 0.1)
    said = trained.repro()
    assert (
        f"production: {first['track_id']} stays (promote.strategy: merge keeps new models as candidates only)" in said
    )
    assert card(trained) == first
    second = rows(trained)[1]
    assert second["f1_score"] > rows(trained)[0]["f1_score"]
    assert candidates(trained) == {first["track_id"], second["track_id"]}, "the best one, and production"

    trained.set_param("promote.strategy", "rebase")
    assert stages_run(trained.repro()) == ["promote_model"]
    better = card(trained)
    assert (better["track_id"], better["replaced"]) == (second["track_id"], first["track_id"])
    assert better["reason"].startswith("better: f1_score 0.9") and better["model_hash"] == second["model_hash"]
    trained.commit("second")
    trained.set_param("experiment.version", "e0.3.0")
    trained.set_param("model.C", 1e-6)
    trained.repro()
    trained.commit("a bad third")
    kept = card(trained)
    assert kept.pop("compared") != better.pop("compared"), "with the third, too"
    assert kept == better and candidates(trained) == {second["track_id"]}

    object_of(trained, first["model_hash"]).unlink()  # now it is in the remote only
    head = trained.git("rev-parse", "HEAD")
    *said_lines, last = models(trained, "promote", "--version", "e0.1.0", cwd=trained.path / "docs").splitlines()
    said_lines.remove("Updating lock file '../dvc.lock'")  # DVC's own word
    assert last == "next: git add dvc.lock && git commit -m 'Change the models'"
    reason = (
        f"by hand (--version e0.1.0): f1_score {first['metrics']['f1_score']:.4f} replaces {second['f1_score']:.4f}"
    )
    assert said_lines[-1] == f"production: {first['track_id']} (e0.1.0) promoted — {reason}"
    back = card(trained)
    assert {name: back[name] for name in ("track_id", "replaced", "reason")} == {
        "track_id": first["track_id"],
        "replaced": second["track_id"],
        "reason": reason,
    }
    assert md5(trained.path / "models/production/model.bin") == first["model_hash"] == back["model_hash"]
    assert trained.git("rev-parse", "HEAD") == head
    assert trained.git("status", "--porcelain").split() == ["M", "dvc.lock"]
    assert "up to date" in trained.dvc("status") and stages_run(trained.repro()) == []
    assert "is there already" in models(trained, "promote", "--version", "e0.1.0")

    trained.set_param("promote.keep", 2)
    said = trained.repro()
    assert stages_run(said) == ["promote_model"]
    assert "stays; there is no new model with a value of f1_score" in said, "it was chosen when these were there"
    assert card(trained) == back
    trained.set_param("model.C", 0.01)
    said = trained.repro()
    assert f"{first['track_id']} was put there by hand: a better model replaces it (promote.pinned: true" in said
    assert f"against {back['metrics']['f1_score']:.4f} of {first['track_id']} (e0.1.0)" in said, (
        "new runs challenge the model that was rolled back to"
    )


def test_every_kind_of_metric_is_compared_or_said(inside: Project, said: list[str]) -> None:
    incumbent = card(inside)
    value, digest = incumbent["metrics"]["f1_score"], incumbent["model_hash"]

    def challenge(mode: str = "max") -> str:
        said.clear()
        promote_by_hand(None, None, None, "f1_score", mode)
        return "\n".join(said)

    odd = {"text": "n/a", "null": None, "infinite": float("inf"), "tie": value, "later tie": value}
    changes = [{"track_id": name, "f1_score": odd[name], "timestamp": f"2020-01-0{n}"} for n, name in enumerate(odd, 1)]
    add_rows(inside, *changes[:3])
    inside.set_param("promote.confidence", None)
    text = challenge()
    for name, shown in (("text", "'n/a'"), ("null", "NULL"), ("infinite", "inf")):
        assert f"run {name} does not take part: its f1_score is {shown}, no number to compare" in text
    assert f"production: {incumbent['track_id']} stays; there is no new model with a value of f1_score" in text
    add_rows(inside, *changes[3:])
    text = challenge()
    assert f"2 runs tie at f1_score {value:.4f}; the earliest, tie, stands for them" in text
    against = f"against {value:.4f} of {incumbent['track_id']} (e0.1.0)"
    assert f"stays; tie does not beat it: f1_score {value:.4f} {against} (a tie)" in text
    inside.set_param("promote.min_improvement", 0.01)
    add_rows(inside, {"track_id": "little", "f1_score": value + 0.009}, {"track_id": "no-model", "model_hash": None})
    assert "little does not beat it by at least 0.01" in challenge()
    assert card(inside) == incumbent
    add_rows(inside, {"track_id": "better", "f1_score": value + 0.01, "model_hash": digest})
    assert f"better (e0.1.0) promoted — better: f1_score {value + 0.01:.4f} {against}" in challenge()
    add_rows(inside, {"track_id": "smaller", "f1_score": 0.1})
    assert "smaller (e0.1.0) promoted — better: f1_score 0.1000" in challenge("min")


def test_only_runs_on_the_present_test_data_take_part(inside: Project, said: list[str]) -> None:
    add_rows(inside, {"track_id": "elsewhere", "f1_score": 1.0, "test_hash": "0" * 32})
    promote_by_hand(None, None, None, None, None)
    assert "stays; there is no new model" in said[-1] and not any("elsewhere" in line for line in said)
    promote_by_hand(None, "elsewhere", None, None, None)
    assert ", measured on test data 7ffe0c, evaluation code " in said[-2] and card(inside)["track_id"] == "elsewhere"


def test_runs_that_failed_change_nothing(inside: Project) -> None:
    """Every run of a session failed: their rows have no metric and no model, and models/trained is empty."""
    before = card(inside)
    add_rows(inside, {"track_id": "failed", "f1_score": None, "model_hash": None})
    for path in (inside.path / "models/trained").iterdir():
        path.unlink()
    assert inside.script("promote_model").splitlines() == [
        f"production: {before['track_id']} stays; there is no new model with a value of f1_score"
    ]
    assert card(inside) == before and candidates(inside) == {before["track_id"]}
