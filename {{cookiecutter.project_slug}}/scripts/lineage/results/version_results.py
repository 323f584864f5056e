"""The results of a version: its runs, their database and their predictions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lineage.core.errors import Refused
from lineage.core.param_names import is_param
from lineage.core.paths import DATABASE, PARAMS, PIPELINE_LOCK, PREDICTIONS, RUNS
from lineage.core.version_numbers import parse
from lineage.results.leaderboard import best_runs, existing_database
from lineage.tables.sql import text
from lineage.tracked.recorded import recorded_outputs, yaml_in_git
from lineage.tracked.remote import listing, obtain
from lineage.tracked.version_tags import Tag, tags

Run = dict[str, Any]
"""A row of `metrics`: its columns by name."""


def params_at(root: Path, commit: str) -> dict[str, Any]:
    """Read `params.yaml` of a commit as it stands; unlike today's, it is not checked.

    Raises:
        BadInput: it is not YAML.
        Refused: there is none, or one that does not say what is best.
    """
    try:
        content = yaml_in_git(root, commit, PARAMS)
        content["promote"]["metric"], content["promote"]["mode"]
    except (TypeError, KeyError):
        raise Refused(
            f"{PARAMS} of commit {commit[:7]} lacks promote.metric or promote.mode"
        ) from None
    return dict(content)


@dataclass(frozen=True)
class Results:
    """The runs of a version.

    The runs of a tag are those that it can bring back, whose databases and models lie in it. Rows
    of other runs may name the same version, and rows of these another one.

    Attributes:
        tag: None where the version is not tagged.
        database: the file that holds the runs.
        runs: rows of `metrics`, best first; at least one.
        outputs: path and hash of all that DVC records at the tag; empty without one.
    """

    tag: Tag | None
    database: Path
    runs: list[Run]
    outputs: dict[str, str]

    @property
    def commit(self) -> Any:
        """The commit of the tag; without one, what the best run names as its commit."""
        return self.tag.commit if self.tag else self.runs[0].get("git_commit")


def params_of(run: Run) -> Run:
    """Return the model's params in a run; those that are NULL belong to other runs."""
    return {
        name.removeprefix("model_"): value
        for name, value in run.items()
        if is_param(name) and value is not None
    }


def find_results(
    root: Path,
    version: str,
    database: Path | None = None,
    metric: str | None = None,
    mode: str | None = None,
) -> Results:
    """Find the runs of a version: those that its tag holds, whatever version their rows name.

    Args:
        root: the project's root.
        version: `eX.Y.Z`.
        database: where to look; None: the one that the version's tag names, or without a tag the
            project's own.
        metric: by which runs are best; None: the one of `params.yaml` at the tag.
        mode: `max` or `min`, as `metric`.

    Raises:
        BadInput: not a version, or no database.
        Refused: no run of that version; the tag's database is nowhere.
    """
    parse(version)
    tag = tags(root).get(version)
    promote = params_at(root, tag.commit if tag else "HEAD")["promote"]
    place = str(database or root / DATABASE)
    outputs: dict[str, str] = {}
    chosen: dict[str, Any] = {"where": f"version = {text(version)}"}
    if tag:
        outputs = recorded_outputs(root, tag.commit)
        if not outputs.keys() >= {DATABASE, RUNS}:
            raise Refused(f"{version} has no results: no {DATABASE} in its {PIPELINE_LOCK}")
        chosen = {"track_ids": [Path(name).stem for name in files_of(root, outputs, RUNS)]}
        if database is None:
            place = f"{DATABASE} of {version}"
            database = obtain(root, outputs[DATABASE], trusting=True)
    database = existing_database(database or root / DATABASE)
    runs = best_runs(database, metric or promote["metric"], mode or promote["mode"], **chosen)
    if not runs:
        raise Refused(
            f"{place} has no such run of {version}", "python scripts/experiment_explorer.py list"
        )
    return Results(tag, database, runs, outputs)


def files_of(root: Path, outputs: dict[str, str], folder: str) -> dict[str, str]:
    """List the files (relative path to md5) of a folder among the outputs of a tag, if it is there.

    Raises:
        Refused: the listing is nowhere.
    """
    return listing(root, outputs[folder]) if folder in outputs else {}


def find_predictions(root: Path, results: Results, run: Run) -> Path | None:
    """Find the parquet file that holds the predictions of a run.

    Args:
        root: the project's root.
        results: of the version. The file of a tag's run is the one that the tag records; of another
            run it lies in the folder `predictions` beside the database.
        run: one of `results.runs`.

    Returns:
        The file; None where the run has none.

    Raises:
        Refused: the tag records one, and it is nowhere.
    """
    name = f"{run['track_id']}.parquet"
    if results.outputs:
        md5 = files_of(root, results.outputs, PREDICTIONS).get(name)
        return obtain(root, md5, trusting=True) if md5 else None
    beside = results.database.parent / Path(PREDICTIONS).name / name
    return beside if beside.is_file() else None
