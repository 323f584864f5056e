"""The verbs behind `merge_artifacts.py`: which files are merged, by which rules, into which guarded output."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lineage import layout, merge_parquet, merge_tables, report
from lineage.accumulate import check_base, keep_recoverable, locked, write_whole
from lineage.errors import BadInput, Refused
from lineage.merge_parquet import DataRules
from lineage.merge_plan import Plan
from lineage.merge_tables import TableRules
from lineage.params import read_params

Say = Callable[[str], None]


def merge_data_stage(say: Say) -> None:
    """Merge the batches of `data/incoming` into `data/train.parquet`, as params.yaml says.

    Raises:
        BadInput: no batch at all, or one that does not fit.
        Refused: the guard of `accumulate`, or a conflict.
    """
    root = layout.find_root()
    merge = read_params(root / layout.PARAMS).merge
    rules = DataRules(merge.data_strategy, tuple(merge.data_key_columns), merge.data_on_conflict)
    target = root / layout.TRAIN_DATA
    with locked(root, layout.TRAIN_DATA):
        base = check_base(root, layout.TRAIN_DATA, merge_parquet.holds_all_rows)
        batches = find_files(root / layout.INCOMING_DATA, ".parquet")
        if not batches and base is None:
            raise BadInput(
                f"{layout.INCOMING_DATA}/ holds no .parquet file, and there is no {layout.TRAIN_DATA} yet",
                f"drop a batch into {layout.INCOMING_DATA}/",
            )
        change = Plan(layout.TRAIN_DATA)
        if batches:
            [change] = write(Job(root, layout.TRAIN_DATA, base, batches, target, rules))
        rows = merge_parquet.count_rows(target)
    say(f"{rules.strategy} {change.line()}; {rows} rows now")


def merge_results_stage(say: Say) -> None:
    """Merge the databases of new runs and of `results/incoming` into `results/experiments.db`, and write the reports.

    Raises:
        BadInput: a database or table does not fit.
        Refused: the guard of `accumulate`, or a conflict.
    """
    root = layout.find_root()
    params = read_params(root / layout.PARAMS)
    merge = params.merge
    rules = TableRules(
        merge.strategy, tuple(merge.key_columns), tables=tuple(merge.tables), on_conflict=merge.on_conflict
    )
    target = root / layout.DATABASE
    with locked(root, layout.DATABASE):
        base = check_base(root, layout.DATABASE, merge_tables.holds_all_rows)
        runs = find_files(root / layout.RUNS, ".db")
        sources = [*find_files(root / layout.INCOMING_RESULTS, ".db"), *runs]
        if not runs:
            raise Refused(f"{layout.RUNS}/ holds no run", "dvc repro train")
        for change in write(Job(root, layout.DATABASE, base, sources, target, rules)):
            say(f"{rules.strategy} {change.line()}")
    report.write_reports(root, [path.stem for path in runs], params.promote.metric, params.promote.mode)


@dataclass(frozen=True)
class Job:
    """One merge into one guarded output.

    Attributes:
        root: the project's root, or the output's folder outside a project.
        name: the output, relative to it.
        base: what is accumulated so far; None: nothing.
        sources: incoming files.
        target: the output; may be the base.
        rules: how; their kind says whether these are tables or parquet.
    """

    root: Path
    name: str
    base: Path | None
    sources: Sequence[Path]
    target: Path
    rules: TableRules | DataRules


def write(job: Job, approve: Callable[[list[Plan]], bool] = lambda plans: True) -> list[Plan]:
    """Merge into the output, whole or not at all. The caller holds the output's lock and has checked the base.

    Args:
        job: what to merge.
        approve: is shown what happens before it does; False leaves the output as it is.
    """
    plans: list[Plan] = []

    def build(temporary: Path) -> bool:
        if isinstance(job.rules, TableRules):
            plans.extend(merge_tables.merge_databases(job.base, job.sources, temporary, job.rules))
        else:
            plans.append(merge_parquet.merge_data(job.base, job.sources, temporary, job.rules, job.name))
        if job.rules.dry_run or not approve(plans):
            return False
        if job.base == job.target and any(plan.replaced for plan in plans):
            keep_recoverable(job.root, job.name)
        return job.base != job.target or not all(plan.is_empty for plan in plans)

    write_whole(job.target, build)
    return plans


def merge_by_hand(
    base: Path | None,
    patterns: Sequence[str],
    output: Path,
    rules: TableRules | DataRules,
    confirm: Callable[[str], bool],
) -> list[Plan]:
    """Merge what the command line names.

    Args:
        base: the accumulated file; None: start empty.
        patterns: incoming files, folders or globs.
        output: where the result goes; may be the base.
        rules: how.
        confirm: asks before a rebase replaces rows.
    Raises:
        BadInput: a file is missing or does not fit.
        Refused: the user declined, the guard of `accumulate`, or a conflict.
    """
    tables = isinstance(rules, TableRules)
    sources = expand(patterns, ".db" if tables else ".parquet")
    if base is not None and not base.exists():
        raise BadInput(f"{base} does not exist; leave the option out to start without a base")
    root = _root_of(output)
    name = output.resolve().relative_to(root).as_posix()

    def approve(plans: list[Plan]) -> bool:
        replaced = sum(plan.replaced for plan in plans)
        lines = "\n".join(plan.line() for plan in plans)
        if rules.strategy == "rebase" and replaced and not confirm(f"{lines}\nReplace {replaced} rows of {name}?"):
            raise Refused("not confirmed; nothing was changed")
        return True

    with locked(root, name):
        if base is not None and output.exists() and base.samefile(output):
            contains = merge_tables.holds_all_rows if tables else merge_parquet.holds_all_rows
            base = check_base(root, name, contains) and output
        elif output.exists() and not rules.dry_run:
            keep_recoverable(root, name)
        return write(Job(root, name, base, sources, output, rules), approve)


def find_files(folder: Path, ending: str) -> list[Path]:
    """The files below `folder` with that ending, in the order of their names; hidden ones are left out."""
    found = (path for path in folder.rglob(f"*{ending}") if path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def expand(patterns: Sequence[str], ending: str) -> list[Path]:
    """Turn files, folders and globs into files, in the order given; a folder's by name.

    Raises:
        BadInput: a pattern that matches nothing.
    """
    files: dict[Path, None] = {}
    for pattern in patterns:
        path = Path(pattern)
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


def _root_of(output: Path) -> Path:
    try:
        return layout.find_root(output.resolve().parent)
    except BadInput:
        return output.resolve().parent
