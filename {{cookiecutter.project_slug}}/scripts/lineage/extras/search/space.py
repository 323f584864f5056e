"""The space of a search: `{model.C: {low: 0.1, high: 10, log: true}, model.kind: [a, b]}`.

A trial draws a number from each range, and from each list the place of a value in it.
"""

from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from lineage.core.errors import BadInput

Values = dict[str, Any]
PLACE = "params.yaml: sweep.search.space"
ALLOWED = (
    "a list of values, or {low: 0.1, high: 10} with low < high, "
    "and log: true (then low > 0) or step: 0.1 if wanted"
)


def read_space(space: Values) -> dict[str, BaseDistribution]:
    """Translate a space for Optuna. A range of whole numbers is one whose numbers are whole.

    Raises:
        BadInput: it is empty, or no trial could draw from it.
    """
    if not space:
        raise BadInput(f"{PLACE}: {{}} is not allowed; allowed: values by key of model")
    wrong = [key for key, values in space.items() if not _can_draw(values)]
    if wrong:
        rule = f"is not allowed; allowed: {ALLOWED}"
        raise BadInput("\n".join(f"{PLACE}.{key}: {space[key]!r} {rule}" for key in wrong))
    return {key: _distribution(values) for key, values in space.items()}


def _can_draw(values: Any) -> bool:
    """Tell whether values are as `ALLOWED` says."""
    match values:
        case {"low": int() | float() as low, "high": int() | float() as high, **options}:
            match [*options.items()]:
                case [] | [("log", False)]:
                    return low < high
                case [("log", True)]:
                    return 0 < low < high
                case [("step", int() | float() as step)]:
                    return low < high and step > 0
    return isinstance(values, list) and values != []


def _distribution(values: Any) -> BaseDistribution:
    if isinstance(values, list):
        return CategoricalDistribution(range(len(values)))
    if float in map(type, values.values()):
        return FloatDistribution(**values)
    return IntDistribution(**values)


def samples(space: Values) -> list[Values]:
    """List points with values of all types that trials can draw."""
    points = []
    for key, values in space.items():
        ends = values.values() if isinstance(values, dict) else values
        points += [{key: end} for end in ends]
    return points


def to_point(space: Values, drawn: Values) -> Values:
    """Turn what a trial has drawn into a point: `{model.C: 0.3, model.kind: b}`."""
    point = {}
    for key, values in space.items():
        point[key] = values[drawn[key]] if isinstance(values, list) else drawn[key]
    return point


def find_drawn(space: Values, point: Values) -> Values:
    """Find what a trial draws to be a point of the sweep; nothing, if none could be it."""
    drawn = {}
    for key, value in point.items():
        match space.get(key), value:
            case {"low": low, "high": high}, int() | float() if low <= value <= high:
                drawn[key] = value
            case [*values], _ if value in values:
                drawn[key] = values.index(value)
            case _:
                return {}
    return drawn if drawn.keys() == space.keys() else {}
