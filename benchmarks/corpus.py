"""Any folder of parquet, SQLite and DuckDB files goes through merges, and comes out cell by cell as pyarrow, sqlite3 and DuckDB read it.

    python benchmarks/corpus.py /usr/lib/python3/dist-packages

Each file is merged into nothing, merged again into the result (which must add nothing), and, cut in two by another library,
merged as two halves. Each in a process of its own. Prints a line for each kind of outcome: `ok`, `refused` with the reason and how
many, and each file that is `wrong`, ends in a traceback, crashes or hangs; exit code 1 if there is one of those.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from forked import in_a_fork

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "{{cookiecutter.project_slug}}/scripts")]

from lineage.core.errors import LineageError  # noqa: E402 — the project's scripts are found first
from lineage.extras.formats.as_sqlite import is_duckdb  # noqa: E402
from lineage.extras.merge_artifacts.databases import merge_databases  # noqa: E402
from lineage.merge.data import merge_data  # noqa: E402
from lineage.merge.inbox import DATABASES, PARQUET  # noqa: E402
from lineage.merge.rules import Rules  # noqa: E402
from lineage.tables.sqlite_reading import is_sqlite  # noqa: E402

ALL = Rules("merge")
MOST_CELLS = 3_000_000
"""Of larger files the rows are counted only."""

Cells = dict[str, Counter[Any]]
"""Of each table, its rows as they can be compared, and how often each is there."""


def find(folder: Path) -> Iterator[Path]:
    """Every parquet file and database below a folder."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            ending = path.suffix.lower()
            if ending in (*PARQUET, *DATABASES) or is_sqlite(path):
                yield path


def plain(value: Any) -> Any:
    """A value as it can be compared and counted: NaN equals NaN, and 0.0 is not -0.0."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else repr(value)
    if isinstance(value, dict):
        return tuple((name, plain(part)) for name, part in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(plain, value))
    return value if value is None or isinstance(value, str | bytes | int) else repr(value)


def comparable(column: Any) -> list[Any]:
    """The values of a column of pyarrow: times as nanoseconds, categories as what they stand for."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        return comparable(column.cast(kind.value_type))
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind) or pa.types.is_time(kind):
        factor = {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}[kind.unit]
        number = column.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
        zone = "zone" if getattr(kind, "tz", None) else ""
        return [(None if one is None else one * factor, zone) for one in number.to_pylist()]
    if pa.types.is_float16(kind):
        column = column.cast(pa.float32())
    return [plain(one) for one in column.to_pylist()]


def parquet_rows(paths: Iterable[Path]) -> Cells:
    """The rows of parquet files by pyarrow, each with the names of its columns that are not NULL."""
    import pyarrow.parquet as pq

    rows: Counter[Any] = Counter()
    for path in paths:
        table = pq.ParquetFile(path).read()
        if table.num_rows * table.num_columns > MOST_CELLS:
            rows["rows"] += table.num_rows
            continue
        columns = {
            name.lower(): comparable(column) for name, column in zip(table.column_names, table.columns, strict=True)
        }
        for number in range(table.num_rows):
            cells = [(name, values[number]) for name, values in columns.items()]
            rows[
                tuple(sorted((cell for cell in cells if cell[1] not in (None, (None, ""), (None, "zone"))), key=repr))
            ] += 1
    return {"rows": rows}


def sqlite_rows(path: Path) -> Cells:
    """The rows of the tables of a SQLite file by sqlite3, with the storage class of each value."""
    found = {}
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
        connection.text_factory = bytes
        tables = connection.execute(
            "SELECT name FROM pragma_table_list WHERE type = 'table' AND schema = 'main'"
        ).fetchall()
        for (name,) in tables:
            table = name.decode()
            if table.startswith(("sqlite_", "lineage_")):
                continue
            quoted = '"{}"'.format(table.replace('"', '""'))
            about = connection.execute(f"SELECT * FROM {quoted}")
            names = sorted(column[0].lower() for column in about.description)
            cells = [f'"{column}"'.replace('""', '"') for column in names]
            values = ", ".join(f"typeof({cell}), {cell}" for cell in cells)
            found[table] = Counter(
                tuple(map(plain, row)) for row in connection.execute(f"SELECT {values} FROM {quoted}")
            )
    return found


def duckdb_rows(path: Path) -> Cells:
    """How many rows each table of a DuckDB file has: what its values become in SQLite is decided by us."""
    import duckdb

    with closing(duckdb.connect(str(path), read_only=True)) as connection:
        names = [name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
        return {name: Counter({"rows": connection.table(name).count("*").fetchall()[0][0]}) for name in names}


def halves_of_parquet(path: Path, folder: Path) -> list[Path]:
    """Two files with half the rows each, by pyarrow."""
    import pyarrow.parquet as pq

    table = pq.ParquetFile(path).read()
    middle = table.num_rows // 2
    parts = [folder / "first.parquet", folder / "second.parquet"]
    for part, rows in zip(parts, (table.slice(0, middle), table.slice(middle)), strict=True):
        pq.write_table(rows, part)
    return parts


def halves_of_sqlite(path: Path, folder: Path) -> list[Path]:
    """Two copies, of which each lacks the rows that the other one has."""
    parts = [folder / "first.db", folder / "second.db"]
    for left, part in enumerate(parts):
        shutil.copyfile(path, part)
        part.chmod(0o644)
        with closing(sqlite3.connect(part)) as connection, connection:
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute('DROP TRIGGER "{}"'.format(name.replace('"', '""')))
            tables = "SELECT name FROM pragma_table_list WHERE type = 'table' AND schema = 'main' AND NOT wr"
            for (name,) in connection.execute(tables).fetchall():
                if not name.startswith("sqlite_"):
                    quoted = name.replace('"', '""')
                    connection.execute(f'DELETE FROM "{quoted}" WHERE abs(rowid) % 2 = {left}')
    return parts


def difference(expected: Cells, found: Cells) -> str:
    """What differs between rows as they should be and as they are; empty: nothing."""
    for table in expected.keys() | found.keys():
        wanted = expected.get(table, Counter())
        there = found.get(table, Counter())
        if wanted != there:
            lost = wanted - there
            more = there - wanted
            sample = next(iter(lost or more))
            return f"{table}: {lost.total()} rows lost, {more.total()} that nobody sent; {repr(sample)[:300]}"
    return ""


def check(path: Path) -> tuple[str, str]:
    """Send one file through merges; return the outcome and what is to say about it."""
    with tempfile.TemporaryDirectory(prefix="corpus-") as name:
        folder = Path(name)
        try:
            problem = check_database(path, folder) if is_database(path) else check_parquet(path, folder)
        except LineageError as error:
            return "refused", reason(error)
        return ("wrong", problem) if problem else ("ok", "")


def is_database(path: Path) -> bool:
    return is_sqlite(path) or is_duckdb(path) or path.suffix.lower() in DATABASES


def reason(error: LineageError) -> str:
    """The words of an error without the names in it, so that equal reasons can be counted."""
    words = re.sub(r"\S*/\S+", "FILE", error.problem.splitlines()[0])
    return re.sub(r"'[^']*'|\d+|[0-9a-f]{8,}", "…", words)[:160]


def check_parquet(path: Path, folder: Path) -> str:
    out, again, both = (folder / f"{name}.parquet" for name in ("out", "again", "both"))
    merge_data([], [path], out, ALL, "data")
    try:
        expected = parquet_rows([path])
    except (OSError, ValueError, NotImplementedError) as error:
        return f"merged, but pyarrow cannot read it: {str(error)[:200]}"
    if problem := difference(expected, parquet_rows([out])):
        return f"into nothing: {problem}"
    if not merge_data([out], [path], again, ALL, "data").is_empty:
        return "the same twice adds rows"
    try:
        first, second = halves_of_parquet(path, folder)
    except (OSError, ValueError, NotImplementedError):
        return ""  # pyarrow cannot write it
    merge_data([], [first], folder / "half.parquet", ALL, "data")
    merge_data([folder / "half.parquet"], [second], both, ALL, "data")
    # equal rows of two files are one row, which has come already
    expected = {"rows": parquet_rows([first])["rows"] | parquet_rows([second])["rows"]}
    problem = difference(expected, parquet_rows([both]))
    return f"two halves: {problem}" if problem else ""


def check_database(path: Path, folder: Path) -> str:
    out = folder / "out.db"
    merge_databases(None, [path], out, ALL)
    if is_duckdb(path):
        counted = {name: Counter({"rows": rows.total()}) for name, rows in sqlite_rows(out).items()}
        problem = difference(duckdb_rows(path), counted)
    else:
        problem = difference(sqlite_rows(path), sqlite_rows(out))
    if problem:
        return f"into nothing: {problem}"
    if not all(plan.is_empty for plan in merge_databases(out, [path], folder / "again.db", ALL)):
        return "the same twice adds rows"
    return "" if is_duckdb(path) else check_halves(path, folder)


def check_halves(path: Path, folder: Path) -> str:
    try:
        first, second = halves_of_sqlite(path, folder)
    except sqlite3.Error:
        return ""  # SQLite cannot cut it, as without a module that it needs
    merge_databases(None, [first], folder / "half.db", ALL)
    merge_databases(folder / "half.db", [second], folder / "both.db", ALL)
    left, right = sqlite_rows(first), sqlite_rows(second)
    expected = {name: left.get(name, Counter()) | right.get(name, Counter()) for name in left | right}
    problem = difference(expected, sqlite_rows(folder / "both.db"))
    return f"two halves: {problem}" if problem else ""


def outcome_of(path: Path) -> tuple[Path, str, str]:
    how, told = in_a_fork(lambda: check(path))
    if how != "done":
        return path, how, str(told)
    return path, *told


def main() -> int:
    import adbc_driver_sqlite  # noqa: F401 — loaded once, and not in every fork
    import duckdb  # noqa: F401
    import pyarrow.dataset
    import pyarrow.parquet  # noqa: F401

    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    chosen = arguments.parse_args()
    files = list(find(chosen.folder.resolve()))
    counted: Counter[tuple[str, str]] = Counter()
    wrong = []
    with ThreadPoolExecutor(chosen.jobs) as pool:
        for path, outcome, told in pool.map(outcome_of, files):
            if outcome in ("ok", "refused"):
                counted[outcome, told] += 1
            else:
                wrong.append(f"{outcome}\t{path.relative_to(chosen.folder.resolve())}\t{told}")
    parquet = sum(1 for path in files if not is_database(path))
    print(f"{len(files)} files: {parquet} parquet, {len(files) - parquet} databases")
    print(f"ok\t{counted.pop(('ok', ''), 0)}")
    print(f"refused\t{counted.total()}")
    for (_, told), count in counted.most_common():
        print(f"  {count}\t{told}")
    print("\n".join([f"wrong\t{len(wrong)}", *wrong]))
    return min(1, len(wrong))


if __name__ == "__main__":
    sys.exit(main())
