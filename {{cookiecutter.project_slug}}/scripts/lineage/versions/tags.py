"""Versions: tags `e{major}.{minor}.{patch}` of Git, and the results that they name."""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lineage.core import paths
from lineage.core.errors import Refused
from lineage.core.version_numbers import VERSION, parse
from lineage.results.leaderboard import best_runs
from lineage.tracked.git import git, git_bytes, main_root, must_git
from lineage.tracked.recorded import recorded_md5
from lineage.tracked.remote import listing, obtain


@dataclass(frozen=True)
class Tag:
    """A version's tag: its commit (40 digits), day (ISO) and first line of text."""

    version: str
    commit: str
    day: str
    text: str


@dataclass(frozen=True)
class Results:
    """The runs of a version, best first, the database that holds them, and the tag (None: not tagged).

    The runs of a tag are those that it can bring back, whose databases and models lie in it. Earlier runs under the
    same version, which the database may hold too, had other params or code.
    """

    version: str
    tag: Tag | None
    database: Path
    runs: list[dict[str, Any]]


def params_of(run: dict[str, Any]) -> dict[str, Any]:
    """The model's params in a row of `metrics`; one that is NULL belongs to other runs of the database."""
    names = [
        name
        for name in run
        if name.startswith("model_") and name != "model_hash" and run[name] is not None
    ]
    return {name.removeprefix("model_"): run[name] for name in names}


def tags(root: Path) -> list[Tag]:
    """All tags that are versions, sorted by number; raises `Refused` when Git does not answer."""
    form = "%(refname:strip=2)%00%(objectname)%00%(*objectname)%00%(creatordate:short)%00%(contents:subject)"
    lines = must_git(root, "for-each-ref", f"--format={form}", "refs/tags/e*").splitlines()
    fields = [line.split("\0") for line in lines]
    found = [
        Tag(name, peeled or own, day, text)
        for name, own, peeled, day, text in fields
        if re.match(VERSION, name)
    ]
    return sorted(found, key=lambda tag: parse(tag.version))


def find_tag(root: Path, version: str) -> Tag:
    """Find the tag of a version.

    Raises:
        BadInput: not a version.
        Refused: no such tag; names the nearest.
    """
    parse(version)
    known = {tag.version: tag for tag in tags(root)}
    if version not in known:
        near = difflib.get_close_matches(version, known, 3, 0) or ["none"]
        shallow = git(root, "rev-parse", "--is-shallow-repository") == "true"
        remedy = (
            "git fetch --unshallow --tags"
            if shallow
            else "git fetch --tags   # if a colleague made it"
        )
        raise Refused(f"there is no tag {version}; the nearest: {', '.join(near)}", remedy)
    return known[version]


def params_at(root: Path, commit: str) -> dict[str, Any]:
    """`params.yaml` of a commit as it stands; unlike today's, it is not checked.

    Raises:
        Refused: there is none that can be read.
    """
    try:
        content = yaml.safe_load(git_bytes(root, "show", f"{commit}:./{paths.PARAMS}") or b"")
        content["experiment"]["version"], content["promote"]["metric"], content["promote"]["mode"]
    except (yaml.YAMLError, TypeError, KeyError):
        raise Refused(
            f"{paths.PARAMS} of commit {commit[:7]} lacks experiment.version or promote"
        ) from None
    return dict(content)


def find_results(root: Path, version: str, database: Path | None = None) -> Results:
    """Find the runs of a version.

    Args:
        root: the project's root.
        version: `eX.Y.Z`.
        database: where to look; None: the one that the version's tag names, or without a tag the project's own.
    Raises:
        BadInput: not a version, or no database.
        Refused: no run of that version; the tag's database is nowhere.
    """
    parse(version)
    tag = next((tag for tag in tags(root) if tag.version == version), None)
    params = params_at(root, tag.commit if tag else "HEAD")
    written, ids = params["experiment"]["version"] if tag else version, None
    if database is None and tag is not None:
        pair = [recorded_md5(root, path, tag.commit) for path in (paths.DATABASE, paths.RUNS)]
        if pair[0] is None or pair[1] is None:
            raise Refused(
                f"{version} has no results: no {paths.DATABASE} in its {paths.PIPELINE_LOCK}"
            )
        database = obtain(main_root(root), pair[0])
        ids = [name.removesuffix(".db") for name in listing(main_root(root), pair[1])]
    database = database or root / paths.DATABASE
    promote = params["promote"]
    runs = best_runs(
        database, promote["metric"], promote["mode"], track_ids=ids, where=[f"version={written}"]
    )
    if not runs:
        named = database if ids is None else f"{paths.DATABASE} of {version}"
        raise Refused(
            f"{named} has no such run of {written}", "python scripts/experiment_explorer.py list"
        )
    return Results(version, tag, database, runs)
