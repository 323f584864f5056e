"""Gather the predictions of merged runs: one parquet file for each run, copied whole.

A run's file lies beside its database (`RUN.db`, `RUN.parquet`), in a folder `predictions` beside a
database of many runs, or alone in an inbox. A table `predictions` of a database is split into
such files.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from lineage.core import paths
from lineage.core.errors import BadInput
from lineage.core.paths import METRICS
from lineage.merge.inbox import PARQUET, ends_with
from lineage.merge.plan import Plan
from lineage.merge.rules import Rules
from lineage.tables.as_sqlite import SqliteFile, as_sqlite
from lineage.tables.engine import open_engine
from lineage.tables.parquet_files import copy_statement, read_schemas, scan
from lineage.tables.sql import Engine, text
from lineage.tables.sqlite_files import count_rows, open_read_only
from lineage.tables.sqlite_values import read_values
from lineage.tracked.cache import copy_out
from lineage.tracked.guarded_output import check_base, keep_recoverable, locked
from lineage.tracked.hashes import file_md5

PREDICTIONS = "predictions"
RUN_ID = "track_id"
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
    leaving: list[str] = field(default_factory=list)

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
        found = dict(find_predictions(sources, Path(folder)))
        if rules.dry_run:
            runs |= found.keys()  # nothing was merged
        alone = find_alone(dropped, found.values(), runs)
        kept = root / paths.PREDICTIONS
        gathering = plan_gathering(kept, [*found.items(), *alone], runs, rules)
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
    present = {path.stem: path for path in folder.glob(f"*{SUFFIX}")}
    for run, file in found:
        if run not in runs:
            continue
        there = gathering.arriving.get(run) or present.get(run)
        if there is None:
            gathering.arriving[run] = file
        elif file_md5(there) == file_md5(file):
            plan.present += 1
        elif rules.strategy == "rebase" or rules.on_conflict in ("incoming", "newest"):
            gathering.arriving[run] = file
            plan.replaced += 1
        else:
            plan.conflicts += 1
            plan.samples.append(f"  run {run} — {there} | {file}")
    gathering.leaving = sorted(present.keys() - runs)
    plan.replaced += len(gathering.leaving)
    plan.added = len(gathering.arriving)
    plan.rows = len(present.keys() | gathering.arriving.keys()) - len(gathering.leaving)
    if rules.on_conflict != "base":
        plan.refuse_conflicts()
    return gathering


def find_predictions(sources: Sequence[Path], folder: Path) -> Iterator[tuple[str, Path]]:
    """Find the predictions that come with databases: run id and file.

    Args:
        sources: databases of runs.
        folder: an empty folder, for the files that a table `predictions` is split into.

    Raises:
        BadInput: a file or table is none of predictions.
    """
    with open_engine() as engine:
        for number, source in enumerate(sources):
            files = sorted((source.parent / PREDICTIONS).glob(f"*{SUFFIX}"))
            files += filter(Path.exists, [source.with_suffix(SUFFIX)])
            place = folder / str(number)
            place.mkdir()
            database = as_sqlite(source, place / "copy.db")
            yield from _runs_of(engine, files, run_ids(database.path), source)
            yield from _split_table(engine, source, database, place)


def find_alone(
    dropped: Sequence[Path], found: Iterable[Path], runs: set[str]
) -> list[tuple[str, Path]]:
    """Find the files of an inbox that lie beside no database: run id and file.

    Args:
        dropped: all that came.
        found: the files that lie beside one.
        runs: ids of all runs that the merged results have.

    Raises:
        BadInput: a file is none of predictions, or of a run that nobody knows.
    """
    known = set(found)
    files = [file for file in dropped if ends_with(file, PARQUET) and file not in known]
    with open_engine() as engine:
        return list(_runs_of(engine, files, runs, Path(paths.DATABASE)))


def _runs_of(
    engine: Engine, files: Iterable[Path], runs: set[str], database: Path
) -> Iterator[tuple[str, Path]]:
    """Yield run id and file of predictions; raise `BadInput` where a database has no such run."""
    for file in files:
        run = _run_of(engine, file)
        if run not in runs:
            problem = f"{file} holds predictions of run {run}, which has no row in {METRICS} of"
            remedy = f"rm {file}   # or put the database of that run beside it"
            raise BadInput(f"{problem} {database}", remedy)
        yield run, file


def _run_of(engine: Engine, file: Path) -> str:
    """Read the run id of a file of predictions.

    Raises:
        BadInput: it does not name one run, or is called otherwise.
    """
    columns = read_schemas(engine, [file])[0].columns
    ids = []
    if RUN_ID in columns:
        ids = engine.execute(f"SELECT DISTINCT {RUN_ID} FROM {scan(file)} LIMIT 2").fetchall()
    if ids and ids != [(file.stem,)]:
        problem = f"{file} should hold predictions of one run, {file.stem}; it names {ids[0][0]}"
        raise BadInput(problem, f"mv {file} {file.with_stem(ids[0][0])}")
    if RUN_ID not in columns:
        raise BadInput(f"{file} has no column {RUN_ID}, so these are no predictions of a run")
    return file.stem


def _split_table(
    engine: Engine, source: Path, database: SqliteFile, folder: Path
) -> Iterator[tuple[str, Path]]:
    """Split the table `predictions` of a database into files, one for each run.

    Args:
        engine: reads the table.
        source: the database, for messages.
        database: its tables.
        folder: where the files are written.
    """
    table = database.tables.get(PREDICTIONS)
    if table is None:
        return
    if RUN_ID not in table.column_names:
        raise BadInput(f"{source}: table {PREDICTIONS!r} has no column {RUN_ID!r}")
    with closing(engine.cursor()) as own:
        read_values(own, database.path, PREDICTIONS, "typed")
        for (run,) in own.execute(f"SELECT DISTINCT {RUN_ID} FROM typed ORDER BY 1").fetchall():
            target = folder / f"{run}{SUFFIX}"
            others = f"* EXCLUDE ({RUN_ID})"
            rows = f"SELECT {RUN_ID}, {others} FROM typed WHERE {RUN_ID} = {text(str(run))}"
            own.execute(copy_statement(rows, target, {}))
            yield str(run), target


def run_ids(database: Path) -> set[str]:
    """Read the ids of all runs of a results database."""
    with open_read_only(database) as connection:
        if not count_rows(connection, f"pragma_table_info('{METRICS}') WHERE name = '{RUN_ID}'"):
            return set()
        return {row[0] for row in connection.execute(f"SELECT {RUN_ID} FROM {METRICS}")}
