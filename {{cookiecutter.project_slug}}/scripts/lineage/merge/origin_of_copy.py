"""Find the sources that are copies of our own database; the extra `copies` finds their origins."""

from collections.abc import Iterable
from pathlib import Path

from lineage.core.errors import explain_missing
from lineage.core.paths import RUNS
from lineage.merge.run_ids import run_ids
from lineage.tables.sources import read_sources
from lineage.tables.sqlite_reading import is_sqlite


def find_origins(
    root: Path, name: str, base: Path | None, sources: Iterable[Path]
) -> dict[Path, Path]:
    """Find the recorded versions of an accumulated database that copies of it began as.

    A copy has a record of what was merged into it, or runs that the base has, too. The databases in
    which `train` leaves its runs are none.

    Args:
        root: the project's root.
        name: the accumulated database, relative to it.
        base: its present file; None: there is none.
        sources: incoming databases.

    Returns:
        by source, the object in the cache; none of a source that is no copy, or brings nothing new.

    Raises:
        BadInput: there is a copy, and the extra is not here.
    """
    if base is None:
        return {}
    ours = run_ids(base)
    others = [source for source in filter(is_sqlite, sources) if source.parent != root / RUNS]
    copies = [source for source in others if read_sources(source) or ours & run_ids(source)]
    if not copies:
        return {}
    with explain_missing("copies", f"{copies[0]}, a copy of {name},"):
        from lineage.extras.copies.origin import origins_of
    return origins_of(root, name, base, copies)
