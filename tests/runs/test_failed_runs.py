"""Runs that fail: each is recorded with its reason, and costs no other run anything."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from baked_projects import Project, copy_project, stages_run
from toy_runs import UNFINISHED, databases, left_of, new_rows, rows, toy


@pytest.fixture
def project(trained_original: Project, tmp_path: Path) -> Project:
    return copy_project(trained_original, tmp_path)


def test_a_failed_run_is_recorded_with_its_error_and_the_others_finish(project: Project) -> None:
    toy(project, "if x == 2:\n    raise RuntimeError('no memory')", xs=[1, 2, 3])
    before = [path.name for path in databases(project)]
    output = project.script("train", code=1)
    [failed] = [row for row in new_rows(project, UNFINISHED) if row["status"] == "failed"]
    line = (project.path / "experiment.py").read_text().splitlines().index(
        "        raise RuntimeError('no memory')"
    ) + 1
    error = f"RuntimeError: no memory (experiment.py, line {line})"
    assert output.endswith(
        f"error: 1 of 3 runs failed:\n  {failed['track_id']}  model.x=2: {error}\n"
        "  → python scripts/train.py --debug   # shows where\n"
        "  → dvc repro   # when the cause is mended: does what is missing\n"
    )
    assert failed["error"] == error and failed["model_x"] == 2 and failed["model_hash"] is None
    assert sorted(
        (row["model_x"], row["status"], row["error"]) for row in new_rows(project, UNFINISHED) if row != failed
    ) == [
        (1, "ok", None),
        (3, "ok", None),
    ]
    assert failed["predictions_hash"] is None
    assert left_of(project, failed) == [f"{failed['track_id']}.db"]
    assert before == [path.name for path in databases(project)], "the outputs of a stage that fails stay as they were"
    traceback = project.script("train", "--debug", code=1)
    assert "Traceback" in traceback and traceback.endswith("RuntimeError: no memory\n")


def test_on_error_keep_goes_on_with_the_runs_that_did_not_fail(project: Project) -> None:
    toy(project, "if x == 2:\n    raise RuntimeError('no memory')", "metrics['f1_score'] = 0.9 + x / 40", [1, 2, 3])
    project.set_param("sweep.on_error", "keep")
    output = project.repro()
    assert (
        stages_run(output) == ["train", "merge_results", "promote_model"] and "warning: 1 of 3 runs failed:" in output
    )
    found = rows(project.path / "results/experiments.db", "SELECT * FROM metrics ORDER BY f1_score DESC, timestamp")
    assert [(row["model_x"], row["status"]) for row in found] == [(3, "ok"), (None, "ok"), (1, "ok"), (2, "failed")]
    assert found[-1]["error"].startswith("RuntimeError: no memory") and found[-1]["f1_score"] is None
    listed = json.loads(project.run("python", "scripts/experiment_explorer.py", "list", "--format", "json").stdout)
    ranked = [row for row in listed if row["model_x"] is not None]  # the run of the sample was measured by other code
    assert ranked[-1]["f1_score"] is None and ranked[0]["model_x"] == 3 and listed[:3] == ranked
    assert json.loads((project.path / "results/metrics.json").read_text())["f1_score"] == 0.975
    assert len(list((project.path / "models/trained").iterdir())) == 2
    assert stages_run(project.repro()) == []

    toy(project, "raise RuntimeError('no memory')", xs=[1, 2])
    assert "error: 2 of 2 runs failed: RuntimeError: no memory (experiment.py, line" in project.repro(code=255), (
        "nothing is left to go on with"
    )


def test_a_killed_worker_costs_its_own_run_a_second_try_and_no_other_run_anything(project: Project) -> None:
    kill = "os.kill(os.getpid(), signal.SIGKILL)"
    once = f"if x == 1 and not Path('tried').exists():\n    Path('tried').touch()\n    {kill}\nif x == 2:\n    {kill}"
    toy(project, f"{once}\nif x == 3:\n    os._exit(7)", xs=[1, 2, 3, 4, 5, 6])
    output = project.script("train", code=1)
    found = {row["model_x"]: row for row in new_rows(project, UNFINISHED)}
    assert {x: row["status"] for x, row in found.items()} == {
        **dict.fromkeys([1, 4, 5, 6], "ok"),
        2: "failed",
        3: "failed",
    }
    question = "is there memory for sweep.jobs runs at a time?"
    assert found[2]["error"] == f"its process died twice (SIGKILL(-9)); {question}"
    assert found[3]["error"] == f"its process died twice (EXIT(7)); {question}"
    assert "error: 2 of 6 runs failed:" in output and "Traceback" not in output
    assert not [path for path in (project.path / UNFINISHED).rglob("*") if path.name.startswith(".")]


UNUSABLE = {
    "name with a dot": ("metrics['val.acc'] = 1.0", "'val.acc' cannot be a column of metrics"),
    "name that every row has": ("metrics['error'] = 1.0", "'error' and 'error' would be one column of metrics"),
    "name that is a number": ("metrics[1] = 1.0", "'1' cannot be a column of metrics"),
    "column that every file of predictions has": (
        "return metrics, pd.DataFrame({'Track_ID': [1]})",
        "'track_id' and 'Track_ID' would be one column of predictions",
    ),
    "predictions of text that is none": (
        "return metrics, pd.DataFrame({'predicted': [chr(0xd800)]})",
        "UnicodeEncodeError",
    ),
    "no metrics": ("return None", "TypeError: cannot unpack non-iterable NoneType object"),
}


@pytest.mark.parametrize(("measure", "message"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_what_cannot_be_recorded_fails_the_run_with_its_reason(project: Project, measure: str, message: str) -> None:
    toy(project, measure=measure)
    output = project.script("train", code=1)
    assert message in output and "Traceback" not in output
    [row] = new_rows(project, UNFINISHED)
    assert row["status"] == "failed" and message in row["error"]
    assert left_of(project, row) == [f"{row['track_id']}.db"]


def test_empty_data_and_a_test_set_with_other_columns(project: Project) -> None:
    toy(project, measure="test['label2']")
    test = project.path / "data/test.parquet"
    frame = pd.read_parquet(test)
    test.unlink()
    frame.drop(columns=["pixel_63"]).assign(label2=1).drop(columns=["label"]).to_parquet(test)
    output = project.script("train", code=1)
    assert re.search(
        r"KeyError: 'label' \(experiment.py, line \d+\); only one of training and test data has label, label2, pixel_63\n",
        output,
    )
    test.unlink()
    frame[:0].to_parquet(test)
    assert "data/test.parquet has no rows" in project.script("train", code=1)
    train = project.path / "data/train.parquet"
    train.unlink()
    frame[:0].to_parquet(train)
    assert "data/train.parquet has no rows" in project.script("train", code=1)
