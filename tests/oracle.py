"""What merge and rebase mean, in slow and obvious Python: lists of rows, no SQL, nothing shared with the real engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
OCCURRENCE = "occurrence of equal rows"


class Conflict(Exception):
    """One identity stands for two contents."""


@dataclass
class Sheet:
    """A table: its columns, and rows that may lack some of them (NULL)."""

    columns: list[str]
    rows: list[Row]


def key(row: Row, columns: Sequence[str]) -> tuple[Any, ...]:
    """Values of some columns, of which NULL equals NULL, and a number never equals a text or bytes."""
    return tuple(
        (type(row.get(name)) in (str, bytes) and type(row.get(name)).__name__, row.get(name)) for name in columns
    )


def tell_apart(rows: Sequence[Row], columns: Sequence[str]) -> list[Row]:
    """Number equal rows of one sheet: without a key, two equal rows are two rows."""
    seen: Counter[tuple[Any, ...]] = Counter()
    numbered = []
    for row in rows:
        seen[key(row, columns)] += 1
        numbered.append({**row, OCCURRENCE: seen[key(row, columns)]})
    return numbered


def combine(
    base: Sheet | None,
    sources: Sequence[Sheet],
    strategy: str,
    identity: Sequence[str],
    keys: Sequence[str],
    on_conflict: str,
) -> list[Row]:
    """The rows that belong in the output; those of the base first, in their order.

    Raises:
        Conflict: under merge with `fail`; under rebase, where a base row that stays has an incoming identity.
    """
    columns = list(dict.fromkeys(name for sheet in sources for name in sheet.columns))
    if not identity:
        parts = [tell_apart(sheet.rows, columns) for sheet in ([base] if base else []) + list(sources)]
        base = Sheet(base.columns, parts.pop(0)) if base else None
        numbered = [Sheet(sheet.columns, rows) for sheet, rows in zip(sources, parts)]
        rows = combine(base, numbered, strategy, [*columns, OCCURRENCE], keys, on_conflict)
        return [{name: value for name, value in row.items() if name != OCCURRENCE} for row in rows]
    old = list(base.rows) if base else []
    incoming = [row for sheet in sources for row in sheet.rows]
    settled: dict[tuple[Any, ...], Row] = {}
    there = {key(row, identity) for row in old}
    for row in incoming:
        before = settled.get(key(row, identity))
        if strategy == "merge" and on_conflict == "fail" and key(row, identity) in there:
            if any(key(mine, identity) == key(row, identity) and key(mine, row) != key(row, row) for mine in old):
                raise Conflict
        elif before is not None and key(before, columns) != key(row, columns):
            if strategy == "merge" and on_conflict == "fail":
                raise Conflict
            if strategy == "merge" and on_conflict == "base":
                continue
        settled[key(row, identity)] = row
    if strategy == "rebase":
        replaced = {key(row, keys) for row in incoming}
        equal = [
            row for row in old if (rival := settled.get(key(row, identity))) and key(rival, rival) == key(row, rival)
        ]
        present = {key(row, identity) for row in equal}
        if any(key(row, identity) in settled and key(row, keys) not in replaced for row in old):
            raise Conflict
        stays = [row for row in old if row in equal or key(row, keys) not in replaced]
        return stays + [row for name, row in settled.items() if name not in present]
    result, present = [], set()
    for row in old:
        rival = settled.get(key(row, identity))
        present.add(key(row, identity))
        if rival is not None and key(rival, rival) != key(
            row, rival
        ):  # its source may lack columns: nothing to compare
            if on_conflict == "fail":
                raise Conflict
            if on_conflict == "incoming":
                row = rival
        result.append(row)
    return result + [row for name, row in settled.items() if name not in present]
