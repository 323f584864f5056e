"""The description of a version: the text of its tag, which says what is special about it."""

from contextlib import suppress
from pathlib import Path

from lineage.core.errors import LineageError, Refused
from lineage.core.params import Params
from lineage.core.paths import DATABASE, RUNS
from lineage.results.leaderboard import best_runs, existing_database
from lineage.results.version_results import Run, find_results, params_of
from lineage.tables import sql
from lineage.tracked.version_tags import newest_tag


def describe(
    root: Path,
    params: Params,
    run: Run,
    text: str | None,
) -> str:
    """Describe results: `model=… | C=… | f1_score=0.9312 | data=3a2f1b | text`.

    Args:
        root: the project's root.
        params: of now.
        run: the best one. Its params that are as in the last version are left out.
        text: the last part; None: `experiment.description`.
    """
    now = params_of(run)
    before: Run = {}
    if last := newest_tag(root):
        with suppress(LineageError):  # results that are nowhere: all params are told
            before = params_of(find_results(root, last.version).runs[0])
    parts = [f"model={now.pop('name')}"] if "name" in now else []
    parts += [f"{name}={value}" for name, value in now.items() if before.get(name) != value]
    metric = params.promote.metric
    value = run[metric]
    parts.append(f"{metric}=NULL" if value is None else f"{metric}={value:.4f}")
    parts.append(f"data={str(run['data_hash'])[:6]}")
    parts.append(" ".join((text or params.experiment.description).split()))
    return " | ".join(filter(None, parts))


def newest_run(root: Path, params: Params) -> Run:
    """Read the best of the runs that `dvc repro` did last.

    Raises:
        Refused: none of them is of the version in params.yaml.
    """
    version = params.experiment.version
    promote = params.promote
    runs = best_runs(
        existing_database(root / DATABASE),
        promote.metric,
        promote.mode,
        track_ids=[path.stem for path in (root / RUNS).glob("*.db")],
        where=f"version = {sql.text(version)}",
    )
    if not runs:
        raise Refused(f"{DATABASE} holds no results of {version} from the last run", "dvc repro")
    return runs[0]
