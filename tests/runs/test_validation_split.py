"""The split of the training data: no group, time or equal row is on both sides, whatever the rows are like."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lineage.core.errors import BadInput
from lineage.extras.validation.split import OFF, Side, share
from lineage.runs.run import Metrics, choice_metric

NUMBERS = st.one_of(st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.booleans())
VALUES = st.one_of(NUMBERS, st.text(), st.none(), st.dates())
FRACTIONS = st.floats(0.05, 0.95)


def sides(frame: pd.DataFrame, **section: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both sides; an example of hypothesis in which one of them is empty is none."""
    try:
        train, aside = Side(**section).split(frame)
    except BadInput as error:
        assume("both sides need some" not in str(error))
        raise
    assert sorted([*train.index, *aside.index]) == list(frame.index), "each row is on one side"
    return train, aside


def refusal(frame: Any, **section: Any) -> str:
    with pytest.raises(BadInput) as caught:
        Side(**section).split(frame)
    return caught.value.problem


def distinct(frame: pd.DataFrame, names: list[str]) -> set[tuple[Any, ...]]:
    """The rows of some columns; NULL is a value like another, and equal to itself."""
    return {tuple(None if pd.isna(value) else value for value in row) for row in frame[names].itertuples(index=False)}


@pytest.mark.slow
@given(st.lists(st.tuples(VALUES, VALUES), min_size=2), FRACTIONS)
def test_no_group_is_on_both_sides(groups: list[tuple[Any, Any]], fraction: float) -> None:
    frame = pd.DataFrame(groups * 2, columns=["patient", "visit"], dtype=object)
    frame["pixel"] = range(len(frame))
    for by in (["patient"], ["patient", "visit"]):
        train, aside = sides(frame, fraction=fraction, by=by)
        assert not distinct(train, by) & distinct(aside, by)


@pytest.mark.slow
@given(st.lists(VALUES, min_size=2, max_size=20), FRACTIONS)
def test_without_columns_equal_rows_are_on_one_side(values: list[Any], fraction: float) -> None:
    frame = pd.DataFrame({"a": pd.Series(values * 2, dtype=object), "b": 1.0})
    train, aside = sides(frame, fraction=fraction)
    assert not distinct(train, ["a", "b"]) & distinct(aside, ["a", "b"])


@given(
    st.lists(st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1)), min_size=2),
    st.integers(0),
    st.sampled_from(["datetime64[us]", "object", "text"]),
)
def test_what_is_set_aside_is_later_than_all_the_rest(times: list[datetime.datetime], chosen: int, kind: str) -> None:
    column = pd.Series(times, dtype="object" if kind == "text" else kind)
    frame = pd.DataFrame({"t": column.map(datetime.datetime.isoformat) if kind == "text" else column})
    after = times[chosen % len(times)]
    train, aside = sides(frame, after=after.isoformat(), by=["t"])
    assert {times[row] for row in train.index} == {time for time in times if time <= after}
    assert {times[row] for row in aside.index} == {time for time in times if time > after}


@pytest.mark.slow
@given(st.lists(VALUES, min_size=1), st.lists(VALUES), FRACTIONS, st.randoms())
def test_a_row_keeps_its_side_whatever_else_arrives_in_whatever_order(
    old: list[Any], new: list[Any], fraction: float, random: Any
) -> None:
    known = pd.DataFrame({"id": pd.Series(old, dtype=object), "b": "x"})
    later = pd.DataFrame({"b": "y", "column that came later": 1.0, "id": pd.Series(new, dtype=object)})
    both = pd.concat([known, later]).reset_index(drop=True)
    mixed = both.sample(frac=1, random_state=random.randrange(2**32))
    assert share(mixed)[mixed.index.argsort()].tolist() == share(both).tolist()
    assert share(both)[: len(known)].tolist() == share(known).tolist()


SAME = {
    "whole numbers": [1, 1.0, Decimal("1.00"), True, pd.Series([1], dtype="Int64")[0]],
    "the two zeros": [0, 0.0, -0.0, False],
    "text": ["ä", pd.Series(["ä"], dtype="category")[0]],
    "a day": [datetime.date(2026, 6, 1), datetime.datetime(2026, 6, 1), pd.Timestamp("2026-06-01")],
    "nothing": [None, float("nan"), pd.NA, pd.NaT],
}


@pytest.mark.parametrize("values", SAME.values(), ids=SAME.keys())
def test_a_value_counts_as_one_however_it_is_stored(values: list[Any]) -> None:
    one_by_one = [pd.Series([value]) for value in values]
    frames = [
        pd.DataFrame({"id": pd.concat([series, pd.Series([value])])}) for series, value in zip(one_by_one, values)
    ]
    together = pd.DataFrame({"id": pd.Series(values, dtype=object)})
    assert len({*share(together), *(place for frame in frames for place in share(frame))}) == 1


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_count_as_one_in_every_unit(unit: str) -> None:
    times = pd.Series([datetime.datetime(2026, 6, 1), datetime.datetime(1969, 12, 31, 23, 59, 59)])
    places = share(pd.DataFrame({"t": times.astype(f"datetime64[{unit}]")})).tolist()
    assert places == [0.793254401141748, 0.3106133028692762]


def test_sides_are_the_same_on_every_machine() -> None:
    frame = pd.DataFrame(
        {"number": [1, 2, 3, 4], "text": ["a", "b", None, "ü"], "time": pd.to_datetime(["2026-06-01"] * 4)}
    )
    assert share(frame).tolist() == [0.6658323604639881, 0.7628885929777574, 0.15819817907123523, 0.9219749201064418]
    assert share(frame[["text", "number", "time"]]).tolist() == share(frame).tolist(), "the order of columns"


def test_the_share_is_the_fraction_and_a_larger_one_takes_more_of_the_same() -> None:
    for keys in (range(20_000), (i / 7 for i in range(20_000)), (f"img_{i:06}" for i in range(20_000))):
        frame = pd.DataFrame({"id": list(keys)})
        _, fewer = sides(frame, fraction=0.1, by=["id"])
        _, more = sides(frame, fraction=0.2, by=["id"])
        assert len(fewer) == pytest.approx(2000, rel=0.1) and len(more) == pytest.approx(4000, rel=0.1)
        assert set(fewer.index) < set(more.index)


FRAME = pd.DataFrame(
    {
        "id": [1, 2, 3],
        "day": pd.to_datetime(["2026-05-01", "2026-06-01", "2026-07-01"]),
        "hole": ["2026-05-01", None, ""],
        "words": ["2026-05-01", "2026-06-01", "01/06/2026"],
        "year": [2025, 2026, 2027],
        "zone": pd.to_datetime(["2026-05-31T23:30Z", "2026-06-01T00:30Z", "2026-07-01T00:00Z"]),
    }
)
REFUSED = {
    "an unknown column": (
        {"fraction": 0.5, "by": ["idd"]},
        "validation: load_data() returned no column 'idd' to split by",
    ),
    "one row, one side": (
        {"fraction": 1e-9},
        "validation would set 0 of 3 training rows aside; both sides need some",
    ),
    "all rows are later": (
        {"after": "2020-01-01", "by": ["day"]},
        "validation would set 3 of 3 training rows aside; both sides need some",
    ),
    "NULL": (
        {"after": "2026-06-01", "by": ["hole"]},
        "validation.by: 2 training rows have no time in column 'hole' (ISO 8601, as in 2026-06-01)",
    ),
    "numbers": (
        {"after": "2026-06-01", "by": ["id"]},
        "validation.by: 3 training rows have no time in column 'id' (ISO 8601, as in 2026-06-01)",
    ),
    "text that is no time": (
        {"after": "2026-06-01", "by": ["words"]},
        "validation.by: 1 training rows have no time in column 'words' (ISO 8601, as in 2026-06-01)",
    ),
}


@pytest.mark.parametrize(("section", "problem"), REFUSED.values(), ids=REFUSED.keys())
def test_a_split_that_cannot_be_is_refused_by_name(section: dict[str, Any], problem: str) -> None:
    assert refusal(FRAME, **section) == problem


def test_only_a_frame_can_be_split() -> None:
    assert refusal([1, 2], fraction=0.5) == "validation splits a DataFrame, and load_data() returned list"


def test_a_day_means_its_first_moment_and_times_without_a_zone_are_in_utc() -> None:
    for name, rows in (("day", [2]), ("zone", [1, 2])):
        assert list(sides(FRAME, after="2026-06-01", by=[name])[1].index) == rows
    assert list(sides(FRAME, after="2026-06-01T02:00:00+02:00", by=["zone"])[1].index) == [1, 2]
    assert list(sides(FRAME, after="2026-01-01", by=["year"])[1].index) == [2], "a year is its first moment"


def test_metrics_of_both_sides_have_names_of_their_own() -> None:
    metrics: Metrics = {"f1": 0.5}
    Side().add(metrics, {"f1": 0.25, "loss": None})
    assert metrics == {"f1": 0.5, "val_f1": 0.25, "val_loss": None}
    with pytest.raises(BadInput) as caught:
        Side().add({"f1": 0.5, "val_f1": 0.7}, {"f1": 0.25, "val_f1": 0.7})
    assert caught.value.problem == "evaluate() returned 'val_f1', and so does the section validation"
    assert caught.value.remedy == OFF


def test_runs_are_chosen_on_validation_where_there_is_one() -> None:
    assert choice_metric(["val_f1", "f1"], "f1") == "val_f1"
    assert choice_metric(["f1", "val_loss"], "f1") == choice_metric([], "f1") == "f1"
