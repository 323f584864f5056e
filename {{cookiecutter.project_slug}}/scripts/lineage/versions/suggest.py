"""Suggest a version: the number to raise since the last one, why, and the description of its tag.

Other code of yours or other data raise the major number; other params, a new sweep or more data the
minor one; anything else is a patch.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from typing import Any

from lineage.core.console import say
from lineage.core.errors import LineageError, Refused
from lineage.core.params import Params, read_params
from lineage.core.paths import DATABASE, PARAMS, RUNS, TEST_DATA, TRAIN_DATA
from lineage.core.version_numbers import Part, following
from lineage.results.leaderboard import best_runs
from lineage.tracked.git import main_root
from lineage.tracked.recorded import recorded_md5
from lineage.tracked.remote import obtain
from lineage.versions.compare_files import compare_data
from lineage.versions.files_at_commit import changed_files
from lineage.versions.tags import Run, Tag, find_results, params_at, params_of, tags

COMMAND = "python scripts/version_tag.py"
YOUR_CODE = ("*.py", ":(exclude)scripts/lineage", ":(exclude)scripts/*.py", ":(exclude)tests")
"""What Git compares: not the template's code, whose changes make no other experiment."""

UNCHANGED = "experiment.py, data, model and sweep are the same: a rerun or a fix"


def suggest(root: Path, text: str | None) -> None:
    """Say which version the present state should be, why, and the description of its tag.

    Args:
        root: the project's root.
        text: as in `describe`.

    Raises:
        Refused: there are no results of the version in params.yaml.
    """
    params = read_params(root / PARAMS)
    written = version = params.experiment.version
    known = [tag.version for tag in tags(root)]
    part: Part = "minor"
    reasons = ["there is no version yet"]
    if last := _last_tag(root):
        found = sorted(_changes(root, params, last), key=itemgetter(0)) or [("patch", UNCHANGED)]
        part = found[0][0]
        reasons = [reason for _, reason in found]
        version = following(last.version, part)
        say(f"{version}   {part} since {last.version}")
    else:
        say(version)
    for reason in reasons:
        say(f"  {reason}")
    if version == written:
        say(f"  → {COMMAND} --version {version}")
    elif part == "patch" and written in known:
        say(f"  → {COMMAND} --next patch")
    else:
        setting = f"experiment.version: {version} in params.yaml (it says {written})"
        say(f"  → set {setting}, then: dvc repro")
    say(describe(root, params, text))


def _last_tag(root: Path) -> Tag | None:
    return next(reversed(tags(root)), None)


def _changes(
    root: Path,
    params: Params,
    last: Tag,
) -> Iterator[tuple[Part, str]]:
    """Yield what changed since a version: the number that it raises, and a line that says it."""
    for name in changed_files(root, last.commit, *YOUR_CODE):
        yield "major", f"{name} changed"
    for path in (TRAIN_DATA, TEST_DATA):
        before = recorded_md5(root, path, last.commit)
        now = recorded_md5(root, path)
        if before and now and before != now:
            yield _data_change(root, path, before, now, params.merge.data_key_columns)
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
) -> tuple[Part, str]:
    """Say how a data set changed from one hash to another."""
    storage = main_root(root)
    found = compare_data(obtain(storage, before), obtain(storage, now), keys)
    counts = ", ".join(f"{name}: {after}" for name, (_, after) in found.items())
    if path == TEST_DATA or found["rows removed"][1] or found["rows changed"][1]:
        return "major", f"{path} replaced ({counts})"
    what = "grew" if found["rows added"][1] else "has other columns"
    return "minor", f"{path} {what} ({counts})"


def _training_settings(params: dict[str, Any]) -> dict[str, Any]:
    """Pick what training reads of `params.yaml`, by key."""
    sweep = params.get("sweep") or {}
    settings = {f"model.{key}": value for key, value in (params.get("model") or {}).items()}
    for key in ("grid", "runs"):
        settings[f"sweep.{key}"] = sweep.get(key) or []
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
    if last := _last_tag(root):
        with suppress(LineageError):  # results that are nowhere: all params are told
            before = params_of(find_results(root, last.version).runs[0])
    parts = [f"model={now['name']}"] if "name" in now else []
    for name, value in now.items():
        if name != "name" and before.get(name) != value:
            parts.append(f"{name}={value}")
    metric = params.promote.metric
    value = run[metric]
    parts.append(f"{metric}=NULL" if value is None else f"{metric}={value:.4f}")
    parts.append(f"data={str(run['data_hash'])[:6]}")
    words = " ".join((text or params.experiment.description).split())
    return " | ".join([*parts, words] if words else parts)


def newest_run(root: Path, params: Params) -> Run:
    """Read the best of the runs that `dvc repro` did last."""
    version = params.experiment.version
    ids = [path.stem for path in (root / RUNS).glob("*.db")]
    promote = params.promote
    where = [f"version={version}"]
    runs = []
    if (root / DATABASE).exists():
        runs = best_runs(
            root / DATABASE,
            promote.metric,
            promote.mode,
            track_ids=ids,
            where=where,
        )
    if not runs:
        raise Refused(
            f"{DATABASE} holds no results of {version} from the last run",
            "dvc repro",
        )
    return runs[0]
