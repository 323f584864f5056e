"""Version tags `e{major}.{minor}.{patch}` of Git, and the results that each names."""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from lineage.core.errors import Refused
from lineage.core.param_names import is_param
from lineage.core.paths import DATABASE, PARAMS, PIPELINE_LOCK, PREDICTIONS, RUNS
from lineage.core.version_numbers import VERSION, parse
from lineage.results.leaderboard import best_runs
from lineage.tracked.git import git, main_root, must_git
from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.remote import listing, obtain
from lineage.versions.files_at_commit import yaml_in_git

FIELDS = "%(refname:strip=2)%00%(objectname)%00%(*objectname)%00%(creatordate:short)%00"
"""What `git for-each-ref` says of a tag; `*objectname` is the commit of an annotated one."""

Run = dict[str, Any]
"""A row of `metrics`: its columns by name."""


@dataclass(frozen=True)
class Tag:
    """The tag of a version: its commit (40 digits), day (ISO 8601) and first line of text."""

    version: str
    commit: str
    day: str
    text: str


def tags(root: Path) -> list[Tag]:
    """List the tags that are versions, by number; raises `Refused` when Git does not answer."""
    options = ("--sort=version:refname", f"--format={FIELDS}%(contents:subject)", "refs/tags/e*")
    found = []
    for line in must_git(root, "for-each-ref", *options).splitlines():
        name, own, peeled, day, text = line.split("\0")
        if re.match(VERSION, name):
            found.append(Tag(name, peeled or own, day, text))
    return found


def find_tag(root: Path, version: str) -> Tag:
    """Find the tag of a version.

    Raises:
        BadInput: not a version.
        Refused: no such tag; names the nearest.
    """
    parse(version)
    known = {tag.version: tag for tag in tags(root)}
    if version in known:
        return known[version]
    near = difflib.get_close_matches(version, known, 3, 0) or ["none"]
    is_shallow = git(root, "rev-parse", "--is-shallow-repository") == "true"
    colleague = "git fetch --tags   # if a colleague made it"
    raise Refused(
        f"there is no tag {version}; the nearest: {', '.join(near)}",
        "git fetch --unshallow --tags" if is_shallow else colleague,
    )


def params_at(root: Path, commit: str) -> dict[str, Any]:
    """Read `params.yaml` of a commit as it stands; unlike today's, it is not checked.

    Raises:
        Refused: there is none that can be read.
    """
    try:
        content = yaml_in_git(root, commit, PARAMS)
        content["experiment"]["version"], content["promote"]["metric"], content["promote"]["mode"]
    except (yaml.YAMLError, TypeError, KeyError):
        lacks = f"{PARAMS} of commit {commit[:7]} lacks experiment.version or promote"
        raise Refused(lacks) from None
    return dict(content)


@dataclass(frozen=True)
class Results:
    """The runs of a version.

    The runs of a tag are those that it can bring back, whose databases and models lie in it. The
    database may hold earlier runs of the same version, too, which had other params or code.

    Attributes:
        tag: None where the version is not tagged.
        database: the file that holds the runs.
        runs: rows of `metrics`, best first; at least one.
        outputs: path and hash of all that DVC records at the tag; empty where the runs are not
            those of a tag, but were looked up in a database of the working tree.
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
) -> Results:
    """Find the runs of a version.

    Args:
        root: the project's root.
        version: `eX.Y.Z`.
        database: where to look; None: the one that the version's tag names, or without a tag the
            project's own.

    Raises:
        BadInput: not a version, or no database.
        Refused: no run of that version; the tag's database is nowhere.
    """
    parse(version)
    tag = next((tag for tag in tags(root) if tag.version == version), None)
    params = params_at(root, tag.commit if tag else "HEAD")
    written = params["experiment"]["version"] if tag else version
    named: object = database or root / DATABASE
    outputs: dict[str, str] = {}
    ids = None
    if tag and database is None:
        named = f"{DATABASE} of {version}"
        outputs = _outputs(root, tag)
        database = obtain(main_root(root), outputs[DATABASE])
        ids = [Path(name).stem for name in files_of(root, outputs, RUNS)]
    database = database or root / DATABASE
    metric = params["promote"]["metric"]
    mode = params["promote"]["mode"]
    where = [f"version={written}"]
    runs = best_runs(database, metric, mode, track_ids=ids, where=where)
    if not runs:
        raise Refused(
            f"{named} has no such run of {written}",
            "python scripts/experiment_explorer.py list",
        )
    return Results(tag, database, runs, outputs)


def _outputs(root: Path, tag: Tag) -> dict[str, str]:
    """Read what DVC records at a tag; raises `Refused` where there are none of runs."""
    outputs = recorded_outputs(root, tag.commit)
    if outputs.keys() >= {DATABASE, RUNS}:
        return outputs
    lacks = f"no {DATABASE} in its {PIPELINE_LOCK}"
    raise Refused(f"{tag.version} has no results: {lacks}")


def files_of(root: Path, outputs: dict[str, str], folder: str) -> dict[str, str]:
    """List the files (relative path to md5) of a folder among the outputs of a tag, if it is there.

    Raises:
        Refused: the listing is nowhere.
    """
    return listing(main_root(root), outputs[folder]) if folder in outputs else {}


def find_predictions(
    root: Path,
    results: Results,
    run: Run,
) -> Path | None:
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
        return obtain(main_root(root), md5) if md5 else None
    beside = results.database.with_name(PurePosixPath(PREDICTIONS).name) / name
    return beside if beside.is_file() else None
