"""params.yaml of this project is valid, and mistakes in such a file are explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from lineage.core.errors import BadInput
from lineage.core.params import read_params

EXAMPLE = """
experiment: {version: e1.2.3, description: an example, author: somebody}
model: {depth: 3}
sweep: {grid: {}, jobs: -1, backend: loky}
merge: {strategy: merge, tables: [metrics], key_columns: [version],
        data_strategy: merge, data_key_columns: [id]}
promote: {strategy: rebase, metric: loss, mode: min, min_improvement: 0.0, keep: 5}
"""


def test_the_params_of_this_project_are_valid() -> None:
    assert read_params(Path(__file__).parents[1] / "params.yaml").promote.keep >= 1


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "{strategy: merge",
            "{strategy: mrege",
            "merge.strategy: 'mrege' is not allowed; allowed: 'merge' or 'rebase'",
        ),
        ("mode: min", "mod: min", "promote.mod is not a known key (did you mean mode?)"),
        ("e1.2.3", "1.2.3", "experiment.version: '1.2.3' is not a version"),
        (
            "grid: {}",
            "grid: {model.width: [1]}",
            "sweep.grid: 'model.width' is not a param; allowed: model.depth",
        ),
    ],
)
def test_mistakes_are_explained(tmp_path: Path, before: str, after: str, message: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(EXAMPLE.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        read_params(path)
    assert message in str(caught.value)
