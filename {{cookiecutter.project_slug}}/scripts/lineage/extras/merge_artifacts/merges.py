"""Merge any files into any output by hand, under the output's lock and checks."""

import glob
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lineage.core import paths
from lineage.core.console import progress
from lineage.core.errors import BadInput, Refused
from lineage.extras.merge_artifacts.backup_tag import pin, where_recorded
from lineage.extras.merge_artifacts.compact import compact
from lineage.extras.merge_artifacts.databases import merge_databases
from lineage.extras.merge_artifacts.given_files import expand
from lineage.merge.data import merge_data
from lineage.merge.inbox import DATA, DATABASES, Inbox
from lineage.merge.origin_of_copy import find_origins
from lineage.merge.plan import Plan
from lineage.merge.predictions import gather_predictions
from lineage.merge.rules import Rules
from lineage.merge.run_ids import PREDICTIONS
from lineage.tables.parts import is_parts
from lineage.tables.sources import add_sources, read_sources
from lineage.tracked.guarded_output import check_base, keep_recoverable, locked
from lineage.tracked.recorded import recorded_md5
from lineage.tracked.whole_file import Draft, draft_of, same_bytes


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
    """Merge databases; those of the project's own results bring their predictions along.

    Args:
        request: what to merge.
        origin: what the sources began as a copy of; None: it is looked for.

    Raises:
        BadInput: a file is missing or does not fit.
        Refused: the user declined, the output's guard, or a conflict.
    """
    sources = expand(request.sources, DATABASES)
    bases = _bases(request, DATABASES)
    if len(bases) > 1:
        problem = f"{request.base} is {len(bases)} databases; the base is one"
        others = " ".join(map(str, bases[1:]))
        raise BadInput(problem, f"--base-db {bases[0]} --exp-db {others}   # merges the others in")
    root, name = place_of(request.output)
    rules = request.rules
    is_ours = name == paths.DATABASE
    if is_ours:
        rules = replace(rules, left_out=(PREDICTIONS,))
    with locked(root, name), draft_of(request.output) as draft:
        base = next(iter(_checked(root, name, request.output, bases)), None)
        origins = dict.fromkeys(sources, origin) if origin else {}
        if base and not origins:  # whatever the output is called, the base's history counts
            origins = find_origins(*place_of(base), base, sources)
        rules = replace(rules, ancestors=origins)
        with progress(f"merging {len(sources)} files into {name}"):
            plans = merge_databases(base, sources, draft.path, rules)
        if not is_ours:
            return _publish(request, draft, base == request.output, plans)
        add_sources(draft.path, Inbox(root, request.rules, sources).as_sources())
        with gather_predictions(root, sources, draft.path, rules) as predictions:
            _publish(request, draft, base == request.output, plans)
            if not rules.dry_run:
                predictions.write()
        return [*plans, predictions.plan]


def merge_data_by_hand(request: Request) -> list[Plan]:
    """Merge parquet files; arguments and errors as in `merge_databases_by_hand`."""
    sources = expand(request.sources, DATA)
    root, name = place_of(request.output)
    with locked(root, name), draft_of(request.output) as draft:
        bases = _checked(root, name, request.output, _bases(request, DATA))
        alike = [request.output] if request.output.exists() else bases
        layout = "parts" if len(alike) == 1 and is_parts(alike[0]) else "file"
        rules = replace(request.rules, layout=request.rules.layout or layout)
        with progress(f"merging {len(sources)} files into {name}"):
            arriving = Inbox(root, rules, sources).as_sources
            plan = merge_data(bases, sources, draft.path, rules, name, arriving)
        return _publish(request, draft, bases == [request.output], [plan])


def compact_by_hand(data: Path) -> str:
    """Fold the small parts of a folder together; return what there was to do.

    Raises:
        BadInput: it is no folder of parts.
        Refused: the guard of the folder.
    """
    root, name = place_of(data)
    with locked(root, name), draft_of(data) as draft:
        check_base(root, name)
        if not is_parts(data):
            remedy = "set merge.data_layout: parts in params.yaml, then: dvc repro"
            raise BadInput(f"{name} is no folder of parts", remedy)
        before, after = compact(data, draft.path, name)
        if before == after:
            return f"nothing to do: no neighbours among the {before} parts of {name} are small"
        draft.publish()
        return f"{name}: {before} parts became {after}"


def _bases(request: Request, endings: Sequence[str]) -> list[Path]:
    """Find the files of the base."""
    if not request.base:
        return []
    if not Path(request.base).exists() and not glob.has_magic(request.base):
        problem = f"{request.base} does not exist; leave the option out to start without a base"
        raise BadInput(problem)
    return expand([request.base], endings)


def _checked(root: Path, name: str, output: Path, bases: list[Path]) -> list[Path]:
    """Check the base where it is the output itself, under whatever path it was given."""
    if len(bases) == 1 and output.exists() and bases[0].samefile(output):
        check_base(root, name)
        return [output]
    return bases


def _publish(request: Request, draft: Draft, in_place: bool, plans: list[Plan]) -> list[Plan]:
    """Put the merged file into the output's place, once the user agreed; return the plans.

    Args:
        request: what was asked for; the output's lock is held.
        draft: the merged file.
        in_place: the output is the base.
        plans: what changed.
    """
    if request.rules.dry_run:
        return plans
    _ask(request, plans)
    output = request.output
    is_same = output.exists() and (
        all(plan.is_empty for plan in plans)
        and read_sources(draft.path) == read_sources(output)
        and draft.path.is_dir() == output.is_dir()
        if in_place
        else same_bytes(draft.path, output)
    )
    if is_same:
        return plans
    if output.exists() and (not in_place or any(plan.replaced for plan in plans)):
        keep_recoverable(*place_of(output))
    draft.publish()
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


def next_steps(output: Path) -> list[str]:
    """Name the commands that record, or take back, what was merged into a tracked output."""
    root, name = place_of(output)
    if recorded_md5(root, name) is None:
        return []
    names = f"{name} {paths.PREDICTIONS}" if name == paths.DATABASE else name
    return [
        f"next: dvc commit --force {name} && git commit --all",
        f"to take it back: dvc checkout --force {names}   # as dvc.lock has it",
    ]


def place_of(output: Path) -> tuple[Path, str]:
    """Find the project's root, or outside a project the folder, and the output relative to it.

    A link is not followed.
    """
    place = output.parent.resolve() / output.name
    try:
        root = paths.find_root(place.parent)
    except BadInput:
        root = place.parent
    return root, place.relative_to(root).as_posix()
