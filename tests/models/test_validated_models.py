"""The gate where runs have a validation side: one of each session is judged on the test set, and that once."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from baked_projects import Project
from models_project import add_rows, card, stand_inside

from lineage.extras.model_manager.change_models import promote_by_hand

pytestmark = pytest.mark.slow


def session(version: str, *values: tuple[float | None, float]) -> list[dict[str, Any]]:
    """Runs of one version, from their values on the validation side and on the test set."""
    return [
        {
            "track_id": f"{version}-{number}",
            "version": version,
            "timestamp": "3",
            "val_f1_score": value,
            "f1_score": test,
        }
        for number, (value, test) in enumerate(values)
    ]


def test_only_the_best_on_validation_of_a_session_is_judged(
    light_trained: Project, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    inside = stand_inside(light_trained, monkeypatch)
    inside.set_param("promote.confidence", None)
    first = card(inside)
    old = first["metrics"]["f1_score"]
    add_rows(inside)
    with sqlite3.connect(inside.path / "results/experiments.db") as connection:
        connection.execute("ALTER TABLE metrics ADD COLUMN val_f1_score REAL")

    def challenge() -> str:
        said.clear()
        promote_by_hand(None, None, None, None, None)
        return "\n".join(said)

    add_rows(inside, *session("e0.2.0", (0.8, old - 0.25), (0.7, old + 0.01), (None, old + 0.02)))
    loses = f"e0.2.0-0 does not beat it: f1_score {old - 0.25:.4f} against {old:.4f} of {first['track_id']} (e0.1.0)"
    assert challenge() == f"production: {first['track_id']} stays; {loses}, chosen by val_f1_score 0.8000"
    add_rows(inside, *session("e0.3.0", (0.1, old + 0.01), (0.0, old + 0.03)), *session("e0.4.0", (None, old + 0.005)))
    better = f"better: f1_score {old + 0.01:.4f} against {old:.4f} of {first['track_id']} (e0.1.0)"
    assert f"e0.3.0-0 (e0.3.0) promoted — {better}, chosen by val_f1_score 0.1000" in challenge()
    assert card(inside)["reason"] == f"{better}, chosen by val_f1_score 0.1000"
    assert "there is no new model" not in challenge(), "e0.2.0 and e0.4.0 challenge anew, by hand"
    assert card(inside)["track_id"] == "e0.3.0-0", "its sibling is better on the test set, and was not chosen"
