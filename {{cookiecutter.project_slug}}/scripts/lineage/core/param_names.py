"""Names and plain values of params, as rows hold them."""

import math
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

Value = int | float | str | None


def is_param(name: str) -> bool:
    """Tell whether a column holds a param of the model: `model_C` does, `model_hash` does not."""
    return name.startswith("model_") and name != "model_hash"


def flatten(
    prefix: str, params: Mapping[str, Any], joint: str = "_"
) -> Iterator[tuple[str, Value]]:
    """Yield `prefix_key` and a plain value for each param, nested mappings included."""
    for key, value in params.items():
        name = f"{prefix}{joint}{key}"
        yield from (
            flatten(name, value, joint) if isinstance(value, Mapping) else [(name, to_plain(value))]
        )


def to_plain(value: Any) -> Value:
    """Turn numpy scalars, paths, dates and containers into what SQLite stores; xetrack would pickle them."""
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        value = value.item()
    if isinstance(value, int):
        return int(value) if -(1 << 63) <= value < 1 << 63 else str(value)
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if value is None or isinstance(value, str):
        return value
    return value.isoformat() if isinstance(value, date) else str(value)


def check_name(name: str) -> str:
    """Return `name` when it can be a column or table name; raise ValueError when it cannot."""
    if not name.strip():
        raise ValueError("a name must not be empty")
    if any(ord(character) < 32 for character in name):
        raise ValueError("a name must not hold control characters")
    return name
