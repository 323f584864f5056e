"""`load_data` may return a path: what goes wrong then is said as ever."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import polars as pl
import pytest

from lineage.core.errors import BadInput, Refused
from lineage.extras.validation.split import Side
from lineage.runs import model_origin
from lineage.runs.train_run import _evaluate, _load

FRAME = pd.DataFrame({"x": [1.0], "y": [2.0]})


def fails(model: Any, test: Any) -> Any:
    raise KeyError("x")


def evaluate(train: Any, test: Any) -> Any:
    experiment: Any = SimpleNamespace(evaluate=fails)
    return _evaluate(experiment, None, train, test, None)


def test_an_error_of_evaluate_stays_what_it_is_when_data_are_paths(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="x"):
        evaluate(tmp_path / "train.parquet", tmp_path / "test.parquet")


def test_columns_that_only_one_side_has_are_named_when_data_are_frames() -> None:
    with pytest.raises(Refused, match="only one of training and test data has x"):
        evaluate(FRAME, FRAME.drop(columns="x"))


def test_a_path_is_loaded_as_it_is(tmp_path: Path) -> None:
    experiment: Any = SimpleNamespace(load_data=lambda path: path)
    assert _load(experiment, tmp_path, "data/train.parquet") == tmp_path / "data/train.parquet"


@pytest.mark.parametrize("train", [Path("data/train.parquet"), pl.DataFrame({"x": [1.0]}), [1, 2]])
def test_data_that_are_no_frame_of_pandas_have_no_input_signature(train: Any) -> None:
    origin = json.loads(model_origin.as_metadata(getattr(train, "dtypes", None))["lineage_model"])
    assert origin["input_signature"] is None and "pandas" in origin["packages"]


def test_the_input_signature_names_columns_in_their_order_with_their_dtypes() -> None:
    frame = FRAME.assign(a="text", **{"7": pd.Categorical(["x"])})
    origin = json.loads(model_origin.as_metadata(frame.dtypes)["lineage_model"])
    expected = [("x", "float64"), ("y", "float64"), ("a", str(frame["a"].dtype)), ("7", "category")]
    assert list(origin["input_signature"].items()) == expected


def test_validation_asks_for_a_frame(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="validation splits a DataFrame, and load_data"):
        Side(fraction=0.2, by=["id"]).split(tmp_path)
