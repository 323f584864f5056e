"""Training and test data stay apart: a test item among the training rows is counted, shown, and refused, left out or allowed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from baked_projects import Project, stages_run

from lineage.core.errors import Refused
from lineage.merge.data import line_up, merge_data, union_all_by_name, write_rows
from lineage.merge.overlap import keep_apart
from lineage.merge.rules import Rules, merge_or_rebase
from lineage.tables.engine import open_engine
from lineage.tables.parts import parts_of

KEYED = Rules("merge", ("id",))


@pytest.fixture
def trained(light_trained: Project) -> Project:
    return light_trained


def merged(
    folder: Path, base: Any, incoming: Any, test: Any, choice: str, rules: Rules = KEYED
) -> tuple[pd.DataFrame, str]:
    """Merge three frames of columns as the stage does; return the training data and what the line says."""
    files = []
    for name, columns in (("base", base), ("incoming", incoming), ("test", test)):
        files.append(columns if isinstance(columns, Path) else folder / f"{name}.parquet")
        if not isinstance(columns, Path):
            pd.DataFrame(columns).to_parquet(files[-1])
    output = folder / "output.parquet"
    output.unlink(missing_ok=True)
    with open_engine() as engine:
        relations = line_up(engine, files[:1], files[1:2], rules, "data/train.parquet")
        union_all_by_name(relations)
        plan = merge_or_rebase(relations, rules)
        said = keep_apart(relations, plan, files[2], choice)
        write_rows(relations, plan, output)
    rows = pd.read_parquet(output)
    assert len(rows) == plan.rows
    return rows, said


BASE = {"id": [1, 2, 3], "x": [0.1, 0.2, 0.3]}
INCOMING = {"id": [4, 5], "x": [0.4, 0.5]}


def test_data_that_are_apart_are_merged_as_ever(tmp_path: Path) -> None:
    rows, said = merged(tmp_path, BASE, INCOMING, {"id": [6, 7], "x": [0.1, 0.4]}, "fail")
    assert list(rows["id"]) == [1, 2, 3, 4, 5] and said == ""


@pytest.mark.parametrize("strategy", ["merge", "rebase"])
def test_rows_that_are_there_and_rows_that_come_are_looked_at(tmp_path: Path, strategy: str) -> None:
    rules, test = Rules(strategy, ("id",)), {"id": [2, 5, 9], "x": [7.0, 8.0, 9.0]}
    with pytest.raises(Refused) as refused:
        merged(tmp_path, BASE, INCOMING, test, "fail", rules)
    assert refused.value.problem == (
        "data/train.parquet: 2 rows are in data/test.parquet, too (by id); a model would be tested on what it has"
        " learned:\n  2\n  5"
    )
    rows, said = merged(tmp_path, BASE, INCOMING, test, "exclude", rules)
    assert rows.to_dict("list") == {"id": [1, 3, 4], "x": [0.1, 0.3, 0.4]}
    assert said == "; 2 rows are in data/test.parquet, too (by id), and left out"
    rows, said = merged(tmp_path, BASE, INCOMING, test, "allow", rules)
    assert list(rows["id"]) == [1, 2, 3, 4, 5]
    assert said == "; 2 rows are in data/test.parquet, too (by id), and stay"


def test_of_training_data_in_parts_only_the_part_with_a_test_item_is_written_anew(tmp_path: Path) -> None:
    rules = Rules("merge", ("id",), layout="parts")
    base: list[Path] = []
    for number, ids in enumerate(([1, 2], [3, 4], [5])):
        pd.DataFrame({"id": ids}).to_parquet(tmp_path / "new.parquet")
        merge_data(base, [tmp_path / "new.parquet"], tmp_path / f"parts{number}", rules, "data")
        base = [tmp_path / f"parts{number}"]
    pd.DataFrame({"id": [6, 7]}).to_parquet(tmp_path / "new.parquet")
    pd.DataFrame({"id": [3, 7]}).to_parquet(tmp_path / "test.parquet")
    with open_engine() as engine:
        relations = union_all_by_name(line_up(engine, base, [tmp_path / "new.parquet"], rules, "data"))
        plan = merge_or_rebase(relations, rules)
        said = keep_apart(relations, plan, tmp_path / "test.parquet", "exclude")
        write_rows(relations, plan, tmp_path / "out", layout="parts")
    assert said == "; 2 rows are in data/test.parquet, too (by id), and left out"
    parts = {part.name: pd.read_parquet(part)["id"].tolist() for part in parts_of(tmp_path / "out")}
    assert list(parts.values()) == [[1, 2], [4], [5], [6], []] and plan.rows == 5
    assert [name in {part.name for part in parts_of(base[0])} for name in parts][:4] == [True, False, True, False]


def test_a_replaced_row_and_its_replacement_are_one_item(tmp_path: Path) -> None:
    rules = Rules("rebase", ("id",))
    rows, said = merged(tmp_path, BASE, {"id": [2, 4], "x": [9.0, 0.4]}, {"id": [2]}, "exclude", rules)
    assert list(rows["id"]) == [1, 3, 4] and said.startswith("; 1 rows are in data/test.parquet")


def test_without_a_key_a_row_is_known_by_all_its_values(tmp_path: Path) -> None:
    base = {"x": [0.1, 0.1, None, 0.4], "y": ["a", "b", None, "d"]}
    test = {"y": ["b", None, "d"], "x": [0.1, None, 0.5]}
    rows, said = merged(tmp_path, base, {"x": [0.1, 0.7], "y": ["b", "g"]}, test, "exclude", Rules("merge"))
    assert list(rows["y"].fillna("")) == ["a", "d", "g"]
    assert said == "; 2 rows are in data/test.parquet, too (by x, y), and left out"


def test_a_test_set_without_the_key_is_compared_by_what_both_have(tmp_path: Path) -> None:
    _, said = merged(tmp_path, BASE, INCOMING, {"x": [0.4, 0.9], "other": [1, 1]}, "allow")
    assert said == "; 1 rows are in data/test.parquet, too (by x), and stay"
    assert merged(tmp_path, BASE, INCOMING, {"other": [1, 1]}, "fail")[1] == "", "nothing to compare"


def test_a_test_set_in_parts_is_looked_at_as_a_whole(tmp_path: Path) -> None:
    for number in (4, 1):
        pd.DataFrame({"id": [number]}).to_parquet(tmp_path / f"{number}.parquet")
    parts = Rules("merge", ("id",), layout="parts")
    merge_data([], [tmp_path / "4.parquet"], tmp_path / "first", parts, "test")
    merge_data([tmp_path / "first"], [tmp_path / "1.parquet"], tmp_path / "both", parts, "test")
    rows, said = merged(tmp_path, BASE, INCOMING, tmp_path / "both", "exclude")
    assert list(rows["id"]) == [2, 3, 5] and said.startswith("; 2 rows are in data/test.parquet")


def test_other_types_and_spellings_of_a_key_are_compared_by_value(tmp_path: Path) -> None:
    _, said = merged(tmp_path, BASE, INCOMING, {"ID": ["5", "5", "none", None]}, "allow")
    assert said == "; 1 rows are in data/test.parquet, too (by id), and stay"


@pytest.mark.slow
def test_a_leak_stops_the_pipeline_until_somebody_decides(trained: Project) -> None:
    train = trained.path / "data/train.parquet"
    test = trained.path / "data/test.parquet"
    before = train.read_bytes()
    leaked = pd.read_parquet(train)[:7]
    whole = pd.concat([pd.read_parquet(test), leaked])
    test.unlink()
    whole.to_parquet(test, index=False)
    output = trained.repro(code=255)
    assert stages_run(output) == ["merge_data"] and train.read_bytes() == before
    assert "error: data/train.parquet: 7 rows are in data/test.parquet, too (by id); a model" in output
    [remedy] = re.findall("^  → (.*)$", output, re.MULTILINE)
    trained.run("sh", "-c", remedy)
    output = trained.repro()
    assert (
        "merge data/train.parquet: +0 ~7 =0 !0; 0 new files, 1 already merged; 530 rows now; 7 rows are in data/test.parquet, too"
        in output
    )
    kept = pd.read_parquet(train)
    assert len(kept) == 530 and not set(kept["id"]) & set(whole["id"])
    assert stages_run(trained.repro()) == [], "and once is enough"
    trained.commit("without the leaked rows")
    trained.run("dvc", "get", ".", "data/train.parquet", "--rev", "HEAD~1", "-o", "old.parquet")
    assert (trained.path / "old.parquet").read_bytes() == before, "what was left out can be had"
