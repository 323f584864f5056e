"""Suggest a version: the number to raise since the last one, why, its description; and start it.

Other code of yours or other data raise the major number; other params, a new sweep or more data the
minor one; anything else is a patch. The last version is the newest in the history of HEAD: with
tags of other branches nothing is compared, but their names are taken.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from lineage.core.console import say
from lineage.core.errors import LineageError, Refused
from lineage.core.params import Params, Search, read_params, with_version
from lineage.core.paths import DATABASE, INCOMING_DATA, PARAMS, RUNS, TEST_DATA, TRAIN_DATA
from lineage.core.version_numbers import Part, following, parse
from lineage.results.leaderboard import best_runs, existing_database
from lineage.results.version_results import Run, find_results, params_at, params_of
from lineage.tracked.dvc import changed_stages
from lineage.tracked.recorded import recorded_md5
from lineage.tracked.remote import recorded_data
from lineage.tracked.version_tags import START, Tag, newest_tag, tags, taken_versions
from lineage.tracked.whole_file import write_text
from lineage.versions.compare_data import compare_data
from lineage.versions.files_at_commit import changed_files

COMMAND = "python scripts/version_tag.py"
YOUR_CODE = ("*.py", ":(exclude)scripts/lineage", ":(exclude)scripts/*.py", ":(exclude)tests")
"""What Git compares: not the template's code, whose changes make no other experiment."""

Reason = tuple[Part, str]
"""The number that a change raises, and a line that names the change."""

UNCHANGED: Reason = ("patch", "experiment.py, data, model and sweep are the same: a rerun or a fix")
FIRST: Reason = ("minor", "there is no version yet")


class Suggestion(NamedTuple):
    """The version that the present state should be.

    Attributes:
        name: a version that is free.
        last: the tag of the newest version in this history; None: there is none yet.
        part: the number to raise since then.
        reasons: why.
        has_run: the newest runs are of this state; else `dvc repro` has to do them.
    """

    name: str
    last: Tag | None
    part: Part
    reasons: list[Reason]
    has_run: bool


def suggest_version(root: Path, text: str | None) -> None:
    """Say which version the present state should be, why, and the description of its tag.

    Of a state that has not run, it says which version the run would be.

    Args:
        root: the project's root.
        text: as in `describe`.

    Raises:
        Refused: the results of the last run are not here.
    """
    params = read_params(root / PARAMS)
    written = params.experiment.version
    known = tags(root)
    found = find_next(root, params, known)
    since = f"   {found.part} since {found.last.version}" if found.last else ""
    reasons = [f"  {reason}" for _, reason in found.reasons]
    say("\n".join([found.name + since, *reasons]), is_result=True)
    is_tagged = written in known and holds_runs(root, known[written])
    if not found.has_run or (is_tagged and found.part != "patch"):
        start = "" if found.name == written else f"{START} && "
        say(f"  it has not run yet\n  → {start}dvc repro", is_result=True)
        return
    option = f"--version {written}" if found.name == written else "--renumber"
    command = f"  → {COMMAND} {'--next patch' if is_tagged else option}"
    say(f"{command}\n{describe(root, params, text)}", is_result=True)


def start_version(root: Path, part: Part | None) -> None:
    """Write the next version that is free, here and on Git's remote, into params.yaml.

    Args:
        root: the project's root.
        part: the number to raise in the newest version of this history; None: as is suggested.

    Raises:
        BadInput: params.yaml is wrong, or the version cannot be changed there.
    """
    version = find_next(root, read_params(root / PARAMS), taken_versions(root), part).name
    set_version(root, version)
    say(f"{PARAMS} says {version}; no tag has closed it")
    say(f"  → git commit --all --message 'Start {version}'; dvc repro")


def set_version(root: Path, version: str) -> None:
    """Change `experiment.version` in params.yaml, and no other byte."""
    file = root / PARAMS
    write_text(file, with_version(file.read_bytes().decode("utf-8"), version))


def find_next(
    root: Path,
    params: Params,
    taken: Collection[str],
    part: Part | None = None,
) -> Suggestion:
    """Find the version that the present state should be.

    Args:
        root: the project's root.
        params: of now. Their version is taken when it is free and high enough.
        taken: versions that are not free.
        part: the number to raise, whatever has changed and params say.
    """
    changed = changed_stages(root)
    last = newest_tag(root)
    reasons = [FIRST]
    if last:
        reasons = sorted(_changes(root, params, last, changed)) or [UNCHANGED]
    raised = part or reasons[0][0]
    name = params.experiment.version
    base = last.version if last else name
    is_low = last is not None and parse(name) < parse(following(base, raised))
    if part or is_low or name in taken:
        name = following(base, raised, taken)
    is_new = [name == "train" or name.endswith(".dvc") for name in changed]
    return Suggestion(name, last, raised, reasons, not any(is_new))


def holds_runs(root: Path, tag: Tag) -> bool:
    """Tell whether the newest runs are those that a tag holds."""
    return recorded_md5(root, RUNS, tag.commit) == recorded_md5(root, RUNS)


def _changes(
    root: Path,
    params: Params,
    last: Tag,
    changed: Collection[str],
) -> Iterator[Reason]:
    """Yield what changed since a version; `changed` is what `dvc status` names."""
    for name in changed_files(root, last.commit, *YOUR_CODE):
        yield "major", f"{name} changed"
    for path in (TRAIN_DATA, TEST_DATA):
        before = recorded_md5(root, path, last.commit)
        now = recorded_md5(root, path)
        if before and now and before != now:
            yield _data_change(root, path, before, now, params.merge.data_key_columns)
    for path in (TEST_DATA, INCOMING_DATA):
        if f"{path}.dvc" in changed:
            yield "major" if path == TEST_DATA else "minor", f"{path} has changed since dvc repro"
    old = _training_settings(params_at(root, last.commit))
    new = _training_settings(params.model_dump())
    for name in old | new:
        if old.get(name) != new.get(name):
            yield "minor", f"{name}: {old.get(name)} → {new.get(name)}"


def _data_change(
    root: Path,
    path: str,
    before: str,
    now: str,
    keys: Sequence[str],
) -> Reason:
    """Say how a data set changed from one hash to another."""
    with recorded_data(root, before) as old, recorded_data(root, now) as new:
        found = compare_data(old, new, keys)
    counts = ", ".join(f"{name}: {after}" for name, (_, after) in found.items())
    if path == TEST_DATA or found["rows removed"][1] or found["rows changed"][1]:
        return "major", f"{path} replaced ({counts})"
    if found["rows added"][1]:
        return "minor", f"{path} grew ({counts})"
    if any(name.startswith("column ") for name in found):
        return "minor", f"{path} has other columns ({counts})"
    return "patch", f"{path} has the same rows in other files"


def _training_settings(params: dict[str, Any]) -> dict[str, Any]:
    """Pick what training reads of `params.yaml`, by key."""
    sweep = params.get("sweep") or {}
    settings = {f"model.{key}": value for key, value in (params.get("model") or {}).items()}
    for key in ("grid", "runs"):
        settings[f"sweep.{key}"] = sweep.get(key) or []
    # an older version may lack keys that have come since: their defaults hold for it
    settings["sweep.search"] = Search().model_dump() | (sweep.get("search") or {})
    return settings


def describe(
    root: Path,
    params: Params,
    text: str | None,
) -> str:
    """Describe the newest results: `model=… | C=… | f1_score=0.9312 | data=3a2f1b | text`.

    Args:
        root: the project's root.
        params: of now. Those of the model that are as in the last version are left out.
        text: the last part; None: `experiment.description`.

    Raises:
        Refused: `dvc repro` did no run of the version in params.yaml.
    """
    run = newest_run(root, params)
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
    """Read the best of the runs that `dvc repro` did last."""
    version = params.experiment.version
    promote = params.promote
    runs = best_runs(
        existing_database(root / DATABASE),
        promote.metric,
        promote.mode,
        track_ids=[path.stem for path in (root / RUNS).glob("*.db")],
        where=[f"version={version}"],
    )
    if not runs:
        raise Refused(f"{DATABASE} holds no results of {version} from the last run", "dvc repro")
    return runs[0]
