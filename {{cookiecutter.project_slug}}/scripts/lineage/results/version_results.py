"""The results of a version: its runs, their database and their predictions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lineage.core.errors import Refused
from lineage.core.param_names import is_param
from lineage.core.paths import DATABASE, PARAMS, PIPELINE_LOCK, RUNS
from lineage.core.version_numbers import parse
from lineage.results.leaderboard import Row, best_runs
from lineage.tables.sql import text
from lineage.tracked.recorded import recorded_outputs, yaml_in_git
from lineage.tracked.remote import listing, obtain
from lineage.tracked.version_tags import Tag, tags


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
    runs: list[Row]
    outputs: dict[str, str]


def params_of(run: Row) -> Row:
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
    database = database or root / DATABASE
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
