"""A search: Optuna draws the params of runs, one by one; each is a run like any other."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
import yaml
from baked_projects import Project, copy_project, stages_run
from models_project import card
from optuna.distributions import BaseDistribution, FloatDistribution
from toy_runs import UNFINISHED, contents, databases, new_rows, rows, start, toy
from waiting import wait_for

from lineage.core.errors import BadInput
from lineage.extras.search.space import ALLOWED, read_space

SPACE = {
    "model.x": {"low": 0.01, "high": 100, "log": True},
    "model.depth": {"low": 2, "high": 8},
    "model.rate": {"low": 0, "high": 1, "step": 0.25},
    "model.kind": ["a", None, [1, 2]],
}
MODEL = {"x": 1.0, "depth": 3, "rate": 0.5, "kind": "a"}
SCORE = "metrics['f1_score'] = -abs(x - 3.0)"
"""What a search over x has to find: 3."""


@pytest.fixture
def project(light_original: Project, tmp_path: Path) -> Project:
    return copy_project(light_original, tmp_path)


def search(project: Project, trials: int, body: str = "pass", **settings: Any) -> Project:
    """Give the project the toy, and a search over all its params, whose best x is 3."""
    toy(project, body, SCORE)
    project.set_param("model", MODEL)
    project.set_param("sweep.search", {"trials": trials, "space": SPACE, **settings})
    return project


def drawn(project: Project, folder: str = "results/runs") -> list[tuple[Any, ...]]:
    """What the trials drew, in the order in which they ended."""
    found = sorted(new_rows(project, folder), key=lambda row: row["timestamp"])
    return [(row["model_x"], row["model_depth"], row["model_rate"], row["model_kind"]) for row in found]


def xs(project: Project) -> list[float]:
    return [x for x, *_ in drawn(project)]


def test_trials_are_runs_whose_params_come_from_the_space_and_are_the_same_for_the_same_seed(
    project: Project, tmp_path: Path
) -> None:
    other = copy_project(project, tmp_path / "other")
    search(project, 14).set_param("sweep.jobs", 1)
    output = project.script("train")
    assert "[14/14]" in output and "warning" not in output
    found = new_rows(project)
    assert len(found) == len({row["run_hash"] for row in found}) == 14 and {row["status"] for row in found} == {"ok"}
    assert len(list((project.path / "models/trained").iterdir())) == 14
    for row in found:
        assert 0.01 <= row["model_x"] <= 100 and isinstance(row["model_x"], float)
        assert row["model_depth"] in range(2, 9) and isinstance(row["model_depth"], int)
        assert row["model_rate"] in (0.0, 0.25, 0.5, 0.75, 1.0)
        assert row["f1_score"] == -abs(row["model_x"] - 3)
    assert {row["model_kind"] for row in found} == {"a", None, "[1, 2]"}
    assert min(xs(project)) < 1 < 10 < max(xs(project)), "log: as many below 1 as above"

    search(other, 14).set_param("sweep.jobs", 1)
    other.script("train")
    assert drawn(other) == drawn(project)
    for settings in ({"seed": 1}, {"sampler": "random"}):
        search(other, 12, **settings).set_param("sweep.jobs", 1)
        other.script("train")
        assert drawn(other) != drawn(project)[:12], settings


@pytest.mark.parametrize(("mode", "sampler"), [("max", "tpe"), ("min", "tpe"), ("max", "random")])
def test_trials_are_those_that_optuna_draws_when_it_is_told_what_came_out(
    project: Project, mode: str, sampler: str
) -> None:
    search(project, 16, space={"model.x": SPACE["model.x"]}, sampler=sampler).set_param("sweep.jobs", 1)
    project.set_param("promote.mode", mode)
    project.script("train")
    assert_drawn_by_optuna(project, lambda x: -abs(x - 3.0), mode, sampler)


def assert_drawn_by_optuna(
    project: Project, told: Callable[[float], float], mode: str = "max", sampler: str = "tpe"
) -> None:
    """Ask Optuna itself for each x, with the seed of the trial, and tell it what comes of it."""
    kinds = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
    study = optuna.create_study(direction={"max": "maximize", "min": "minimize"}[mode])
    space: dict[str, BaseDistribution] = {"x": FloatDistribution(0.01, 100, log=True)}
    for number, x in enumerate(xs(project)):
        seed = np.random.SeedSequence([0, number]).generate_state(1)[0]
        study.sampler = kinds[sampler](seed=int(seed))
        trial = study.ask(space)
        assert trial.params["x"] == x, f"trial {number}"
        study.tell(trial, told(x))


@pytest.mark.parametrize(("sampler", "alike"), [("random", 14), ("tpe", 10)])
def test_trials_that_no_outcome_decides_are_the_same_with_one_job_and_with_three(
    project: Project, tmp_path: Path, sampler: str, alike: int
) -> None:
    """All of `random`, and the first ten of `tpe`."""
    found = []
    for jobs in (1, 3):
        each = copy_project(project, tmp_path / str(jobs))
        search(each, 14, "time.sleep(0.05)", sampler=sampler).set_param("sweep.jobs", jobs)
        each.script("train")
        [journal] = (each.path / UNFINISHED).glob("search-*.json")
        trials = json.loads(journal.read_text())
        assert len(trials) == len(new_rows(each)) == 14
        assert sorted(trial["model.x"] for trial in trials) == sorted(xs(each))
        found.append(trials[:alike])
    assert found[0] == found[1]


def test_a_search_is_led_by_the_validation_side_where_the_test_set_says_the_opposite(project: Project) -> None:
    search(project, 20, space={"model.x": SPACE["model.x"]}).set_param("sweep.jobs", 1)
    toy(project, measure=f"{SCORE}\nmetrics['val_f1_score'] = -abs(x - 50.0)")
    project.set_param("model", MODEL)
    printed = project.script("train")
    assert "on the test data itself" not in printed
    assert_drawn_by_optuna(project, lambda x: -abs(x - 50.0))
    assert sum(x > 20 for x in xs(project)[10:]) > sum(x < 10 for x in xs(project)[10:]), "around 50, not around 3"


@pytest.mark.slow
def test_a_poisoned_test_set_leads_a_search_nowhere_else(fresh: Project, tmp_path: Path) -> None:
    """The same trials, the same journal, the same model in production; the validation rows are training rows."""
    poisoned = copy_project(fresh, tmp_path / "poisoned")
    file = poisoned.path / "data/test.parquet"
    test = pd.read_parquet(file)
    file.unlink()
    test.assign(label=test["label"].to_numpy()[::-1]).to_parquet(file, index=False)
    found = []
    for each in (fresh, poisoned):
        search(each, 12, space={"model.x": SPACE["model.x"]}).set_param("sweep.jobs", 1)
        toy(each, measure="metrics['f1_score'] = -abs(x - test['label'].head(30).sum() / 10)")
        each.set_param("model", MODEL)
        each.set_param("validation.fraction", 0.2)
        each.repro()
        [journal] = (each.path / UNFINISHED).glob("search-*.json")
        produced = card(each)
        [chosen] = [row for row in new_rows(each) if row["track_id"] == produced["track_id"]]
        best = max(new_rows(each), key=lambda row: row["val_f1_score"])
        assert chosen["model_x"] == best["model_x"]
        found.append((journal.read_text(), xs(each), chosen["model_x"], {row["f1_score"] for row in new_rows(each)}))
    clean, spoiled = found
    assert clean[:3] == spoiled[:3] and not clean[3] & spoiled[3], "the test metrics are others, and nothing else is"


def test_a_search_that_was_killed_ends_as_if_it_had_not_been(project: Project, tmp_path: Path) -> None:
    """With one job, trial by trial."""
    other = copy_project(project, tmp_path / "other")
    slow = "Path(f'began-{x}').touch()\nif Path('slow').exists() and len(list(Path().glob('began-*'))) > 12:\n    time.sleep(60)"
    for each in (project, other):
        search(each, 16, slow).set_param("sweep.jobs", 1)
    other.script("train")
    (project.path / "slow").touch()
    running = start(project)
    wait_for(lambda: len(list(project.path.glob("began-*"))) == 13)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    ended = drawn(project, UNFINISHED)
    assert ended == drawn(other)[:12]
    (project.path / "slow").unlink()
    output = project.script("train")
    assert output.startswith("12 of 16 runs are there already, from a session that did not end\n[1/4] ")
    assert sorted(drawn(project), key=str) == sorted(drawn(other), key=str)
    assert len(list(project.path.glob("began-*"))) == 16, "what was killed was done again, and nothing else"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_search_on_all_cores_that_was_killed_loses_no_trial_and_repeats_none(
    project: Project, how: signal.Signals
) -> None:
    slow = (
        "with open('began', 'a') as file:\n    file.write(f'{x}\\n')\n"
        "if Path('slow').exists() and len(Path('began').read_text().splitlines()) > 13:\n    time.sleep(60)"
    )
    search(project, 20, slow).set_param("sweep.jobs", 3)
    (project.path / "slow").touch()
    running = start(project)

    def begun() -> list[str]:
        return (project.path / "began").read_text().splitlines() if (project.path / "began").exists() else []

    wait_for(lambda: len(begun()) >= 16 and len(new_rows(project, UNFINISHED)) == len(begun()) - 3)
    running.send_signal(how)
    running.communicate()
    done = {row["track_id"] for row in new_rows(project, UNFINISHED)}
    ended = {str(row["model_x"]) for row in new_rows(project, UNFINISHED)}
    interrupted = set(begun()) - ended
    before = contents(project, UNFINISHED, done)
    assert len(done) == 13 and len(interrupted) == 3
    (project.path / "slow").unlink()
    output = project.script("train")
    assert output.startswith("13 of 20 runs are there already")
    found = {str(row["model_x"]) for row in new_rows(project)}
    assert found > ended | interrupted and len(found) == len(databases(project)) == 20
    assert contents(project, "results/runs", done) == before
    again = begun()[16:]
    assert len(again) == 7 and set(again) >= interrupted and not ended & set(again)
    assert len(json.loads(next((project.path / UNFINISHED).glob("search-*.json")).read_text())) == 20


def test_a_failed_trial_is_recorded_and_the_search_goes_on(project: Project) -> None:
    body = "if x > 10 and not Path('mended').exists():\n    raise ValueError('too large')"
    search(project, 12, body).set_param("sweep.jobs", 2)
    output = project.script("train", code=1)
    failed = [row for row in new_rows(project, UNFINISHED) if row["status"] == "failed"]
    assert f"error: {len(failed)} of 12 runs failed:" in output and 1 <= len(failed) < 8
    assert all(row["model_x"] > 10 and "too large" in row["error"] for row in failed)
    project.set_param("sweep.on_error", "keep")
    (project.path / "mended").touch()
    output = project.script("train")
    assert output.startswith(f"{12 - len(failed)} of 12 runs are there already")
    found = new_rows(project)
    assert len(found) == 12 and {row["status"] for row in found} == {"ok"}
    assert {row["model_x"] for row in found} >= {row["model_x"] for row in failed}, "they were done again as drawn"


def test_runs_of_the_sweep_come_first_and_those_in_the_space_teach_the_search(project: Project) -> None:
    search(project, 6, space={"model.x": SPACE["model.x"], "model.kind": ["a", "b"]})
    project.set_param("sweep.jobs", 1)
    project.set_param("sweep.grid", {"model.x": [2.0, 500.0], "model.kind": ["b"]})
    project.set_param("sweep.runs", [{"model.depth": 5}])
    output = project.script("train")
    assert "[9/9]" in output
    found = drawn(project)
    assert found[:3] == [(2.0, 3, 0.5, "b"), (500.0, 3, 0.5, "b"), (1.0, 5, 0.5, "a")]
    [journal] = (project.path / UNFINISHED).glob("search-*.json")
    known = json.loads(journal.read_text())
    assert known[0] == {"model.x": 2.0, "model.kind": 1} and len(known) == 7, "500 and depth are outside of it"
    assert [(one["model.x"], "ab"[one["model.kind"]]) for one in known[1:]] == [(x, kind) for x, *_, kind in found[3:]]


def test_a_point_that_is_drawn_again_is_not_done_again(project: Project) -> None:
    search(project, 20, space={"model.kind": ["a", "b"], "model.depth": {"low": 1, "high": 2}})
    output = project.script("train")
    assert "warning: the 20 runs of this search are 4 different ones; equal ones are done once" in output
    assert len(set(drawn(project))) == len(databases(project)) == 4


def test_a_search_is_tried_from_the_command_line_of_dvc(project: Project) -> None:
    output = project.dvc("exp", "run", "--name", "searched", "-S", "sweep.search.trials=5")
    assert "[5/5]" in output and "merge metrics: +5 ~0 =0" in output
    found = rows(project.path / "results/experiments.db", "SELECT * FROM metrics ORDER BY timestamp")[1:]
    assert len({row["model_C"] for row in found}) == 5
    assert all(0.001 <= row["model_C"] <= 100 and row["f1_score"] > 0.5 for row in found)
    assert "trials: 5 " in (project.path / "params.yaml").read_text()
    assert stages_run(project.repro()) == []


PLACE = "params.yaml: sweep.search"
MISTAKES = {
    "trials": ({"trials": -1}, f"{PLACE}.trials: -1 is not allowed: input should be greater than or equal to 0"),
    "sampler": ({"sampler": "grid"}, f"{PLACE}.sampler: 'grid' is not allowed; allowed: 'tpe' or 'random'"),
    "key": (
        {"samplr": "tpe"},
        f"{PLACE}.samplr is not a known key (did you mean sampler?); allowed here: trials, sampler, seed, space",
    ),
    "param": (
        {"space": {"model.y": [1]}},
        f"{PLACE}.space: 'model.y' is not a param; allowed: model.x, model.depth, model.rate, model.kind",
    ),
    "no space": ({"space": {}}, f"{PLACE}.space: {{}} is not allowed; allowed: values by key of model"),
    "no values": ({"space": {"model.x": []}}, f"{PLACE}.space.model.x: [] is not allowed; allowed: {ALLOWED}"),
}


@pytest.fixture(scope="module")
def unchanging(light_original: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return copy_project(light_original, tmp_path_factory.mktemp("mistakes"))


@pytest.mark.parametrize(("settings", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_in_a_search_are_explained(unchanging: Project, settings: dict[str, Any], message: str) -> None:
    search(unchanging, 3)
    unchanging.set_param("sweep.search", {"trials": 3, "space": SPACE, **settings})
    assert unchanging.script("train", code=2) == f"error: {message}\n"
    assert new_rows(unchanging) == [] and new_rows(unchanging, UNFINISHED) == []


WRONG = {
    "low above high": {"low": 3, "high": 1},
    "nothing between": {"low": 1, "high": 1.0},
    "log of zero": {"low": 0, "high": 1, "log": True},
    "log as text": {"low": 1, "high": 2, "log": "yes"},
    "no step": {"low": 1, "high": 2, "step": 0},
    "log and step": {"low": 1, "high": 2, "log": True, "step": 1},
    "text": {"low": "0.1", "high": 2},
    "one end": {"low": 1},
    "another key": {"low": 1, "high": 2, "size": 1},
    "one value": 3,
}


def test_every_range_that_cannot_be_drawn_from_is_named() -> None:
    with pytest.raises(BadInput) as caught:
        read_space({**SPACE, **WRONG})
    assert str(caught.value).splitlines() == [
        f"{PLACE}.space.{key}: {values!r} is not allowed; allowed: {ALLOWED}" for key, values in WRONG.items()
    ]


def test_keys_of_a_space_do_not_matter_without_trials(project: Project) -> None:
    """So another model can be tried although the sample's space stands in params.yaml."""
    toy(project)
    assert list(yaml.safe_load((project.path / "params.yaml").read_text())["sweep"]["search"]["space"]) == ["model.C"]
    assert "[1/1]" in project.script("train")
