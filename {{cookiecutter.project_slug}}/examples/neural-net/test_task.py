"""What only this task has to do."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import experiment
from lineage.extras.tracking.active_run import ActiveRun
from lineage.runs.model_file import make_reproducible

PARAMS = {"hidden": 8, "rate": 0.01, "epochs": 12, "patience": 12}


class KilledError(Exception):
    """Ends a run as a kill would."""


class KilledRun(ActiveRun):
    """A run that is killed in the middle of its sixth epoch."""

    def log(self, step: int | None = None, **values: float) -> None:
        """Log as any run, until then."""
        if step == 5:
            raise KilledError
        super().log(step, **values)


def fitted(run: ActiveRun, rows: pd.DataFrame) -> bytes:
    """The bytes of the model of a run."""
    path = run.folder / "model.bin"
    experiment.save_model(experiment.fit(rows, PARAMS, run), path)
    make_reproducible(path)
    return path.read_bytes()


def curve(run: ActiveRun) -> list[tuple[float | None, float | None]]:
    """The epochs that a run logged, each with its loss."""
    return [(event["step"], event["val_loss"]) for event in run.events()]


def test_a_run_that_was_killed_ends_with_the_model_of_one_that_was_not(
    rows: pd.DataFrame, tmp_path: Path
) -> None:
    whole = ActiveRun(tmp_path / "whole", "run-1", PARAMS, validation=rows)
    killed = KilledRun(tmp_path / "killed", "run-2", PARAMS, validation=rows)
    goes_on = ActiveRun(tmp_path / "killed", "run-2", PARAMS, validation=rows)
    expected = fitted(whole, rows)
    with pytest.raises(KilledError):
        fitted(killed, rows)
    assert fitted(goes_on, rows) == expected
    assert curve(goes_on) == curve(whole)
    assert [step for step, _ in curve(whole)] == list(range(12))


def test_it_stops_early(rows: pd.DataFrame, tmp_path: Path) -> None:
    wrong = rows.assign(label=1 - rows["label"])
    run = ActiveRun(tmp_path, "run-1", PARAMS, validation=wrong)
    experiment.fit(rows, {**PARAMS, "rate": 0.1, "epochs": 50, "patience": 2}, run)
    assert 3 <= len(run.events()) < 20
