"""Gather the predictions of merged runs: one parquet file for each run, copied whole.

A run's file lies beside its database (`RUN.db`, `RUN.parquet`), in a folder `predictions` beside a
database of many runs, or alone in an inbox. A table `predictions` of a database is split into
such files by the extra `predictions_table`.
"""

import shlex
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from lineage.core import paths
from lineage.core.errors import BadInput, explain_missing
from lineage.merge.inbox import PARQUET, ends_with
from lineage.merge.plan import Plan
from lineage.merge.rules import Rules
from lineage.merge.run_ids import PREDICTIONS, RUN_ID, run_ids
from lineage.tables.as_sqlite import as_sqlite
from lineage.tables.engine import open_engine
from lineage.tables.parquet_files import read_schemas, scan
from lineage.tables.sql import Engine
from lineage.tracked.cache import copy_out
from lineage.tracked.guarded_output import check_base, keep_recoverable, locked
from lineage.tracked.hashes import file_md5

SUFFIX = ".parquet"


@dataclass
class Gathering:
    """What happens to the files of a folder of predictions.

    Attributes:
        folder: where they are kept.
        plan: counts of runs.
        arriving: files that are copied in, by run id.
        leaving: run ids whose files go.
    """

    folder: Path
    plan: Plan
    arriving: dict[str, Path] = field(default_factory=dict)
    leaving: set[str] = field(default_factory=set)

    def write(self) -> None:
        """Copy the files in, each whole or not at all, and then remove those that go."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for run, file in self.arriving.items():
            copy_out(file, self.folder / f"{run}{SUFFIX}")
        for run in self.leaving:
            (self.folder / f"{run}{SUFFIX}").unlink()


@contextmanager
def gather_predictions(
    root: Path, sources: Sequence[Path], merged: Path, rules: Rules, dropped: Sequence[Path] = ()
) -> Iterator[Gathering]:
    """Work out which files of `results/predictions` come and go with merged results.

    Args:
        root: the project's root.
        sources: the databases that were merged, in the order in which the later wins.
        merged: the merged database.
        rules: strategy, and which of two contents of one run wins.
        dropped: new files of an inbox; predictions among them may lie beside no database.

    Raises:
        BadInput: a file or table is none of predictions, or belongs to no run.
        Refused: one run has two contents; or the folder's guard, see `check_base`.
    """
    with locked(root, paths.PREDICTIONS), TemporaryDirectory(prefix="lineage-") as folder:
        check_base(root, paths.PREDICTIONS)
        runs = run_ids(merged)
        found = find_predictions(sources, Path(folder), dropped, runs)
        if rules.dry_run:  # nothing was merged
            runs.update(run for run, _ in found)
        gathering = plan_gathering(root / paths.PREDICTIONS, found, runs, rules)
        if gathering.plan.replaced and not rules.dry_run:
            keep_recoverable(root, paths.PREDICTIONS)
        yield gathering


def plan_gathering(
    folder: Path, found: Iterable[tuple[str, Path]], runs: set[str], rules: Rules
) -> Gathering:
    """Work out which files come and go; nothing is written.

    Args:
        folder: where predictions are kept.
        found: run id and file of each incoming run, in the order in which the later wins.
        runs: ids of all runs that the merged results have; files of others stay away, as their
            rows did.
        rules: strategy, and which of two contents of one run wins.

    Raises:
        Refused: one run has two contents.
    """
    gathering = Gathering(folder, Plan(PREDICTIONS, rules.strategy))
    plan = gathering.plan
    arriving = gathering.arriving
    present = {path.stem: path for path in folder.glob(f"*{SUFFIX}")}
    later_wins = rules.strategy == "rebase" or rules.on_conflict in ("incoming", "newest")
    for run, file in found:
        there = arriving.get(run) or present.get(run)
        if run not in runs:
            continue
        if not there:
            arriving[run] = file
        elif file_md5(there) == file_md5(file):
            plan.present += 1
        elif later_wins:
            arriving[run] = file
            plan.replaced += 1
        else:
            plan.conflicts += 1
            plan.samples.append(f"  run {run} — {there} | {file}")
    gathering.leaving = present.keys() - runs
    plan.differing = plan.replaced + plan.conflicts
    plan.replaced += len(gathering.leaving)
    plan.added = len(arriving)
    plan.rows = len(present.keys() | arriving.keys()) - len(gathering.leaving)
    rules.settle(plan)
    return gathering


def find_predictions(
    sources: Sequence[Path], folder: Path, dropped: Sequence[Path] = (), runs: Container[str] = ()
) -> list[tuple[str, Path]]:
    """Find the predictions that come with databases, or alone: run id and file.

    Args:
        sources: databases of runs.
        folder: an empty folder, for the files that a table `predictions` is split into.
        dropped: new files of an inbox.
        runs: ids of all runs that the merged results have.

    Raises:
        BadInput: a file or table is none of predictions, or of a run that nobody knows.
    """
    found: list[tuple[str, Path]] = []
    with open_engine() as engine:
        for number, source in enumerate(sources):
            database = as_sqlite(source, folder / f"{number}.db")
            own = run_ids(database.path)
            files = sorted((source.parent / PREDICTIONS).glob(f"*{SUFFIX}"))
            files += filter(Path.exists, [source.with_suffix(SUFFIX)])
            if PREDICTIONS in database.tables:
                with explain_missing("predictions_table", f"{source}: table {PREDICTIONS!r}"):
                    from lineage.extras.predictions_table.split import split_table
                files += split_table(engine, source, database, folder / str(number))
            found += [(_run_of(engine, file, own, source), file) for file in files]
        beside = {file for _, file in found}
        for file in dropped:
            if ends_with(file, PARQUET) and file not in beside:
                found.append((_run_of(engine, file, runs, Path(paths.DATABASE)), file))
    return found


def _run_of(engine: Engine, file: Path, runs: Container[str], database: Path) -> str:
    """Read the run id of a file of predictions.

    Args:
        engine: reads it.
        file: what should be predictions.
        runs: ids of runs that it may be of.
        database: where these are, for messages.

    Raises:
        BadInput: it does not name one such run, or is called otherwise.
    """
    run = file.stem
    columns = read_schemas(engine, [file])[0].columns
    if RUN_ID not in columns:
        raise BadInput(f"{file} has no column {RUN_ID}, so these are no predictions of a run")
    ids = engine.execute(f"SELECT DISTINCT {RUN_ID} FROM {scan(file)} LIMIT 2").fetchall()
    if ids and ids != [(run,)]:
        [(other,), *_] = ids
        problem = f"{file} should hold predictions of one run, {run}; it names {other}"
        raise BadInput(problem, shlex.join(["mv", str(file), str(file.with_stem(other))]))
    if run not in runs:
        problem = f"{file} holds predictions of run {run}, which has no row in {paths.METRICS} of"
        raise BadInput(
            f"{problem} {database}",
            f"rm {shlex.quote(str(file))}   # or put the database of that run beside it",
        )
    return run
