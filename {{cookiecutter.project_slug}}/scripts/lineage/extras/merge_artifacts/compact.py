"""Choose which small neighbouring parts of data become one, up to `data_files.PART_ROWS` rows."""

from pathlib import Path

from lineage.merge import data_files
from lineage.tables.engine import open_engine
from lineage.tables.parquet_files import count_rows_of, scan
from lineage.tables.parts import parts_of, place_of_part
from lineage.tables.sources import read_notes


def compact(data: Path, output: Path, name: str) -> tuple[int, int]:
    """Write `output`: the parts of a folder, small neighbours folded together.

    A part that is made of several has the place of the first. Rows, order and record stay.

    Args:
        data: a folder of parts.
        output: a path that does not exist.
        name: what messages call the data.

    Returns:
        how many parts with rows there were, and how many there are.

    Raises:
        Refused: the output cannot be written.
    """
    with open_engine() as engine:
        *parts, record = parts_of(data)
        output.mkdir()
        folder = data_files.PartFolder(engine, output, name, read_notes(engine, parts_of(data)[0]))
        folder.take_over(record)
        groups: list[list[Path]] = []
        size = data_files.PART_ROWS
        for part, rows in count_rows_of(engine, parts).items():
            size += rows
            if size > data_files.PART_ROWS:
                groups.append([])
                size = rows
            groups[-1].append(part)
        for first, *others in groups:
            if others:
                folder.write(f"FROM {scan([first, *others])}", place_of_part(first))
            else:
                folder.take_over(first)
        return len(parts), len(groups)
