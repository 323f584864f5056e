"""params.yaml is read as DVC reads it, and its values are what rows can hold."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from dvc.utils.serialize import load_yaml

from lineage.core.errors import BadInput
from lineage.core.param_names import check_name, flatten, is_param, to_plain
from lineage.core.params import read_params

PARAMS = """
experiment: {version: e1.2.3, description: "on", author: somebody}
model: {rate: 1e-3, width: 010, switch: on, when: 2024-01-31, tree: {depth: 3}}
merge: {strategy: merge, key_columns: [version], data_strategy: merge, data_key_columns: [id]}
promote: {strategy: rebase, metric: loss, mode: min, min_improvement: 1e-3, keep: 010}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS, encoding="utf-8")
    return path


def test_values_are_those_that_dvc_reads(file: Path) -> None:
    params = read_params(file)
    assert params.model["rate"] == 0.001 and params.model["width"] == 10 and params.model["switch"] == "on"
    assert (params.promote.min_improvement, params.promote.keep) == (0.001, 10)
    assert params.model == load_yaml(str(file))["model"]


def test_what_dvc_writes_is_a_number(file: Path) -> None:
    file.write_text(PARAMS.replace("1e-3", "1e-05"), encoding="utf-8")  # as `dvc exp run -S` does
    assert read_params(file).model["rate"] == 0.00001


def test_metrics_and_what_runs_logged_are_merged_unless_other_tables_are_asked_for(file: Path) -> None:
    assert read_params(file).merge.tables == ["metrics", "events"]


def test_a_key_that_stands_twice_is_an_error_as_in_dvc(file: Path) -> None:
    file.write_text(PARAMS.replace("keep: 010", "keep: 5, keep: 6"), encoding="utf-8")
    with pytest.raises(BadInput, match=r"params.yaml is not valid YAML: .* found duplicate key"):
        read_params(file)


def test_every_mistake_of_a_sweep_is_named(file: Path) -> None:
    sweep = "sweep: {jobs: 0, grid: {model.rate: [], model.x: [1]}, runs: [{model.tree.depth: 4}, {model.y: 1}]}\n"
    file.write_text(PARAMS + sweep, encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        read_params(file)
    known = "allowed: model.rate, model.width, model.switch, model.when, model.tree.depth"
    assert str(caught.value).splitlines() == [
        "params.yaml: sweep.jobs: 0 is not allowed; allowed: -1 (all cores) or a positive whole number",
        f"params.yaml: sweep.grid: 'model.x' is not a param; {known}",
        f"params.yaml: sweep.runs[1]: 'model.y' is not a param; {known}",
        "params.yaml: sweep.grid.model.rate: the list is empty; give at least one value",
    ]


ASIDE = {
    "no section": ("", None),
    "a fraction": ("{fraction: 0.2}", None),
    "columns for later": ("{by: [patient]}", None),
    "a time": ("{after: '2026-06-01T12:00:00+02:00', by: [day]}", None),
    "nothing left": ("{fraction: 1}", "fraction: 1 is not allowed: input should be less than 1"),
    "less than nothing": (
        "{fraction: -0.1}",
        "fraction: -0.1 is not allowed: input should be greater than or equal to 0",
    ),
    "no time": ("{after: June, by: [day]}", "after: 'June' is not allowed: input should be a valid datetime"),
    "both": (
        "{fraction: 0.2, after: '2026-06-01', by: [day]}",
        "after: fraction is 0.2, by is ['day']; allowed with it: fraction 0.0, and one column in by, which holds the time",
    ),
    "no column": (
        "{after: '2026-06-01'}",
        "after: fraction is 0.0, by is []; allowed with it: fraction 0.0, and one column in by, which holds the time",
    ),
    "two columns": (
        "{after: '2026-06-01', by: [a, b]}",
        "after: fraction is 0.0, by is ['a', 'b']; allowed with it: fraction 0.0, and one column in by, which holds the time",
    ),
}


@pytest.mark.parametrize(("section", "problem"), ASIDE.values(), ids=ASIDE.keys())
def test_what_does_not_go_together_in_validation_is_refused(file: Path, section: str, problem: str | None) -> None:
    file.write_text(f"{PARAMS}validation: {section}\n" if section else PARAMS, encoding="utf-8")
    if problem is None:
        assert read_params(file).validation.fraction == (0.2 if "fraction" in section else 0.0)
        return
    with pytest.raises(BadInput) as caught:
        read_params(file)
    assert str(caught.value).startswith(f"params.yaml: validation.{problem}")


@pytest.mark.parametrize("text", ["", "- 1\n", "just text\n"])
def test_params_that_are_no_mapping(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=r"must be a mapping of sections \(experiment, model, merge, promote\)"):
        read_params(file)


def test_names_of_params(file: Path) -> None:
    assert is_param("model_C") and is_param("model_tree_depth")
    assert not is_param("model_hash") and not is_param("version") and not is_param("my_model_C")
    assert dict(flatten("model", read_params(file).model)) == {
        "model_rate": 0.001,
        "model_width": 10,
        "model_switch": "on",
        "model_when": "2024-01-31",
        "model_tree_depth": 3,
    }


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), 1),
        (True, 1),
        (math.nan, None),
        (1 << 63, str(1 << 63)),
        (-(1 << 63), -(1 << 63)),
        (Path("a/b"), "a/b"),
        (date(2024, 1, 31), "2024-01-31"),
        ([1, 2], "[1, 2]"),
        (None, None),
        ("text", "text"),
    ],
)
def test_plain_values(value: object, plain: object) -> None:
    made = to_plain(value)
    assert made == plain and type(made) is type(plain)


@pytest.mark.parametrize(("name", "problem"), [(" ", "must not be empty"), ("a\nb", "control characters")])
def test_names_that_no_column_can_have(name: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        check_name(name)
    assert check_name('an "odd" name') == 'an "odd" name'
