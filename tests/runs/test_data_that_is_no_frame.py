"""`load_data` may return a path: what goes wrong then is said as ever."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from lineage.core.errors import BadInput, Refused
from lineage.extras.validation.split import Side
from lineage.models.model_card import read_signature
from lineage.runs.train_run import _evaluate, _load
from lineage.tracked.hashes import file_md5

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


def test_a_model_is_kept_without_an_input_signature_and_a_line_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("load_data", "fit", "evaluate", "save_model", "load_model")
    code = "\n".join(f"def {name}(path): return path" for name in names)
    (tmp_path / "experiment.py").write_text(code, encoding="utf-8")
    data = tmp_path / "data/train.parquet"
    data.parent.mkdir()
    FRAME.to_parquet(data)
    assert read_signature(tmp_path, file_md5(data)) is None
    assert capsys.readouterr().out.startswith("no input signature in model.json: ")


def test_validation_asks_for_a_frame(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="validation splits a DataFrame, and load_data"):
        Side(fraction=0.2, by=["id"]).split(tmp_path)
