"""The verbs behind `merge_artifacts.py`: which files are merged, by which rules, into which guarded output."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from lineage import layout, merge_parquet, merge_tables, report
from lineage.accumulate import check_base, keep_recoverable, locked, write_whole
from lineage.errors import BadInput, Refused
from lineage.merge_parquet import DataRules
from lineage.merge_plan import Plan
from lineage.merge_tables import TableRules
from lineage.params import read_params

Say = Callable[[str], None]
T = TypeVar("T")


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
            change = _write_data(root, layout.TRAIN_DATA, base, batches, target, rules)
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
        for change in _write_tables(root, layout.DATABASE, base, sources, target, rules):
            say(f"{rules.strategy} {change.line()}")
    report.write_reports(root, [path.stem for path in runs], params.promote.metric, params.promote.mode)


@dataclass(frozen=True)
class Request:
    """A merge by hand, as given on the command line."""

    strategy: str | None
    data_strategy: str | None
    base_db: Path | None
    exp_db: tuple[str, ...]
    output_db: Path | None
    tables: tuple[str, ...]
    id_column: str | None
    base_data: Path | None
    exp_data: tuple[str, ...]
    output_data: Path | None
    key_columns: tuple[str, ...]
    on_conflict: str


def merge_by_hand(request: Request, say: Say, confirm: Callable[[str], bool]) -> None:
    """Merge what the command line names; databases first, then data.

    Raises:
        BadInput: an option is missing, or a file does not fit.
        Refused: the user declined, the guard of `accumulate`, or a conflict.
    """
    if not request.exp_db and not request.exp_data:
        raise BadInput("nothing to merge: give --exp-db or --exp-data (or --stage)", "merge_artifacts.py --help")
    if request.exp_db:
        strategy = _needed(request.strategy, "--strategy")
        output = _needed(request.output_db, "--output-db")
        rules = TableRules(strategy, request.key_columns, request.id_column, request.tables, request.on_conflict)
        sources = expand(request.exp_db, ".db")
        _ask(strategy, output, confirm)
        root = _root_of(output)
        with locked(root, _name_in(root, output)):
            base = _hand_base(root, request.base_db, output, merge_tables.holds_all_rows)
            for change in _write_tables(root, _name_in(root, output), base, sources, output, rules):
                say(f"{strategy} {change.line()}")
    if request.exp_data:
        strategy = _needed(request.data_strategy or request.strategy, "--data-strategy")
        output = _needed(request.output_data, "--output-data")
        sources = expand(request.exp_data, ".parquet")
        _ask(strategy, output, confirm)
        root = _root_of(output)
        with locked(root, _name_in(root, output)):
            base = _hand_base(root, request.base_data, output, merge_parquet.holds_all_rows)
            data_rules = DataRules(strategy, request.key_columns, request.on_conflict)
            change = _write_data(root, _name_in(root, output), base, sources, output, data_rules)
            say(f"{strategy} {change.line()}")


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


def _write_data(
    root: Path, name: str, base: Path | None, sources: Sequence[Path], target: Path, rules: DataRules
) -> Plan:
    changes: list[Plan] = []

    def build(temporary: Path) -> bool:
        change = merge_parquet.merge_data(base, sources, temporary, rules, name)
        changes.append(change)
        if change.replaced and base == target:
            keep_recoverable(root, name)
        return base != target or not change.is_empty

    write_whole(target, build)
    return changes[0]


def _write_tables(
    root: Path, name: str, base: Path | None, sources: Sequence[Path], target: Path, rules: TableRules
) -> list[Plan]:
    changes: list[Plan] = []

    def build(temporary: Path) -> bool:
        changes.extend(merge_tables.merge_databases(base, sources, temporary, rules))
        if base == target and any(change.replaced for change in changes):
            keep_recoverable(root, name)
        return base != target or not all(change.is_empty for change in changes)

    write_whole(target, build)
    return changes


def _hand_base(root: Path, base: Path | None, output: Path, contains: Callable[[Path, Path], bool]) -> Path | None:
    """The base of a merge by hand. An output that is not the base must be recoverable before it is replaced."""
    if base is not None and not base.exists():
        raise BadInput(f"{base} does not exist; leave the option out to start without a base")
    if base is not None and output.exists() and base.samefile(output):
        return check_base(root, _name_in(root, output), contains) and output
    if output.exists():
        keep_recoverable(root, _name_in(root, output))
    return base


def _ask(strategy: str, output: Path, confirm: Callable[[str], bool]) -> None:
    if strategy == "rebase" and output.exists() and not confirm(f"Rebase replaces matching rows of {output}. Go on?"):
        raise Refused("not confirmed; nothing was changed")


def _root_of(output: Path) -> Path:
    try:
        return layout.find_root(output.resolve().parent)
    except BadInput:
        return output.resolve().parent


def _name_in(root: Path, output: Path) -> str:
    return output.resolve().relative_to(root).as_posix()


def _needed(value: T | None, option: str) -> T:
    if value is None:
        raise BadInput(f"{option} is missing", "merge_artifacts.py --help")
    return value
