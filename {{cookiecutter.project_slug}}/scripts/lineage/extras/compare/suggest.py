"""Suggest a version: the number to raise since the last one, why, and its description.

Other code of yours or other data raise the major number; other params, a new sweep or more data the
minor one; anything else is a patch. The last version is the newest in the history of HEAD: with
tags of other branches nothing is compared, but their names are taken.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lineage.core.console import say
from lineage.core.params import Params, Search, read_params
from lineage.core.paths import INCOMING_DATA, PARAMS, TEST_DATA, TRAIN_DATA
from lineage.core.version_numbers import Part, following, parse
from lineage.extras.compare.data import compare_data, recorded_data
from lineage.results.version_results import params_at
from lineage.tracked.dvc import changed_stages
from lineage.tracked.git import must_git
from lineage.tracked.recorded import recorded_md5
from lineage.tracked.version_tags import START, Tag, newest_tag, tags, taken_versions
from lineage.versions.new_tag import COMMAND, describe, holds_runs, newest_run

NOT_YOURS = ("scripts/lineage", "scripts/*.py", "tests", "examples")
YOUR_CODE = ("*.py", *(f":(exclude){place}" for place in NOT_YOURS))
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
    description = describe(root, params, newest_run(root, params), text)
    say(f"{command}\n{description}", is_result=True)


def suggested_version(root: Path) -> str:
    """Find the version that the present state should be, which is free on Git's remote, too."""
    return find_next(root, read_params(root / PARAMS), taken_versions(root)).name


def find_next(
    root: Path,
    params: Params,
    taken: Collection[str],
) -> Suggestion:
    """Find the version that the present state should be.

    Args:
        root: the project's root.
        params: of now. Their version is taken when it is free and high enough.
        taken: versions that are not free.
    """
    changed = changed_stages(root)
    last = newest_tag(root)
    reasons = [FIRST]
    if last:
        reasons = sorted(_changes(root, params, last, changed)) or [UNCHANGED]
    raised = reasons[0][0]
    name = params.experiment.version
    base = last.version if last else name
    is_low = last is not None and parse(name) < parse(following(base, raised))
    if is_low or name in taken:
        name = following(base, raised, taken)
    is_new = [name == "train" or name.endswith(".dvc") for name in changed]
    return Suggestion(name, last, raised, reasons, not any(is_new))


def _changes(
    root: Path,
    params: Params,
    last: Tag,
    changed: Collection[str],
) -> Iterator[Reason]:
    """Yield what changed since a version; `changed` is what `dvc status` names."""
    command = f"diff --name-only --no-ext-diff --relative {last.commit} --"
    for name in must_git(root, command, *YOUR_CODE).splitlines():
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
