"""Merges that the command line asks for: any files, into any output, after the user agreed."""

import glob
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lineage.core.console import progress
from lineage.core.errors import BadInput, Refused
from lineage.core.paths import find_root
from lineage.merge.data import merge_data
from lineage.merge.databases import merge_databases
from lineage.merge.inbox import expand
from lineage.merge.origin_of_copy import find_origins
from lineage.merge.plan import Plan
from lineage.merge.rules import Rules
from lineage.tracked.backup_tag import pin, where_recorded
from lineage.tracked.guarded_output import check_base, keep_recoverable, locked
from lineage.tracked.recorded import recorded_md5
from lineage.tracked.whole_file import same_bytes, write_whole

Merge = Callable[[Path], list[Plan]]
"""Writes the merged file at a path and says what changed."""


@dataclass(frozen=True)
class Request:
    """What the command line asks for.

    Attributes:
        base: the accumulated file (for parquet: file, folder or glob); None: start empty.
        sources: incoming files, folders or globs.
        output: where the result goes; may be the base.
        rules: how.
        confirm: is asked before a rebase replaces rows.
        backup_tag: a Git tag to make first, from which the output's present bytes can be had.
    """

    base: str | None
    sources: Sequence[str]
    output: Path
    rules: Rules
    confirm: Callable[[str], bool]
    backup_tag: str | None = None


def merge_databases_by_hand(request: Request, origin: Path | None = None) -> list[Plan]:
    """Merge databases.

    Args:
        request: what to merge.
        origin: what the sources began as a copy of; None: it is looked for.
    Raises:
        BadInput: a file is missing or does not fit.
        Refused: the user declined, the output's guard, or a conflict.
    """
    sources = expand(request.sources, ".db")
    bases = _bases(request, ".db")
    if len(bases) > 1:
        problem = f"{request.base} is {len(bases)} databases; the base is one"
        raise BadInput(problem, "merge the others in by --exp-db")
    root, name = place_of(request.output)
    with locked(root, name):
        base = next(iter(_checked(root, name, request.output, bases)), None)
        origins = dict.fromkeys(sources, origin) if origin else {}
        rules = request.rules
        if base:
            found = origins or find_origins(root, name, base, sources)
            rules = replace(rules, ancestors=found)

        def merge(file: Path) -> list[Plan]:
            return merge_databases(base, sources, file, rules)

        return _write(request, base == request.output, merge)


def merge_data_by_hand(request: Request) -> list[Plan]:
    """Merge parquet files; arguments and errors as in `merge_databases_by_hand`."""
    sources = expand(request.sources, ".parquet")
    bases = _bases(request, ".parquet")
    root, name = place_of(request.output)
    with locked(root, name):
        bases = _checked(root, name, request.output, bases)

        def merge(file: Path) -> list[Plan]:
            return [merge_data(bases, sources, file, request.rules, name)]

        return _write(request, bases == [request.output], merge)


def _bases(request: Request, ending: str) -> list[Path]:
    """Find the files of the base."""
    if not request.base:
        return []
    if not Path(request.base).exists() and not glob.has_magic(request.base):
        problem = f"{request.base} does not exist; leave the option out to start without a base"
        raise BadInput(problem)
    return expand([request.base], ending)


def _checked(root: Path, name: str, output: Path, bases: list[Path]) -> list[Path]:
    """Check the base where it is the output itself, under whatever path it was given."""
    if len(bases) == 1 and output.exists() and bases[0].samefile(output):
        check_base(root, name)
        return [output]
    return bases


def _write(request: Request, in_place: bool, merge: Merge) -> list[Plan]:
    """Merge into the output, whole or not at all, once the user agreed.

    Args:
        request: what was asked for; the output's lock is held.
        in_place: the output is the base.
        merge: writes the merged file.
    """
    root, name = place_of(request.output)
    plans: list[Plan] = []

    def build(temporary: Path) -> bool:
        with progress(f"merging {len(request.sources)} files into {name}"):
            plans.extend(merge(temporary))
        if request.rules.dry_run:
            return False
        _ask(request, plans)
        if in_place and all(plan.is_empty for plan in plans):
            return False
        output = request.output
        overwrites = not in_place and output.exists() and not same_bytes(temporary, output)
        if overwrites or (in_place and any(plan.replaced for plan in plans)):
            keep_recoverable(root, name)
        return True

    write_whole(request.output, build)
    return plans


def _ask(request: Request, plans: Sequence[Plan]) -> None:
    """Let the user agree to what a rebase replaces, and pin the present bytes where that is wanted.

    Raises:
        Refused: the user declined.
    """
    root, name = place_of(request.output)
    replaced = sum(plan.replaced for plan in plans)
    if request.rules.strategy == "rebase" and replaced:
        lines = [plan.line() for plan in plans]
        if request.output.exists():
            lines.append(f"The present {name} is {where_recorded(root, name)}")
        lines.append(f"Replace {replaced} rows of {name}?")
        if not request.confirm("\n".join(lines)):
            raise Refused("not confirmed; nothing was changed")
    if request.backup_tag:
        pin(root, name, request.backup_tag)


def next_step(output: Path) -> str | None:
    """Name the command that records an output which DVC tracks, after it was written by hand."""
    root, name = place_of(output)
    if recorded_md5(root, name) is None:
        return None
    return f"next: dvc commit {name} && git commit --all"


def place_of(output: Path) -> tuple[Path, str]:
    """Find the project's root, or outside a project the folder, and the output relative to it.

    A link is not followed.
    """
    place = output.parent.resolve() / output.name
    try:
        root = find_root(place.parent)
    except BadInput:
        root = place.parent
    return root, place.relative_to(root).as_posix()
