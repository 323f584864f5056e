"""Names and plain values of params, as rows hold them."""

import math
import re
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
    """Yield the name and the plain value of each param, nested ones too.

    Example: `flatten("model", {"tree": {"depth": 3}})` yields `("model_tree_depth", 3)`.
    """
    for key, value in params.items():
        name = f"{prefix}{joint}{key}"
        if isinstance(value, Mapping):
            yield from flatten(name, value, joint)
        else:
            yield name, to_plain(value)


def to_plain(value: Any) -> Value:
    """Turn numpy scalars, paths, dates and containers into what SQLite stores.

    xetrack would pickle them, and record the name of the pickle.
    """
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return int(value)
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if value is None or isinstance(value, str):
        return value
    return value.isoformat() if isinstance(value, date) else str(value)


def check_name(name: str) -> str:
    """Return `name` when it can be a column or table name; raise ValueError when it cannot."""
    if not name.strip():
        raise ValueError("a name must not be empty")
    if re.search(r"[\x00-\x1f]", name):
        raise ValueError("a name must not hold control characters")
    return name
