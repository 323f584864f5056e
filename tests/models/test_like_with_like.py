"""The gate compares like with like: the same test data, the same `evaluate()`, and more than noise."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest
from baked_projects import Project, stages_run
from models_project import card, md5, models, rows

pytestmark = pytest.mark.slow


@pytest.fixture
def trained(weak_trained: Project) -> Project:
    """Another batch makes a better model, C=5 a worse one, and C=50 a bad one."""
    return weak_trained


def change(project: Project, name: str, old: str, new: str) -> None:
    path = project.path / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def newest(project: Project) -> dict[str, Any]:
    return rows(project)[-1]


def gate(printed: str) -> str:
    """What the gate said of production."""
    [line] = [line for line in printed.splitlines() if line.startswith("production: ")]
    return line


def explore(project: Project, *words: str) -> Any:
    done = project.run("python", "scripts/experiment_explorer.py", *words, "--format", "json")
    return json.loads(done.stdout)


def test_a_changed_evaluate_does_not_promote_a_worse_model(trained: Project) -> None:
    """The metric is 0.3 more now, whichever model it is: the incumbent is measured again."""
    first = card(trained)
    old = first["metrics"]["f1_score"]
    change(trained, "experiment.py", '"f1_score": float(', '"f1_score": 0.3 + float(')
    trained.set_param("model.C", 5.0)
    said = trained.repro()
    worse = newest(trained)
    assert worse["f1_score"] > old, "the numbers alone would promote it"
    assert worse["evaluate_hash"] != first["evaluate_hash"] and worse["test_hash"] == first["test_hash"]
    against = f"f1_score {worse['f1_score']:.4f} against {old + 0.3:.4f} of {first['track_id']} (e0.1.0)"
    assert gate(said) == f"production: {first['track_id']} stays; {worse['track_id']} does not beat it: {against}"
    assert md5(trained.path / "models/production/model.bin") == first["model_hash"]
    assert card(trained)["compared"] == sorted([first["track_id"], worse["track_id"]])

    # what was measured otherwise is listed apart, in every form, and not drawn
    listed = trained.run("python", "scripts/experiment_explorer.py", "list")
    above, below = listed.stdout.split("\nnot ranked, since measured on test data ")
    assert worse["track_id"] in above and first["track_id"] not in above
    conditions = f"{first['test_hash'][:6]}, evaluation code {first['evaluate_hash'][:6]}"
    assert below.startswith(f"{conditions}:\n") and first["track_id"] in below
    columns = "track_id,f1_score,test,evaluate,data,duration_seconds,seeds"
    listed = trained.run("python", "scripts/experiment_explorer.py", "list", "--columns", columns, "--format", "json")
    assert listed.stderr == f"warning: the last 1 runs are not ranked, since measured on test data {conditions}\n"
    assert json.loads(listed.stdout)[1] == {
        "track_id": first["track_id"],
        "f1_score": old,
        "test": first["test_hash"][:6],
        "evaluate": first["evaluate_hash"][:6],
        "data": first["data_hash"][:6],
        "duration_seconds": rows(trained)[0]["duration_seconds"],
        "seeds": f"{old:.4f} (1)",
    }
    problem = trained.script("experiment_explorer", "list", "--columns", "f1", code=2)
    assert "'f1' is not a column of the leaderboard; it has: f1_score" in problem


def test_a_comment_in_evaluate_changes_nothing(trained: Project) -> None:
    first = card(trained)
    change(trained, "experiment.py", "    predicted = scores", "    # of each class\n    predicted = scores")
    said = trained.repro()
    again = newest(trained)
    assert again["evaluate_hash"] == first["evaluate_hash"] and again["model_hash"] == first["model_hash"]
    assert f"stays; {again['track_id']} does not beat it" in said and "(a tie)" in said


def test_any_model_can_be_measured_again_and_nothing_changes(trained: Project) -> None:
    first = rows(trained)[0]
    change(trained, "experiment.py", '"f1_score": float(', '"f1_score": 0.3 + float(')
    before = {path: md5(path) for path in trained.path.rglob("*") if path.is_file() and ".git" not in path.parts}
    expected = {"f1_score": first["f1_score"] + 0.3, "accuracy": first["accuracy"], "log_loss": first["log_loss"]}
    for words in ((), ("--version", "e0.1.0"), ("--run-id", first["track_id"])):
        found = {row["name"]: row for row in explore(trained, "evaluate", *words)}
        for name, value in expected.items():
            assert found[name]["recorded"] == first[name], name
            assert found[name]["now"] == pytest.approx(value), name
        assert found["evaluate_hash"]["recorded"] == first["evaluate_hash"] != found["evaluate_hash"]["now"]
        assert found["test_hash"]["recorded"] == found["test_hash"]["now"] == first["test_hash"]
    assert "give either --run-id or --version" in trained.script(
        "experiment_explorer", "evaluate", "--version", "e0.1.0", "--run-id", "x", code=2
    )
    after = {path: md5(path) for path in trained.path.rglob("*") if path.is_file() and ".git" not in path.parts}
    assert after == before


def test_a_candidate_that_was_brought_home_challenges_once(trained: Project, tmp_path: Path) -> None:
    """A colleague's better model comes by `git merge` of their branch; the gate says against whom it was compared."""
    first = card(trained)
    trained.script("setup_project")
    trained.git("switch", "--quiet", "--create", "theirs")
    trained.drop_batch(2)
    trained.set_param("experiment.version", "e0.2.0")
    trained.set_param("promote.pinned", True)
    assert f"{first['track_id']} stays; promote.pinned holds it" in trained.repro()
    theirs = newest(trained)
    assert card(trained) == first and theirs["f1_score"] > first["metrics"]["f1_score"]
    trained.set_param("promote.pinned", False)
    trained.commit("theirs")

    trained.git("switch", "--quiet", "main")
    trained.dvc("checkout")
    trained.set_param("model.C", 50.0)
    trained.repro()
    ours = newest(trained)
    trained.set_param("model.C", 1.0)
    trained.commit("ours")
    trained.git("merge", "--quiet", "--no-edit", "--strategy-option", "theirs", "theirs")
    trained.dvc("checkout")
    said = trained.repro("--single-item", "promote_model")
    assert gate(said).startswith(
        f"production: {theirs['track_id']} (e0.2.0) promoted — better: f1_score {theirs['f1_score']:.4f} against "
        f"{first['metrics']['f1_score']:.4f} of {first['track_id']} (e0.1.0), a gain between +0.0"
    )
    assert card(trained)["model_hash"] == theirs["model_hash"]
    assert {first["track_id"], ours["track_id"]} <= set(card(trained)["compared"])
    said = trained.repro("--single-item", "--force", "promote_model")
    assert gate(said) == f"production: {theirs['track_id']} stays; there is no new model with a value of f1_score"


def test_a_model_put_there_by_hand_gives_way_to_a_better_one_only(trained: Project) -> None:
    first = card(trained)
    trained.drop_batch(2)
    trained.set_param("experiment.version", "e0.2.0")
    trained.repro()
    second = card(trained)
    assert second["track_id"] != first["track_id"] and not second["by_hand"]
    trained.commit("second")
    models(trained, "promote", "--version", "e0.1.0")
    assert card(trained)["by_hand"] and card(trained)["track_id"] == first["track_id"]
    trained.commit("back")
    assert stages_run(trained.repro("promote_model")) == []
    said = trained.repro("--single-item", "--force", "promote_model")
    assert "there is no new model" in gate(said), "the second, a candidate, does not come back by itself"

    trained.set_param("model.C", 50.0)
    said = trained.repro()
    by_hand = f"{first['track_id']} was put there by hand: a better model replaces it (promote.pinned: true holds it)"
    assert by_hand in said and "does not beat it" in gate(said)
    trained.set_param("promote.pinned", True)
    trained.set_param("model.C", 1.0)
    said = trained.repro()
    assert gate(said) == f"production: {first['track_id']} stays; promote.pinned holds it" and by_hand not in said
    trained.set_param("promote.pinned", False)
    said = trained.repro()
    assert stages_run(said) == ["promote_model"] and by_hand in said
    assert f"{newest(trained)['track_id']} (e0.2.0) promoted — better" in gate(said)


def interval(line: str) -> tuple[float, float]:
    """The ends of the gain's interval, as the gate says it."""
    low, high = line.split("between ")[1].split(" at 95%")[0].split(" and ")
    return float(low), float(high)


def test_the_best_of_a_sweep_needs_a_larger_gain_than_a_run_alone(light_trained: Project) -> None:
    """It is better by chance more often; nothing but the number of challengers differs here."""
    project = light_trained
    project.set_param("model.C", 0.1)
    alone = gate(project.repro())
    one = newest(project)
    widths = []
    for challengers, values in (
        ("", []),
        (" for the best of 2", [0.1, 5.0]),
        (" for the best of 4", [0.1, 5.0, 8.0, 9.0]),
    ):
        if values:
            project.set_param("sweep.grid", {"model.C": values})
            alone = gate(project.repro())
        assert f"f1_score {one['f1_score']:.4f} against " in alone and alone.endswith(f" at 95%{challengers}"), alone
        low, high = interval(alone)
        assert (low + high) / 2 == pytest.approx(one["f1_score"] - card(project)["metrics"]["f1_score"], abs=1e-4)
        widths.append(high - low)
    wanted = [NormalDist().inv_cdf(1 - 0.025 / challengers) for challengers in (1, 2, 4)]
    assert [width / widths[0] for width in widths] == pytest.approx([each / wanted[0] for each in wanted], rel=0.02)


def test_a_gain_that_may_be_noise_does_not_promote(light_trained: Project) -> None:
    trained = light_trained
    first = card(trained)
    trained.set_param("model.C", 0.1)
    said = trained.repro()
    new = newest(trained)
    assert new["f1_score"] > first["metrics"]["f1_score"]
    comparison = f"f1_score {new['f1_score']:.4f} against {first['metrics']['f1_score']:.4f} of {first['track_id']}"
    line = gate(said)
    assert f"{first['track_id']} stays; {new['track_id']} is within noise: {comparison} (e0.1.0), a gain" in line
    low, high = interval(line)
    assert low < 0 < new["f1_score"] - first["metrics"]["f1_score"] < high
    assert new["track_id"] in {path.name[:24] for path in (trained.path / "models/candidates").iterdir()}
    assert trained.repro("--single-item", "--force", "promote_model").count("is within noise") == 0, "asked once"

    trained.set_param("promote.confidence", None)
    assert f"{new['track_id']} (e0.1.0) promoted — better: {comparison}" in gate(trained.repro())


def test_a_metric_that_does_not_follow_from_predictions_is_said(trained: Project) -> None:
    trained.set_param("promote.metric", "log_loss")
    trained.set_param("promote.mode", "min")
    trained.drop_batch(2)
    said = trained.repro()
    assert (
        "promote.confidence is not applied, as log_loss does not follow from predictions (KeyError: 'log_loss');"
        " define score(predictions) in experiment.py, see docs/models.md" in said
    )
    assert " promoted — better: log_loss" in gate(said) and "a gain" not in gate(said)
