"""params.yaml of this project is valid, and mistakes in it are explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from lineage.errors import BadInput
from lineage.params import read_params

PARAMS = Path(__file__).parents[1] / "params.yaml"


def test_params_are_valid() -> None:
    assert read_params(PARAMS).merge.tables[0] == "metrics"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "strategy: merge ",
            "strategy: mrege ",
            "merge.strategy: 'mrege' is not allowed; allowed: 'merge' or 'rebase'",
        ),
        ("  mode: max", "  mod: max", "promote.mod is not a known key (did you mean mode?)"),
        ("version: e0.1.0", "version: 0.1.0", "experiment.version: '0.1.0' is not a version"),
    ],
)
def test_mistakes_are_explained(tmp_path: Path, before: str, after: str, message: str) -> None:
    text = PARAMS.read_text(encoding="utf-8")
    assert before in text, "this test needs the key as the template wrote it"
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        read_params(path)
    assert message in str(caught.value)
