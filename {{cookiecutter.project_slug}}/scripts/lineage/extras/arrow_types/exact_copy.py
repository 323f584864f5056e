"""Copy by pyarrow the parquet files whose values DuckDB would misread; refuse types in `LOST`.

DuckDB cuts times that are stored as INT96 to microseconds. Parquet names types in two ways,
ConvertedType (format 1) and LogicalType; of a type that is named in one way only DuckDB may not
know: a time loses its zone, text becomes bytes, a large unsigned number a negative one.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from lineage.core.errors import BadInput
from lineage.tables.parquet_files import MISREAD
from lineage.tables.sql import Engine

INT96 = "INT96 - -"
"""How such a column is described, see `DESCRIBED`."""

LOST = re.compile("UUID|INTERVAL|BSON|Bson|Geo|Variant")
"""Types that pyarrow does not write as it read them."""


def exact_file(engine: Engine, path: Path, described: str) -> Path:
    """Find the file from which DuckDB reads what is in a parquet file: that itself, or a copy.

    Args:
        engine: beside whose temporary files a copy is kept.
        path: the file, which DuckDB may misread.
        described: its columns, a line each, see `DESCRIBED`.

    Raises:
        BadInput: pyarrow cannot read the file, or not write a column of it as it is.
    """
    is_misread = MISREAD.search(described.replace(INT96, ""))
    from pyarrow.parquet import ParquetFile, ParquetWriter

    with pyarrow_reads(path):
        unit = _unit_of_int96(path) if INT96 in described else "ns"
        source = ParquetFile(path, coerce_int96_timestamp_unit=unit)
        if unit == "us" and not is_misread:
            return path
        lost = LOST.search(described)
        if lost:
            problem = f"{path}: {lost[0]} cannot be read beside INT96, or types named in one way"
            raise BadInput(problem, "write the file anew, with times as TIMESTAMP, not as INT96")
        [(folder,)] = engine.execute("SELECT current_setting('temp_directory')").fetchall()
        copy = Path(mkdtemp(dir=folder), path.name)
        with ParquetWriter(copy, source.schema_arrow) as writer:
            for batch in source.iter_batches():
                writer.write_batch(batch)
    return copy


@contextmanager
def pyarrow_reads(path: Path) -> Iterator[None]:
    """Raise `BadInput` where pyarrow cannot read a file."""
    from pyarrow import ArrowException

    try:
        yield
    except (ArrowException, OSError) as error:
        problem = f"{path} cannot be read by pyarrow: {error}"
        raise BadInput(problem, "write the file anew") from None


def _unit_of_int96(path: Path) -> str:
    """Find the unit that keeps all digits of times stored as INT96: `us`, as DuckDB reads, or `ns`.

    Raises:
        BadInput: some need nanoseconds, and others are too far away for them.
    """
    from pyarrow import ArrowInvalid
    from pyarrow.parquet import ParquetFile

    coarse = ParquetFile(path, coerce_int96_timestamp_unit="us")
    stored = map(coarse.schema.column, range(len(coarse.schema)))
    times = [column.path for column in stored if column.physical_type == "INT96"]
    fine = ParquetFile(path).iter_batches(columns=times)
    has_digits = False
    is_far = False
    for exact, cut in zip(fine, coarse.iter_batches(columns=times)):
        # beyond the range of nanoseconds both numbers wrap around in the same way
        has_digits |= not cut.cast(exact.schema, safe=False).equals(exact)
        try:
            cut.cast(exact.schema)
        except ArrowInvalid:
            is_far = True
    if has_digits and is_far:
        problem = f"{path}: of the times in {', '.join(times)} some have nanoseconds"
        raise BadInput(f"{problem}, others lie beyond 1677 to 2262", "split the column in two")
    return "ns" if has_digits else "us"
