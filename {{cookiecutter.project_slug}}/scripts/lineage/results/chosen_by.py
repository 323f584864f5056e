"""Which metric a run of a sweep is chosen by."""

from collections.abc import Iterable


def choice_metric(names: Iterable[str], metric: str) -> str:
    """Name `val_<metric>` where the names have it, else `metric`."""
    on_validation = f"val_{metric}"
    return on_validation if on_validation in names else metric
