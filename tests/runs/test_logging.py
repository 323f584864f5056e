"""What a run logs and keeps, without a pipeline: names, values, times, places."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_runs import rows

from lineage.core.errors import BadInput
from lineage.extras.tracking.active_run import ActiveRun
from lineage.extras.tracking.events import newest_values
from lineage.runs.run import Facts, Run
from lineage.runs.run_argument import call_with_run, logged_events
from lineage.runs.run_database import write_run


@pytest.fixture
def run(tmp_path: Path) -> ActiveRun:
    return ActiveRun(tmp_path / "run", "run-1", {"x": 1})


def recorded(run: ActiveRun, folder: Path) -> list[dict[str, Any]]:
    """The rows of `events` in the database of a run that ended."""
    database = folder / f"{run.track_id}.db"
    planned = Run(run.track_id, {}, {}, {}, Facts(version="e0.1.0"))
    write_run(database, planned, {"f1_score": 0.5}, logged_events(run.folder, run.track_id))
    return rows(database, "SELECT * FROM events ORDER BY timestamp")


def values(events: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [tuple(value for name, value in event.items() if name not in ("track_id", "timestamp")) for event in events]


def test_numbers_of_every_kind_become_real_and_what_was_not_logged_is_null(run: ActiveRun, tmp_path: Path) -> None:
    run.log(step=np.int64(1), loss=1, val_f1=np.float32(0.5))
    run.log(loss=float("nan"))
    run.log(step=2, loss=True, lr=None)
    events = recorded(run, tmp_path)
    assert list(events[0]) == ["step", "loss", "val_f1", "lr", "track_id", "timestamp"]
    assert values(events) == [(1, 1.0, 0.5, None), (None, None, None, None), (2, 1.0, None, None)]
    [table] = rows(tmp_path / "run-1.db", "SELECT sql FROM sqlite_master WHERE name = 'events' AND type = 'table'")
    assert "step INTEGER, loss REAL, val_f1 REAL, lr REAL" in table["sql"]
    assert "PRIMARY KEY (track_id, timestamp)" in table["sql"]


def test_a_number_is_recorded_as_it_was_logged(run: ActiveRun, tmp_path: Path) -> None:
    """Each has the digits that make it exact; torch's and numpy's scalars, and arrays of one number, are numbers."""
    numbers = [
        0.1 + 0.2,
        1e-310,
        5e-324,
        1.7976931348623157e308,
        -0.0,
        float("inf"),
        float("-inf"),
        2**53,
        Decimal("0.1"),
    ]
    arrays = [np.array([0.3]), np.array(0.3), np.float16(0.1), np.int8(-3), np.bool_(True)]
    for number in [*numbers, *arrays]:
        run.log(loss=number)
    found = [event["loss"] for event in recorded(run, tmp_path)]
    assert found == [float(number) for number in numbers] + [0.3, 0.3, float(np.float16(0.1)), -3.0, 1.0]
    assert [event["loss"] for event in run.events()] == found


def test_names_may_change_from_event_to_event(run: ActiveRun, tmp_path: Path) -> None:
    for step in range(3):
        run.log(step=step, loss=step / 2)
        run.log(step=step, val_f1=step / 4, loss=None)
    run.log(val_f1=1.0)
    assert newest_values([tmp_path / "run/events.csv"]) == "val_f1=1"
    assert values(recorded(run, tmp_path)) == [
        (0, 0.0, None),
        (0, None, 0.0),
        (1, 0.5, None),
        (1, None, 0.25),
        (2, 1.0, None),
        (2, None, 0.5),
        (None, None, 1.0),
    ]


@pytest.mark.parametrize("cut", ["", "an", "anew\n", "anew\ntimestamp,st", "anew\ntimestamp,step,loss\n", "17"])
def test_a_kill_between_two_writes_loses_only_what_was_not_written(run: ActiveRun, tmp_path: Path, cut: str) -> None:
    run.log(step=1, loss=0.5)
    with (tmp_path / "run/events.csv").open("a") as file:
        file.write(cut)
    shown = newest_values([tmp_path / "run/events.csv"])
    assert shown == ("" if cut else "step=1, loss=0.5"), "nothing until the run logs again"
    again = ActiveRun(tmp_path / "run", "run-1", {"x": 1})
    assert [event["step"] for event in again.events()] == [1]
    again.log(step=2, loss=0.25)
    assert newest_values([tmp_path / "run/events.csv"]) == "step=2, loss=0.25"
    assert values(recorded(again, tmp_path)) == [(1, 0.5), (2, 0.25)]


def test_xetracks_own_reader_reads_the_events(run: ActiveRun, tmp_path: Path) -> None:
    from xetrack import Reader

    for step in range(3):
        run.log(step=step, loss=step / 2)
    recorded(run, tmp_path)
    frame = Reader(str(tmp_path / "run-1.db"), table="events").to_df()
    assert frame[["track_id", "step", "loss"]].values.tolist() == [
        ["run-1", 0, 0.0],
        ["run-1", 1, 0.5],
        ["run-1", 2, 1.0],
    ]


@pytest.mark.parametrize(
    ("logged", "message"),
    [
        ({"loss": "low"}, "metric 'loss' is 'low', not a number\n  → log numbers only; run.artifact() keeps any file"),
        ({"loss": 10**400}, "metric 'loss' is 1000"),
        ({"val loss": 1.0}, "'val loss' cannot be a column of events"),
        ({"select": 1.0}, "'select' cannot be a column of events"),
        ({"n_events": 1.0}, "'n_events' cannot be a column of events"),
        ({"track_id": 1.0}, "'track_id' and 'track_id' would be one column of events"),
        ({"Loss": 1.0}, "'loss' and 'Loss' would be one column of events"),
        ({"model_C": 1.0}, "metric 'model_C' would look like a param"),
    ],
)
def test_a_name_or_a_value_that_no_table_can_hold_is_refused_where_it_is_logged(
    run: ActiveRun, tmp_path: Path, logged: dict[str, Any], message: str
) -> None:
    run.log(loss=1.0)
    with pytest.raises(BadInput) as error:
        run.log(**logged)
    assert message in str(error.value)
    assert values(recorded(run, tmp_path)) == [(None, 1.0)], "nothing of it was logged"


def test_events_of_one_moment_and_of_a_clock_that_went_back_are_all_kept_in_order(
    run: ActiveRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, moment in enumerate([1e9, 1e9, 1e9 - 3600, 1e9 + 1]):
        monkeypatch.setattr("time.time", lambda moment=moment: moment)
        run.log(step=number, loss=0.0)
    events = recorded(run, tmp_path)
    assert [event["step"] for event in events] == [0, 1, 2, 3]
    assert [event["timestamp"][-9:] for event in events] == ["40.000000", "40.000001", "40.000002", "41.000000"]


def test_a_run_that_goes_on_after_a_kill_has_each_step_once(run: ActiveRun, tmp_path: Path) -> None:
    for step in range(6):
        run.log(step=step, loss=float(step))
        run.log(loss=-1.0)
    run.log(step=0, threshold=0.5)
    with (tmp_path / "run/events.csv").open("ab") as file:
        file.write(b"1764213000.5,6,0.1")  # killed in the middle of a line, which would be 0.12
    again = ActiveRun(tmp_path / "run", "run-1", {"x": 1})
    for step in range(4, 8):
        again.log(step=step, loss=step + 0.5)
    events = recorded(again, tmp_path)
    curve = [
        (event["step"], event["loss"]) for event in events if event["step"] is not None and event["loss"] is not None
    ]
    assert curve == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4.5), (5, 5.5), (6, 6.5), (7, 7.5)]
    assert [event["threshold"] for event in events].count(0.5) == 1, "another curve, which has not come again"
    assert [event["loss"] for event in events].count(-1.0) == 6


@pytest.mark.parametrize("name", ["../stolen.txt", "/tmp/stolen.txt", "a/../../stolen.txt", ".", ""])
def test_an_artifact_that_would_lie_elsewhere_is_refused(run: ActiveRun, tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="is not inside the folder of the run's artifacts"):
        run.artifact(name)
    assert not (tmp_path / "run").exists()


def test_a_run_that_does_nothing_with_it_leaves_nothing(run: ActiveRun, tmp_path: Path) -> None:
    assert logged_events(run.folder, run.track_id) is None
    assert (run.params, run.seed, run.validation, run.events()) == ({"x": 1}, 0, None, [])
    assert logged_events(run.folder, run.track_id) is None, "the file is there, and nothing in it"
    run.end()
    assert list(run.folder.iterdir()) == []
    assert not any(run.checkpoint.iterdir())
    run.end()
    assert list(run.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("visible", "device"), [(None, "cpu"), ("", "cpu"), ("-1", "cpu"), ("1", "cuda"), ("GPU-5", "cuda")]
)
def test_the_device_is_cuda_where_the_variable_names_one(
    run: ActiveRun, monkeypatch: pytest.MonkeyPatch, visible: str | None, device: str
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert run.device == device


def test_the_run_is_passed_only_where_a_function_takes_it(run: ActiveRun) -> None:
    assert call_with_run(lambda train, params: (train, params), 1, 2, run) == (1, 2)
    assert call_with_run(lambda train, params, run: run, 1, 2, run) is run
    assert call_with_run(lambda train, params, run=None: run, 1, 2, run) is run
    assert call_with_run(lambda train, params, r: r, 1, 2, run) is run
    assert call_with_run(lambda train, params, verbose=False: verbose, 1, 2, run) is False
    assert call_with_run(lambda train, params, **options: options, 1, 2, run) == {}
