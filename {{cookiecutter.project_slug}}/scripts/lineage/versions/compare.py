"""What differs between two versions: params, metrics, data, predictions, code."""

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lineage.core import paths
from lineage.core.errors import LineageError
from lineage.results.leaderboard import metric_names
from lineage.runs.run_database import PREDICTIONS
from lineage.tables.engine import open_engine
from lineage.tables.parquet_files import scan
from lineage.tables.sql import quote, quote_all
from lineage.tables.sqlite_files import attached, describe_tables, open_read_only
from lineage.tracked.git import git, has_commit, main_root
from lineage.tracked.remote import obtain
from lineage.versions.tags import Results, params_of

HEADER = ("section", "name", "v1", "v2", "delta", "percent")
Difference = tuple[str, str, Any, Any, "float | None", "float | None"]


def compare(
    root: Path, left: Results, right: Results, keys: Sequence[str], limit: int
) -> list[Difference]:
    """Compare the best runs of two versions.

    Args:
        root: the project's root.
        left, right: see there.
        keys: `merge.data_key_columns`, which make two rows of data the same row.
        limit: at most so many flipped predictions are named; all are counted.
    Returns:
        rows below `HEADER`; what cannot be known is None.
    """
    runs = left.runs[0], right.runs[0]
    rows: list[Difference] = []
    params = [params_of(run) for run in runs]
    for name in dict.fromkeys([*params[0], *params[1]]):
        values = params[0].get(name), params[1].get(name)
        rows += [("params", name, *values, *change(*values))] if values[0] != values[1] else []
    for name in dict.fromkeys([*metric_names(left.database), *metric_names(right.database)]):
        rows.append(
            ("metrics", name, *(values := (runs[0].get(name), runs[1].get(name))), *change(*values))
        )
    for path, column in ((paths.TRAIN_DATA, "data_hash"), (paths.TEST_DATA, "test_hash")):
        rows += _data(root, path, runs[0].get(column), runs[1].get(column), keys)
    rows += _predictions(left, right, limit)
    commits = [
        results.tag.commit if results.tag else results.runs[0].get("git_commit")
        for results in (left, right)
    ]
    return rows + list(_code(root, *commits))


def change(before: Any, after: Any) -> tuple[float | None, float | None]:
    """The difference of two numbers, and in per cent of the first; None where there is none (NULL, text, from zero)."""
    if not all(
        isinstance(value, (int, float)) and math.isfinite(value) for value in (before, after)
    ):
        return None, None
    delta = after - before
    return delta, 0.0 if delta == 0 else delta / abs(before) * 100 if before else None


def readable(rows: Sequence[Difference]) -> list[tuple[Any, ...]]:
    """Write deltas for people: with a sign, and per cent."""
    signed = [None if row[4] is None else f"{row[4]:+.4f}".removesuffix(".0000") for row in rows]
    return [
        (*row[:4], delta, None if row[5] is None else f"{row[5]:+.2f} %")
        for row, delta in zip(rows, signed)
    ]


def _data(
    root: Path, path: str, left: str | None, right: str | None, keys: Sequence[str]
) -> list[Difference]:
    rows: list[Difference] = [("data", path, left and left[:6], right and right[:6], None, None)]
    if left == right or not left or not right or not re.fullmatch("[0-9a-f]{64}", left + right):
        return rows
    try:
        found = data_changes(obtain(main_root(root), left), obtain(main_root(root), right), keys)
    except LineageError as error:
        return [*rows, ("data", f"{path}: {error.problem}", None, None, None, None)]
    return rows + [
        ("data", f"{path}: {name}", *pair, *change(*pair)) for name, pair in found.items()
    ]


def data_changes(left: Path, right: Path, keys: Sequence[str]) -> dict[str, tuple[Any, Any]]:
    """Compare two parquet files.

    Args:
        left, right: the files.
        keys: columns that make two rows the same row; empty, or not in both files: the whole row.
    Returns:
        `rows` of each; `rows added`, `rows removed`, `rows changed` (None and a count); for each column that is not
        the same in both, `column NAME`: its types.
    Raises:
        BadInput: a file is not parquet.
    """
    with open_engine() as connection:
        files = [scan(path) for path in (left, right)]
        types = [
            {row[0]: row[1] for row in connection.execute(f"DESCRIBE FROM {file}").fetchall()}
            for file in files
        ]
        shared = [name for name in types[0] if name in types[1]]
        columns = (
            ", ".join(_alike(name, types[0][name] == types[1][name]) for name in shared)
            or "1 AS nothing"
        )
        for name, file in zip("lr", files):
            connection.execute(f"CREATE VIEW {name} AS SELECT {columns} FROM {file}")
        key = quote_all(keys if keys and set(keys) <= set(shared) else shared) or "*"
        whole = quote_all(shared) or "*"
        before, after, added, removed, new = connection.execute(
            "SELECT (SELECT count(*) FROM l), (SELECT count(*) FROM r),"
            f" (SELECT count(*) FROM (SELECT {key} FROM r EXCEPT ALL SELECT {key} FROM l)),"
            f" (SELECT count(*) FROM (SELECT {key} FROM l EXCEPT ALL SELECT {key} FROM r)),"
            f" (SELECT count(*) FROM (SELECT {whole} FROM r EXCEPT ALL SELECT {whole} FROM l))"
        ).fetchone()
    found = {"rows added": added, "rows removed": removed, "rows changed": new - added}
    kinds = {name: (types[0].get(name), types[1].get(name)) for name in [*types[0], *types[1]]}
    schema = {f"column {name}": pair for name, pair in kinds.items() if pair[0] != pair[1]}
    return {
        "rows": (before, after),
        **{name: (None, count) for name, count in found.items()},
        **schema,
    }


def _alike(name: str, one_type: bool) -> str:
    """A column so that both files compare; where its type differs, numbers by value and everything else as text."""
    column = quote(name)
    return (
        column
        if one_type
        else f"coalesce(TRY_CAST({column} AS DOUBLE)::VARCHAR, {column}::VARCHAR) AS {column}"
    )


def _predictions(left: Results, right: Results, limit: int) -> list[Difference]:
    """Items that both best runs predicted, and those of which the prediction differs."""
    need = {"track_id", "item_id", "predicted"}
    with open_read_only(left.database) as connection, attached(connection, right.database, "other"):
        tables = [
            describe_tables(connection, schema).get(PREDICTIONS) for schema in ("main", "other")
        ]
        if not all(table and need <= set(table.column_names) for table in tables):
            return [
                (
                    "predictions",
                    f"items in both ({', '.join(sorted(need))} not recorded)",
                    None,
                    None,
                    None,
                    None,
                )
            ]
        place = "row_number() OVER (PARTITION BY item_id ORDER BY rowid) AS place"  # an item may be predicted twice
        sides = [
            f"(SELECT item_id, predicted, {place} FROM {schema}.{PREDICTIONS} WHERE track_id = ?)"
            for schema in ("main", "other")
        ]
        pairs = connection.execute(
            f"SELECT l.item_id, l.predicted, r.predicted FROM {sides[0]} l JOIN {sides[1]} r"
            " ON l.item_id = r.item_id AND l.place = r.place ORDER BY l.item_id, l.place",
            (left.runs[0]["track_id"], right.runs[0]["track_id"]),
        ).fetchall()
    flipped = [pair for pair in pairs if pair[1] != pair[2]]
    rows: list[Difference] = [("predictions", "items in both", len(pairs), len(pairs), None, None)]
    rows.append(("predictions", "flipped", None, len(flipped), None, None))
    return rows + [
        ("predictions", f"item {item}", *pair, None, None) for item, *pair in flipped[:limit]
    ]


def _code(root: Path, left: str | None, right: str | None) -> Iterator[Difference]:
    """Lines removed and added in each file, as `git diff --numstat` counts them."""
    yield "code", "commit", left and left[:7], right and right[:7], None, None
    if not (left and right and has_commit(root, left) and has_commit(root, right)):
        yield "code", "not in this clone (git fetch --unshallow)", None, None, None, None
        return
    options = ("--numstat", "--no-ext-diff", "--no-renames", "--relative", "-z")
    for line in (git(root, "diff", *options, left, right, "--", ".") or "").split("\0")[:-1]:
        added, removed, name = line.split("\t", 2)
        yield "code", name, f"-{removed}", f"+{added}", None, None
