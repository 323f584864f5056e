"""A run speaks: it logs events, keeps files, and goes on from its checkpoint after a kill."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from conftest import Project, copy_project
from toy_runs import UNFINISHED, new_rows, rows, start, toy, wait_for

EVENTS = "SELECT * FROM events ORDER BY track_id, timestamp"


def speaking(project: Project, body: str, measure: str = "pass", xs: list[Any] | None = None) -> Project:
    """Give the project a toy experiment whose functions take the run."""
    toy(project, body, measure, xs)
    path = project.path / "experiment.py"
    code = path.read_text().replace("(train, params)", "(train, params, run)")
    path.write_text(code.replace("(model, test)", "(model, test, run)"))
    return project


@pytest.fixture
def project(trained_original: Project, tmp_path: Path) -> Project:
    return copy_project(trained_original, tmp_path)


EPOCHS = """
state = run.checkpoint / "state.json"
begin = json.loads(state.read_text()) if state.exists() else 0
Path(f"began-{x}-{begin}-{run.track_id}").touch()
for epoch in range(begin, 10):
    run.log(step=epoch, loss=1 / (epoch + 1) + x)
    if x == 2 and epoch == 7 and begin == 0:
        Path(f"pid-{os.getpid()}").touch()
        time.sleep(60)
    if epoch % 5 == 4:
        part = state.with_suffix(".part")
        part.write_text(json.dumps(epoch + 1))
        part.replace(state)
run.artifact("notes/made.txt").write_text(f"by {run.seed} with {run.params['x']} on {run.device}")
"""


def test_a_killed_run_goes_on_from_its_checkpoint_under_its_id_and_its_curve_has_no_gap(project: Project) -> None:
    speaking(project, EPOCHS, "run.log(f1=0.5)", xs=[1, 2])
    running = start(project)
    wait_for(lambda: list(project.path.glob("pid-*")))
    running.send_signal(signal.SIGKILL)
    running.communicate()
    [pid] = [int(path.name.partition("-")[2]) for path in project.path.glob("pid-*")]
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), 10)
    [killed] = [path.name.partition("-0-")[2] for path in project.path.glob("began-2-0-*")]
    output = project.script("train")
    assert f"{killed} goes on from its checkpoint\n" in output
    assert (project.path / f"began-2-5-{killed}").exists()
    [row] = [row for row in new_rows(project) if row["model_x"] == 2]
    assert row["track_id"] == killed
    events = rows(project.path / f"results/runs/{killed}.db", EVENTS)
    assert [(event["step"], event["loss"], event["f1"]) for event in events] == [
        *[(epoch, 1 / (epoch + 1) + 2, None) for epoch in range(10)],
        (None, None, 0.5),
    ]
    assert {event["track_id"] for event in events} == {killed}
    assert len({event["timestamp"] for event in events}) == 11
    kept = project.path / f"models/trained/{killed}.artifacts/notes/made.txt"
    assert kept.read_text() == "by 0 with 2 on cpu"
    assert sorted(path.name for path in (project.path / UNFINISHED).iterdir()) == []
