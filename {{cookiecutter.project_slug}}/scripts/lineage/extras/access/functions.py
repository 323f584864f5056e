"""The functions `lineage.runs`, `predictions`, `events`, `data`, `load_model` and `sql`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from lineage.core.errors import BadInput, Refused
from lineage.core.paths import TRAIN_DATA, find_root
from lineage.extras.access.states import RELATIONS, State, find_state, is_version, make_relation
from lineage.extras.show.leaderboard import read_leaderboard
from lineage.results.version_results import find_results
from lineage.tables.engine import connect
from lineage.tracked.recorded import recorded_md5
from lineage.tracked.remote import link_objects, listing

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation
    from pandas import DataFrame


def runs(where: str | Sequence[str] = ()) -> DataFrame:
    """Read the runs of this state, best first, as `experiment_explorer.py list` shows them.

    Args:
        where: a condition as in `model_C>=1.0`, or several that all hold; as `list --where`.

    Returns:
        one row for each run: all columns of the table `metrics`, and `seeds`.

    Raises:
        BadInput: there is no database, or the condition names no column of it.
    """
    import pandas

    conditions = [where] if isinstance(where, str) else where
    rows, names = read_leaderboard(where=conditions)
    return pandas.DataFrame(rows, columns=None if rows else names)


def predictions(of: str) -> DataFrame:
    """Read the predictions of the runs of a version, or of one run.

    Args:
        of: a version as in `e0.1.0`, whose runs are those that its tag holds; or the `track_id` of
            a run of this state; or the folder of a project, `.` for this one, for all of its runs.

    Returns:
        a row for each run and item of the test set: `track_id`, and what `evaluate` returned. No
        rows where the run has none.

    Raises:
        BadInput: there is no such run or folder.
        Refused: there is no such version, or a file of it is in neither the cache nor the remote.
    """
    return sql("SELECT * EXCLUDE (source) FROM predictions", of).df()


def events(of: str = ".") -> DataFrame:
    """Read what runs logged while they ran: all of this state, those of a version, or one.

    Args:
        of: as for `predictions`.

    Returns:
        a row for each call of `run.log`: `track_id`, `timestamp`, `step`, and a column for each
        name. No rows where nothing was logged.

    Raises:
        BadInput, Refused: as `predictions`.
    """
    return sql("SELECT * EXCLUDE (source) FROM events", of).df()


def data(version: str | None = None) -> DataFrame:
    """Read the training data of a version, or those that lie in the working tree.

    Args:
        version: as in `e0.1.0`; None: the working tree.

    Raises:
        BadInput: the working tree has none, or that is no version.
        Refused: there is no such version, or its file is in neither the cache nor the remote.
    """
    import pandas

    root = find_root()
    present = root / TRAIN_DATA
    if version is None:
        if not present.exists():
            is_recorded = recorded_md5(root, TRAIN_DATA) is not None
            remedy = f"dvc pull {TRAIN_DATA}" if is_recorded else "dvc repro"
            raise BadInput(f"{present} does not exist", remedy)
        return pandas.read_parquet(present)
    recorded = find_results(root, version).outputs
    if TRAIN_DATA not in recorded:
        raise Refused(f"no tag {version} records {TRAIN_DATA}", "git tag   # the others")
    with TemporaryDirectory(prefix="lineage-") as folder:
        data = Path(folder, "data.parquet")
        link_objects(root, listing(root, recorded[TRAIN_DATA]), data, trusting=True)
        return pandas.read_parquet(data)


def load_model(which: str) -> Any:
    """Load a model by `load_model` of the present `experiment.py`; its bytes are verified first.

    Args:
        which: `production`; or a version, whose best run with a model is meant; or the `track_id`
            of a run.

    Raises:
        BadInput: there is no such run, or `experiment.py` cannot be imported.
        Refused: there is no such model, or its bytes are nowhere.
    """
    from lineage.extras.show.models import card_of_production, find_run
    from lineage.models import measure
    from lineage.models.model_card import as_row
    from lineage.models.run_model import find_model, open_models

    models = open_models()
    if which == "production":
        run = as_row(card_of_production(models.root))
    else:
        version = which if is_version(which) else None
        run = find_run(models, None if version else which, version)
    source = find_model(models.root, run)
    with TemporaryDirectory() as folder:
        return measure.load_model(models.root, source, Path(folder))[1]


def sql(query: str, versions: str | Sequence[str] = ".") -> DuckDBPyRelation:
    """Query `metrics`, `predictions` and `events` of one or several states, by DuckDB.

    Args:
        query: as in `SELECT source, f1_score FROM metrics`.
        versions: one or several of what `predictions` takes. Their rows stand below each other,
            lined up by the names of the columns (`UNION ALL BY NAME`); the column `source` says
            whose they are, in the words that are given here.

    Returns:
        a relation of DuckDB, as for `.df()`, `.pl()`, `.fetchall()`; it keeps what it needs alive.

    Raises:
        BadInput: no query of columns that are there, or no such run or folder.
        Refused: there is no such version, or a file of it is in neither the cache nor the remote.
    """
    import duckdb

    root = find_root()
    states: dict[State, list[str]] = {}
    for name in [versions] if isinstance(versions, str) else dict.fromkeys(versions):
        states.setdefault(find_state(root, name), []).append(name)
    engine = connect()
    try:
        for relation in RELATIONS:
            if relation in query.lower():  # what is not named is not read
                make_relation(engine, relation, states)
        return engine.sql(query)
    except duckdb.Error as error:
        raise BadInput(str(error), 'lineage.sql("DESCRIBE metrics")   # the columns') from None
