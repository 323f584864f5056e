"""The verbs behind `merge_artifacts.py`: which files are merged, by which rules, into which guarded output."""

import glob
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lineage.core import paths
from lineage.core.console import Say, progress
from lineage.core.errors import BadInput, Refused
from lineage.core.params import Promote, read_params
from lineage.merge.data import merge_data
from lineage.merge.databases import merge_databases
from lineage.merge.origin_of_copy import find_ancestor
from lineage.merge.rules import Plan, Rules
from lineage.tracked.backup_tag import pin, where_recorded
from lineage.tracked.guarded_output import check_base, keep_recoverable, locked
from lineage.tracked.recorded import recorded_md5
from lineage.tracked.whole_file import same_bytes, write_whole


def merge_data_stage(say: Say) -> None:
    """Merge the batches of `data/incoming` into `data/train.parquet`, as params.yaml says.

    Raises:
        BadInput: no batch at all, or one that does not fit.
        Refused: the guard of `accumulate`, or a conflict.
    """
    root = paths.find_root()
    merge = read_params(root / paths.PARAMS).merge
    rules = Rules(
        merge.data_strategy, tuple(merge.data_key_columns), on_conflict=merge.data_on_conflict
    )
    target = root / paths.TRAIN_DATA
    with locked(root, paths.TRAIN_DATA):
        base = check_base(root, paths.TRAIN_DATA)
        batches = find_files(root / paths.INCOMING_DATA, ".parquet")
        if not batches and base is None:
            problem = f"{paths.INCOMING_DATA}/ holds no .parquet file, and there is no {paths.TRAIN_DATA} yet"
            raise BadInput(problem, f"drop a batch into {paths.INCOMING_DATA}/")
        if not batches:
            say(f"{paths.INCOMING_DATA}/ holds no .parquet file; {paths.TRAIN_DATA} stays as it is")
            return
        [change] = write(
            Job(root, paths.TRAIN_DATA, [base] if base else [], batches, target, rules, False)
        )
    say(f"{rules.strategy} {change.line()}; {change.rows} rows now")


def merge_results_stage(say: Say) -> tuple[Path, list[str], Promote]:
    """Merge the databases of new runs and of `results/incoming` into `results/experiments.db`, and write the reports.

    Raises:
        BadInput: a database or table does not fit.
        Refused: the guard of `accumulate`, or a conflict.
    """
    root = paths.find_root()
    params = read_params(root / paths.PARAMS)
    merge = params.merge
    rules = Rules(
        merge.strategy, tuple(merge.key_columns), None, tuple(merge.tables), merge.on_conflict
    )
    target = root / paths.DATABASE
    with locked(root, paths.DATABASE):
        base = check_base(root, paths.DATABASE)
        runs = find_files(root / paths.RUNS, ".db")
        copies = find_files(root / paths.INCOMING_RESULTS, ".db")
        if not runs:
            raise Refused(f"{paths.RUNS}/ holds no run", "dvc repro train")
        rules = replace(rules, ancestors=_ancestors(root, paths.DATABASE, base, copies))
        job = Job(
            root, paths.DATABASE, [base] if base else [], [*copies, *runs], target, rules, True
        )
        for change in write(job):
            say(f"{rules.strategy} {change.line()}")
    return root, [path.stem for path in runs], params.promote


@dataclass(frozen=True)
class Job:
    """One merge into one guarded output.

    Attributes:
        root: the project's root, or the output's folder outside a project.
        name: the output, relative to it.
        base: what is accumulated so far: one database, any number of parquet files.
        sources: incoming files.
        target: the output; may be the base.
        rules: how; strategy and keys.
        databases: these are databases, not parquet.
    """

    root: Path
    name: str
    base: Sequence[Path]
    sources: Sequence[Path]
    target: Path
    rules: Rules
    databases: bool


def write(job: Job, approve: Callable[[list[Plan]], bool] = lambda plans: True) -> list[Plan]:
    """Merge into the output, whole or not at all. The caller holds the output's lock and has checked the base.

    Args:
        job: what to merge.
        approve: is shown what happens before it does; False leaves the output as it is.
    """
    plans: list[Plan] = []

    def build(temporary: Path) -> bool:
        with progress(f"merging {len(job.sources)} files into {job.name}"):
            if job.databases:
                base = job.base[0] if job.base else None
                plans.extend(merge_databases(base, job.sources, temporary, job.rules))
            else:
                plans.append(merge_data(job.base, job.sources, temporary, job.rules, job.name))
        if job.rules.dry_run or not approve(plans):
            return False
        in_place = list(job.base) == [job.target]
        if in_place and all(plan.is_empty for plan in plans):
            return False
        overwrites = job.target.exists() and not (in_place or same_bytes(temporary, job.target))
        if overwrites or (in_place and any(plan.replaced for plan in plans)):
            keep_recoverable(job.root, job.name)
        return True

    write_whole(job.target, build)
    return plans


def merge_by_hand(
    base: str | None,
    patterns: Sequence[str],
    output: Path,
    rules: Rules,
    tables: bool,
    confirm: Callable[[str], bool],
    ancestor: Path | None = None,
    backup_tag: str | None = None,
) -> list[Plan]:
    """Merge what the command line names.

    Args:
        base: the accumulated file (for parquet: file, folder or glob); None: start empty.
        patterns: incoming files, folders or globs.
        output: where the result goes; may be the base.
        rules: how.
        confirm: asks before a rebase replaces rows.
        ancestor: what the incoming databases began as a copy of; None: it is looked for.
        backup_tag: a Git tag to make first, from which the present bytes of the output can be had.
    Raises:
        BadInput: a file is missing or does not fit.
        Refused: the user declined, the guard of `accumulate`, or a conflict.
    """
    ending = ".db" if tables else ".parquet"
    if base and not Path(base).exists() and not glob.has_magic(base):
        raise BadInput(f"{base} does not exist; leave the option out to start without a base")
    sources, bases = expand(patterns, ending), expand([base], ending) if base else []
    if tables and len(bases) > 1:
        raise BadInput(
            f"{base} is {len(bases)} databases; the base is one", "merge the others in by --exp-db"
        )
    root, name = _place_of(output)

    def approve(plans: list[Plan]) -> bool:
        replaced = sum(plan.replaced for plan in plans)
        lines = "\n".join(plan.line() for plan in plans)
        state = f"The present {name} is {where_recorded(root, name)}\n" if output.exists() else ""
        question = f"{lines}\n{state}Replace {replaced} rows of {name}?"
        if rules.strategy == "rebase" and replaced and not confirm(question):
            raise Refused("not confirmed; nothing was changed")
        if backup_tag:
            pin(root, name, backup_tag)
        return True

    with locked(root, name):
        if len(bases) == 1 and output.exists() and bases[0].samefile(output):
            check_base(root, name)
            bases = [output]
        if tables and bases:
            known = dict.fromkeys(sources, ancestor) if ancestor else None
            rules = replace(rules, ancestors=known or _ancestors(root, name, bases[0], sources))
        return write(Job(root, name, bases, sources, output, rules, tables), approve)


def next_step(output: Path) -> str | None:
    """The command that records an output which DVC tracks, after it was written by hand."""
    root, name = _place_of(output)
    return f"next: dvc commit {name} && git commit --all" if recorded_md5(root, name) else None


def _ancestors(
    root: Path, name: str, base: Path | None, sources: Sequence[Path]
) -> dict[Path, Path]:
    found = {source: find_ancestor(root, name, base, source) for source in sources}
    return {source: ancestor for source, ancestor in found.items() if ancestor}


def find_files(folder: Path, ending: str) -> list[Path]:
    """The files below `folder` with that ending, in the order of their names; hidden ones are left out.

    Raises:
        BadInput: a link that leads nowhere.
    """
    found = (path for path in folder.rglob(f"*{ending}") if path.is_file() or path.is_symlink())
    files = sorted(
        path
        for path in found
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if lost := [path for path in files if not path.exists()]:
        raise BadInput(f"{lost[0]} is a link that leads nowhere", "dvc checkout   # or remove it")
    return files


def expand(patterns: Sequence[str], ending: str) -> list[Path]:
    """Turn files, folders and globs into files, in the order given; a folder's by name.

    Raises:
        BadInput: a pattern that matches nothing.
    """
    files: dict[Path, None] = {}
    for pattern in patterns:
        path = Path(pattern)
        if not pattern:
            raise BadInput("an empty word stands where a path belongs; is a variable not set?")
        if path.is_dir():
            matched = find_files(path, ending)
        elif path.exists():
            matched = [path]
        else:
            matched = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207 — absolute patterns
        if not matched:
            raise BadInput(f"{pattern} matches no {ending} file")
        files.update(dict.fromkeys(matched))
    return list(files)


def _place_of(output: Path) -> tuple[Path, str]:
    """The project's root, or outside a project the folder, and the output relative to it; a link is not followed."""
    place = output.parent.resolve() / output.name
    try:
        root = paths.find_root(place.parent)
    except BadInput:
        root = place.parent
    return root, place.relative_to(root).as_posix()
