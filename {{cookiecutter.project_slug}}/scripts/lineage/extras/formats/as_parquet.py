"""A file of training data that is no parquet is written anew as parquet, before it is merged.

The types of text are those that the base, else another file, gives to a column; where nobody knows
one, all cells decide. Folders as `site=north` around a file are columns of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any
from urllib.parse import unquote
from weakref import finalize

from lineage.core.console import warn
from lineage.core.errors import BadInput
from lineage.extras.formats.cell_types import TRIED, misfit, value
from lineage.extras.formats.cells import Cells, read_cells
from lineage.merge.inbox import PARQUET, TEXT, ends_with, is_other, partition_of
from lineage.tables.parquet_files import NULL_TYPE, Schema, copy_statement, read_schemas
from lineage.tables.parquet_types import common_columns
from lineage.tables.parts import parts_of
from lineage.tables.sql import Engine, fold, quote, text

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""The name of a folder whose rows have NULL in the column (Apache Hive, Spark, pyarrow)."""

Kinds = dict[str, str]
"""By the folded name of a column: its type."""


def as_parquet(engine: Engine, files: Sequence[Path], cast_text: bool) -> list[Schema]:
    """Describe files; write those that are no plain parquet anew. Messages name the user's.

    Args:
        engine: the new files live as long as this connection.
        files: the base's, and incoming ones.
        cast_text: a column becomes text where a cell does not fit.

    Raises:
        BadInput: a file cannot be read, or a cell does not fit the type of its column.
    """
    from pyarrow.parquet import read_schema

    folder = Path(mkdtemp(prefix="lineage-"))
    finalize(engine, rmtree, folder, ignore_errors=True)
    tables: list[Cells] = []
    for file in filter(is_other, dict.fromkeys(files)):
        cells = Cells(file, folder / f"{len(tables)}.parquet")
        if ends_with(file, TEXT):
            read_cells(engine, cells)
            _add_partition(cells, cells.columns)
        else:
            _write_batches(cells, {})
            _add_partition(cells, read_schema(cells.parquet).names)
        tables.append(cells)
    read_for = {cells.path: cells.parquet for cells in tables}
    typed = [file for file in files if not ends_with(file, TEXT)]
    known = common_columns(_describe(engine, typed, read_for), cast_text)
    kinds = {fold(name): kind for name, kind in known.items() if kind != NULL_TYPE}
    _find_kinds(engine, tables, kinds, cast_text)
    for cells in tables:
        _write(engine, cells, kinds)
    return _describe(engine, files, read_for)


def _describe(engine: Engine, files: Sequence[Path], read_for: Mapping[Path, Path]) -> list[Schema]:
    """Describe files; messages name them, and not those that are read for them."""
    try:
        return read_schemas(engine, [read_for.get(file, file) for file in files], files)
    except BadInput as error:
        problem = error.problem
        for file, parquet in read_for.items():
            problem = problem.replace(str(parquet), str(file))
        raise BadInput(problem, error.remedy) from None


def _add_partition(cells: Cells, own: Iterable[str]) -> None:
    """Add the folders around a file to its columns, but those that it has itself."""
    there = set(map(fold, own))
    for folder in partition_of(cells.path).split("/")[:-1]:
        name, written = map(unquote, folder.split("=", 1))
        if fold(name) in there:
            continue
        content = "NULL" if written == NO_VALUE else text(written)
        cells.columns[name] = (f"{content}::VARCHAR", "")


def _find_kinds(engine: Engine, tables: Sequence[Cells], kinds: Kinds, cast_text: bool) -> None:
    """Find the types of columns that nobody knows; refuse a cell that does not fit its column."""
    tried: dict[str, list[str]] = {}
    for cells in tables:
        for name in set(map(fold, cells.columns)) - kinds.keys():
            tried[name] = list(TRIED)
    for cells in tables:
        for name, kind, first in _misfits(engine, cells, kinds, tried):
            if fold(name) in tried and kind != "VARCHAR":
                tried[fold(name)].remove(kind)
                continue
            kinds[fold(name)] = "VARCHAR"
            if not cast_text:
                problem = f"column {name!r} holds {first['cell'][:60]!r}, which is no {kind}"
                raise cells.refuse(problem, first["row"])
    kinds |= {name: fitting[0] for name, fitting in tried.items() if name not in kinds}
    _tell(tables, kinds, tried)


def _tell(tables: Sequence[Cells], kinds: Kinds, tried: Mapping[str, Any]) -> None:
    """Say which types were found by cells alone."""
    for cells in tables:
        found = [f"{name} {kinds[fold(name)]}" for name in cells.columns if fold(name) in tried]
        if found:
            words = "no other file says the types of columns; by all cells"
            warn(f"{cells.path}: {words}: {', '.join(found)}")


def _misfits(
    engine: Engine, cells: Cells, kinds: Kinds, tried: Mapping[str, Sequence[str]]
) -> Sequence[tuple[str, str, Any]]:
    """Find the columns with cells that do not fit: the name, the type, and the first such cell."""
    asked = []
    values = ["count(*)"]
    for name, (cell, spelled) in cells.columns.items():
        for kind in tried.get(fold(name)) or [kinds[fold(name)]]:
            condition = misfit(cell, spelled, kind, fold(name) in tried)
            values.append(f"min({{'row': row, 'cell': {cell}}}) FILTER (WHERE {condition})")
            asked.append((name, kind))
    rows = f"SELECT *, row_number() OVER () AS row FROM {cells.table}"
    [found] = engine.execute(f"SELECT {', '.join(values)} FROM ({rows})").fetchall()
    return [(*pair, first) for pair, first in zip(asked, found[1:]) if first]


def _write(engine: Engine, cells: Cells, kinds: Kinds) -> None:
    """Write the rows of a file, each cell with the type of its column."""
    values = []
    for name, (cell, _) in cells.columns.items():
        if kinds[fold(name)] != NULL_TYPE:
            values.append(f"{value(cell, kinds[fold(name)])} AS {quote(name)}")
    rows = f"SELECT {', '.join(values)} FROM {cells.table}"
    if not values and ends_with(cells.path, TEXT):
        raise cells.refuse("it holds no value")
    if ends_with(cells.path, TEXT):
        engine.execute(copy_statement(rows, cells.parquet, {}))
    elif values:
        added = engine.sql(rows).to_arrow_table()
        _write_batches(cells, {name: added[name][0] for name in added.column_names})


def _write_batches(cells: Cells, constants: Mapping[str, Any]) -> None:
    """Write the rows of a parquet or Arrow file, with the same value of a column in each row.

    Raises:
        BadInput: the file cannot be read, or holds what parquet cannot.
    """
    import pyarrow
    from pyarrow import dataset, feather, parquet

    file = cells.path
    try:
        if ends_with(file, PARQUET):
            found = dataset.dataset([str(part) for part in parts_of(file)], format="parquet")
        else:
            found = feather.read_table(file)
        schema = found.schema
        for name, constant in constants.items():
            schema = schema.append(pyarrow.field(name, constant.type))
        with parquet.ParquetWriter(cells.parquet, schema, compression="zstd") as writer:
            for batch in found.to_batches():
                added = [pyarrow.repeat(one, batch.num_rows) for one in constants.values()]
                writer.write_batch(pyarrow.record_batch([*batch.columns, *added], schema=schema))
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise cells.refuse(f"it cannot be read as {file.suffix}: {reason}") from None
