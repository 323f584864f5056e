"""The verb behind `version_tag.py`: suggest, tag, push and list versions."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from lineage.core import paths
from lineage.core.console import Say
from lineage.core.errors import LineageError, Refused
from lineage.core.params import Params, read_params
from lineage.core.version_numbers import Part, following, parse
from lineage.results.leaderboard import best_runs
from lineage.tracked.git import git, git_bytes, main_root, must_git
from lineage.tracked.guarded_output import locked
from lineage.tracked.recorded import recorded_md5, recorded_outputs
from lineage.tracked.remote import obtain, open_remote, send, with_files
from lineage.versions.compare import data_changes
from lineage.versions.tags import (
    Tag,
    find_results,
    find_tag,
    params_at,
    params_of,
    tags,
)

TAG = "python scripts/version_tag.py"
NEW_FILES = (paths.PIPELINE_LOCK, paths.METRICS_FILE)
"""What the first `dvc repro` makes for Git to track."""


def suggest(root: Path, text: str | None, say: Say) -> None:
    """Say which version the present state should be, why, and the description of its tag.

    Args:
        root: the project's root.
        text: last part of the description; None: `experiment.description`.
        say: is told.
    """
    params, known = read_params(root / paths.PARAMS), tags(root)
    last = known[-1] if known else None
    written = params.experiment.version
    part, reasons = _changes(root, params, last) if last else ("minor", ["there is no version yet"])
    version = following(last.version, part) if last else written
    say(f"{version}   {part} since {last.version}" if last else version)
    say("\n".join(f"  {reason}" for reason in reasons))
    if version == written:
        say(f"  → {TAG} --version {version}")
    elif part == "patch" and written in [tag.version for tag in known]:
        say(f"  → {TAG} --next patch")
    else:
        say(
            f"  → set experiment.version: {version} in params.yaml (it says {written}), then: dvc repro"
        )
    say(describe(root, params, _newest_run(root, params), last, text))


def _changes(root: Path, params: Params, last: Tag) -> tuple[Part, list[str]]:
    """Find what changed since a version: the number to raise, and the reasons."""
    major, minor = list[str](), list[str]()
    code = ("*.py", ":(exclude)scripts/lineage", ":(exclude)scripts/*.py", ":(exclude)tests")
    changed = must_git(
        root, "diff", "--name-only", "--no-ext-diff", "--relative", last.commit, "--", *code
    )
    major += [f"{name} changed" for name in changed.splitlines()]
    for path in (paths.TRAIN_DATA, paths.TEST_DATA):
        before, now = (recorded_md5(root, path, revision) for revision in (last.commit, None))
        if before and now and before != now:
            files = [obtain(main_root(root), md5) for md5 in (before, now)]
            found = data_changes(files[0], files[1], params.merge.data_key_columns)
            gone = path == paths.TEST_DATA or found["rows removed"][1] or found["rows changed"][1]
            said = ", ".join(f"{name}: {pair[1]}" for name, pair in found.items())
            what = "replaced" if gone else "grew" if found["rows added"][1] else "has other columns"
            (major if gone else minor).append(f"{path} {what} ({said})")
    old, new = _settings(params_at(root, last.commit)), _settings(params.model_dump())
    differing = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    minor += [f"{name}: {old.get(name)} → {new.get(name)}" for name in differing]
    same = "experiment.py, data, model and sweep are the same: a rerun or a fix"
    return "major" if major else "minor" if minor else "patch", [*major, *minor] or [same]


def _settings(params: dict[str, Any]) -> dict[str, Any]:
    """What training reads of `params.yaml`, by key."""
    model, sweep = params.get("model") or {}, params.get("sweep") or {}
    grid = {f"sweep.{name}": sweep.get(name) or [] for name in ("grid", "runs")}
    return {**{f"model.{name}": value for name, value in model.items()}, **grid}


def _newest_run(root: Path, params: Params) -> dict[str, Any]:
    """The best of the runs that `dvc repro` did last.

    Raises:
        Refused: they are not of the version in params.yaml.
    """
    version, database = params.experiment.version, root / paths.DATABASE
    ids, promote = [path.stem for path in (root / paths.RUNS).glob("*.db")], params.promote
    mine = [f"version={version}"]
    if database.exists() and (
        runs := best_runs(database, promote.metric, promote.mode, track_ids=ids, where=mine)
    ):
        return runs[0]
    raise Refused(f"{paths.DATABASE} holds no results of {version} from the last run", "dvc repro")


def describe(
    root: Path, params: Params, run: dict[str, Any], last: Tag | None, text: str | None
) -> str:
    """Write the description of a version: `model=… | C=… | f1_score=0.9312 | data=3a2f1b | text`.

    Args:
        root: the project's root.
        params: of now.
        run: the version's best run.
        last: the version before, whose params are left out where they are the same.
        text: None: `experiment.description`.
    """
    now, before = params_of(run), {}
    if last is not None:
        with suppress(
            LineageError
        ):  # results that are nowhere leave nothing to compare with: all params are told
            before = params_of(find_results(root, last.version).runs[0])
    told = {
        name: value for name, value in now.items() if name != "name" and before.get(name) != value
    }
    value = run[params.promote.metric]
    measured = f"{params.promote.metric}={'NULL' if value is None else f'{value:.4f}'}"
    parts = [f"model={now['name']}"] if "name" in now else []
    parts += [
        *(f"{name}={value}" for name, value in told.items()),
        measured,
        f"data={str(run['data_hash'])[:6]}",
    ]
    line = " ".join((text or params.experiment.description).split())
    return " | ".join([*parts, line] if line else parts)


def tag_now(
    root: Path,
    version: str | None,
    part: Part | None,
    text: str | None,
    message: str | None,
    say: Say,
) -> Tag:
    """Make the annotated tag of the present state.

    Args:
        root: the project's root.
        version: its name, which is that of the results; or None:
        part: the number to raise in the highest version. Results whose version is tagged already get the new one.
        text: as in `describe`.
        message: commit with it first what `dvc repro` and you changed in tracked files.
        say: is told.
    Raises:
        BadInput: not a version, or params.yaml.
        Refused: the version is taken, `dvc status` or the tree is not clean, or there are no such results.
    """
    params = read_params(root / paths.PARAMS)
    written = params.experiment.version
    with locked(root, "version"):
        taken = {tag.version: tag for tag in tags(root)}
        if version is not None and parse(version) and version in taken:
            old = taken[version]
            raise Refused(
                f"{version} is taken (commit {old.commit[:7]}, {old.day})", f"{TAG} --suggest"
            )
        if version not in (None, written):
            problem = f"params.yaml says experiment.version: {written}, so the results are not of {version}"
            raise Refused(
                problem, f"set experiment.version: {version} in params.yaml, then: dvc repro"
            )
        _check_pipeline(root)
        line = describe(
            root,
            params,
            _newest_run(root, params),
            list(taken.values())[-1] if taken else None,
            text,
        )
        _name_tag(root, version, part, written)  # a refusal comes before anything is committed
        if message is not None:
            _commit(root, message)
        changed = must_git(
            root, "status", "--porcelain", "--untracked-files=all", "--", "."
        ).splitlines()
        if changed:
            names = ", ".join(entry[3:] for entry in changed[:5])
            raise Refused(
                f"the tree is not clean: {names}",
                f'{TAG} … --commit "message"   # new files: git add them',
            )
        name = _make_tag(root, version, part, written, line)
    say(f"tagged {name}: {line}")
    if name != written:
        say(f"its rows say {written}; raise experiment.version before a run, and they agree")
    return find_tag(root, name)


def _check_pipeline(root: Path) -> None:
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            changed = repo.status()
    except DvcException as error:
        raise Refused(f"dvc status failed: {error}", "dvc status") from None
    if changed:
        names = ", ".join(changed)
        raise Refused(
            f"dvc status is not clean: {names}", "dvc repro   # in a fresh clone first: dvc pull"
        )


def _commit(root: Path, message: str) -> None:
    new = (git(root, "ls-files", "--others", "--exclude-standard", "-z") or "").split("\0")[:-1]
    strange = sorted(set(new) - set(NEW_FILES))
    if strange:
        names = ", ".join(strange[:5])
        raise Refused(
            f"new files are not tracked: {names}", "git add them, or name them in .gitignore"
        )
    index = must_git(root, "write-tree")
    must_git(root, "add", "--update", "--", ".")
    must_git(root, "add", "--", *(name for name in NEW_FILES if (root / name).exists()))
    if git(root, "diff", "--cached", "--quiet", "--", ".") is None:
        try:
            must_git(root, "commit", f"--message={message}", "--", ".", remedy="git status")
        except Refused:  # a hook, say: the index goes back to what it was
            must_git(root, "read-tree", index)
            raise


def _name_tag(root: Path, version: str | None, part: Part | None, written: str) -> str:
    """Find the name of the tag; raise `Refused` when the results are of another one that is free."""
    known = [tag.version for tag in tags(root)]
    name = version or (following(known[-1], part or "patch") if known else written)
    if name != written and written not in known:
        raise Refused(
            f"the results are of {written}, which is free, and not of {name}",
            f"{TAG} --version {written}",
        )
    return name


def _make_tag(root: Path, version: str | None, part: Part | None, written: str, line: str) -> str:
    """Create the tag; Git lets one process have a name, and another one that asked for the next tries again."""
    while True:
        known, name = tags(root), _name_tag(root, version, part, written)
        message = line if name == written else f"{line}\n\nThe rows say {written}."
        try:
            must_git(
                root,
                "tag",
                "--annotate",
                "--cleanup=whitespace",
                f"--message={message}",
                name,
                "HEAD",
            )
            return name
        except Refused:
            if version is not None or len(tags(root)) == len(known):
                raise


def push(root: Path, tag: Tag, say: Say) -> None:
    """Push the objects of a tag to the remote, see to it that they are there, then push commit and tag to Git's.

    Raises:
        Refused: no remote of DVC or Git, an object is nowhere, or a remote refuses. What was sent stays.
    """
    storage, again = main_root(root), f"{TAG} --version {tag.version} --push"
    if (remote := open_remote(storage)) is None:
        raise Refused("no DVC remote is configured", "dvc remote add --default storage URL")
    branch = git(root, "symbolic-ref", "--quiet", "--short", "HEAD")
    upstream = git(root, "config", f"branch.{branch}.remote") or "origin"
    if upstream not in (git(root, "remote") or "").splitlines():
        raise Refused("no Git remote to push to", f"git remote add origin URL\n  → {again}")
    hashes = with_files(storage, recorded_outputs(root, tag.commit, pushed=True).values())
    sent = send(storage, remote, hashes)
    say(f"{len(hashes)} objects of {tag.version} are in the remote, {len(sent)} of them new")
    names = [f"refs/tags/{tag.version}"]
    if branch and git(root, "rev-parse", "HEAD") == tag.commit:
        names.append(f"HEAD:refs/heads/{branch}")  # whatever it tracks: a tag moves no other branch
    must_git(root, "push", "--atomic", upstream, *names, remedy=f"git pull   # then: {again}")
    say(f"pushed {', '.join(names)} to {upstream}")


def list_tags(root: Path) -> tuple[list[str], list[list[Any]]]:
    """All versions with the metrics of their best new run, as `results/metrics.json` has them: header and rows."""
    metrics: dict[Tag, dict[str, Any]] = {tag: {} for tag in tags(root)}
    for tag in metrics:
        with suppress(
            ValueError, TypeError
        ):  # one that is no JSON object: a merge conflict, committed
            metrics[tag].update(
                json.loads(git_bytes(root, "show", f"{tag.commit}:./{paths.METRICS_FILE}") or b"{}")
            )
    names = list(dict.fromkeys(name for found in metrics.values() for name in found))
    rows = [
        [tag.version, tag.day, tag.commit[:7], *map(metrics[tag].get, names), tag.text]
        for tag in metrics
    ]
    return ["version", "day", "commit", *names, "description"], rows
