"""The validation side: rows of the training data that `fit` does not see, to choose runs by.

A row's side follows from its own values alone, so it is the same whatever other rows there are, in
which order, and on which machine. Values that are equal, as 1 and 1.0, are on one side.
"""

import zlib
from typing import Any

from lineage.core.errors import BadInput
from lineage.core.params import Params, Validation
from lineage.runs.run import VALIDATED, Frame, Metrics

OFF = (
    "sed -i '/^validation:/,/^$/ { s/fraction: [^ ,}]*/fraction: 0.0/; "
    "s/after: [^#,}]*/after: null / }' params.yaml && dvc repro   # without validation"
)


class Side(Validation):
    """The section `validation`, with the columns that it goes by.

    It travels with a run: a worker has it split what `load_data` returns there.
    """

    def split(self, data: Any) -> tuple[Frame, Frame]:
        """Split training data into the rows for `fit`, and those that are set aside.

        Where there are no columns, all of a row's values count.

        Raises:
            BadInput: it is no DataFrame, lacks a column, has a NULL where a time is needed, or one
                of the sides would be empty.
        """
        import pandas

        if not isinstance(data, pandas.DataFrame):
            raise BadInput(
                f"validation splits a DataFrame, and load_data() returned {type(data).__name__}",
                OFF,
            )
        by = self.by or list(data.columns)
        for name in by:
            if name not in data:
                raise BadInput(
                    f"validation: load_data() returned no column {name!r} to split by", OFF
                )
        aside = is_later(data[by[0]], self.after) if self.after else share(data[by]) < self.fraction
        if aside.all() or not aside.any():
            problem = f"validation would set {aside.sum()} of {len(data)} training rows aside"
            raise BadInput(f"{problem}; both sides need some", OFF)
        return data[~aside], data[aside]

    def add(self, metrics: Metrics, validated: Metrics) -> None:
        """Add what was measured on the rows set aside, as `val_…`, to what was on the test set.

        Raises:
            BadInput: `evaluate` returned such a metric itself.
        """
        for name, value in validated.items():
            if VALIDATED + name in metrics:
                problem = f"evaluate() returned {VALIDATED + name!r}"
                raise BadInput(f"{problem}, and so does the section validation", OFF)
            metrics[VALIDATED + name] = value


def validation_side(params: Params) -> Side:
    """Make of the section a side by the columns that it names, or by the key of the data."""
    section = params.validation
    by = section.by or params.merge.data_key_columns
    return Side.model_validate({**dict(section), "by": by})


def share(data: Frame) -> Any:
    """Place each row between 0 and 1, evenly, by a hash of its values.

    NULL counts as if its column was not there, so a column that comes later moves no old row.
    Values that differ may have one hash: their rows are on one side then.
    """
    import numpy
    from pandas.api.types import is_numeric_dtype
    from pandas.util import hash_array

    total = numpy.full(len(data), 1 << 63, "u8")
    for name in data:
        values = data[name]
        if not is_numeric_dtype(values):
            values = values.astype(object).map(_as_number)
        numbers = values.to_numpy("f8", na_value=0) + 0.0  # -0.0 becomes 0.0
        total += numpy.where(data[name].isna(), 0, hash_array(numbers))
    return total / 2.0**64


def _as_number(value: Any) -> float:
    """Turn equal values into equal numbers, whatever their type; text into a checksum."""
    try:
        return float(value)
    except (TypeError, ValueError):
        text = str(value).removesuffix(" 00:00:00")  # a day is its first moment
        return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def is_later(times: Any, after: Any) -> Any:
    """Tell which times are later than a moment. Those without a time zone are in UTC.

    Raises:
        BadInput: a row has no time.
    """
    from pandas import to_datetime

    moments = to_datetime(times.astype(str), format="ISO8601", utc=True, errors="coerce")
    if moments.hasnans:
        problem = f"{moments.isna().sum()} training rows have no time in column {times.name!r}"
        raise BadInput(f"validation.by: {problem} (ISO 8601, as in 2026-06-01)", OFF)
    return moments > to_datetime(after, utc=True)
