"""Write the predictions of a run: a parquet file with one row per test item."""

from pathlib import Path
from typing import Any

from lineage.core.errors import BadInput
from lineage.core.param_names import check_name, to_plain
from lineage.runs.run import Frame
from lineage.runs.run_database import check_distinct

TRACK_ID = "track_id"


def write_predictions(path: Path, track_id: str, predictions: Frame, **metadata: str) -> None:
    """Write the column `track_id` and the columns of a frame; equal frames give equal bytes.

    Numbers, truth values, times and lists keep their types, and NaN stays NaN. Categories become
    what they stand for. What parquet cannot hold as it is, such as a column of both numbers and
    text, becomes text.

    Args:
        path: the file to write.
        track_id: of the run; the same in every row.
        predictions: what `evaluate()` returned, one row per test item.
        metadata: of the file, what it says of the run beside its rows: text by key.

    Raises:
        BadInput: a name cannot be a column.
    """
    import pyarrow
    from pyarrow import parquet

    check_columns([str(name) for name in predictions])
    columns = {TRACK_ID: pyarrow.repeat(track_id, len(predictions))}
    for name, values in predictions.items():
        columns[str(name)] = _to_arrow(values)
    table = pyarrow.table(columns)
    with parquet.ParquetWriter(path, table.schema, compression="zstd", store_schema=False) as file:
        file.write_table(table)
        file.add_key_value_metadata(metadata)


def check_columns(names: list[str]) -> None:
    """Check that the names can be columns of predictions.

    Raises:
        BadInput: one is no valid text, `track_id`, or another one's but for case.
    """
    for name in names:
        try:
            check_name(name).encode("utf-8")
        except ValueError as error:
            raise BadInput(
                f"{name!r} cannot be a column of predictions: {error}", "rename it"
            ) from None
    check_distinct("predictions", [TRACK_ID, *names])


def _to_arrow(values: Any) -> Any:
    """Make a column for Arrow of one of a frame."""
    import pyarrow
    from pyarrow import types

    try:
        array = pyarrow.array(values, from_pandas=values.dtype == object)  # else NaN stays NaN
    except (pyarrow.ArrowException, OverflowError):
        return _to_text(values)
    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    would_change = (types.is_null, types.is_struct, types.is_duration, types.is_interval)
    is_extension = isinstance(array.type, pyarrow.BaseExtensionType)
    if is_extension or any(is_kind(array.type) for is_kind in would_change):
        return _to_text(values)
    return array


def _to_text(values: Any) -> Any:
    import pyarrow

    texts = values.astype(object).map(lambda value: str(to_plain(value)), na_action="ignore")
    return pyarrow.array(texts, pyarrow.string(), from_pandas=True)
