"""The verb behind `experiment_explorer.py verify`: does everything that a version names still hold?"""

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import yaml

from lineage.core import paths
from lineage.core.errors import BadInput, LineageError, Refused
from lineage.tracked.cache import cached_object, is_whole
from lineage.tracked.git import git, git_bytes, has_commit, main_root
from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.remote import listing, missing_in_remote, open_remote, with_files
from lineage.versions.tags import Tag, find_results

LINKS = ("commit", "dvc.lock", "cache", "remote", "md5", "row", "model", "data", "code")
HEADER = ("version", *LINKS, "problem")
Answers = dict[str, "str | None"]
"""By link: None when it holds, else what is wrong. A link that is not there could not be looked at."""


@dataclass(frozen=True)
class Recorded:
    """What a tag records: the hash of each output, the hashes of all objects behind them, and of those that belong into
    the remote; or why that cannot be read."""

    outputs: dict[str, str]
    objects: set[str]
    sent: set[str]
    problem: str | None = None


def verify(root: Path, chosen: Sequence[Tag]) -> tuple[list[list[str | None]], bool]:
    """Follow the chain row → tag → commit → dvc.lock → objects → md5 → model → data → code of each version.

    Args:
        root: the project's root.
        chosen: tags.
    Returns:
        rows below `HEADER` (yes, no, None: not looked at, as without a remote), and whether everything holds.
    Raises:
        Refused: the remote does not answer.
    """
    storage, state = main_root(root), dict[str, bool | None]()
    remote, records = open_remote(storage), [_read(root, storage, tag, state) for tag in chosen]
    absent = None if remote is None else missing_in_remote(storage, remote, state)
    rows: list[list[str | None]] = []
    for tag, recorded in zip(chosen, records):
        lock = git(root, "cat-file", "-e", f"{tag.commit}:./{paths.PIPELINE_LOCK}") is not None
        answers: Answers = {
            "commit": None
            if has_commit(root, tag.commit)
            else f"{tag.commit[:7]} is not in this clone",
            "dvc.lock": recorded.problem
            or (None if lock else "there is none: it was tagged without results"),
        }
        if not recorded.problem:
            answers |= _check_objects(recorded, state, absent) | _check_runs(
                root, storage, tag, recorded.outputs
            )
        problems = [f"{name}: {answers[name]}" for name in LINKS if answers.get(name)]
        cells = [("no" if answers[name] else "yes") if name in answers else None for name in LINKS]
        rows.append([tag.version, *cells, "; ".join(problems) or None])
    return rows, not any(row[-1] for row in rows)


def remedy(rows: Sequence[Sequence[str | None]]) -> str:
    """The command that helps with the first link that is broken, in the first version that has one."""
    row = next(row for row in rows if row[-1])
    link = next(name for name, cell in zip(HEADER, row) if cell == "no")
    explorer, tag = (
        "python scripts/experiment_explorer.py",
        f"python scripts/version_tag.py --version {row[0]}",
    )
    return {
        "commit": "git fetch --unshallow --tags   # or, in a full clone: git fetch --tags",
        "cache": f"{tag} --push   # on the machine that made it",
        "md5": f"{explorer} checkout --version {row[0]}   # fetches whole objects",
        "remote": f"{tag} --push   # sends what is only here",
    }.get(
        link,
        f"{explorer} show --version {row[0]}   # what it names; a version is made good by the next one",
    )


def _read(root: Path, storage: Path, tag: Tag, state: dict[str, bool | None]) -> Recorded:
    """Read what a tag records, and note for each object whether its bytes in the cache are whole (None: it is not there)."""

    def look(hashes: Iterable[str]) -> None:
        for md5 in set(hashes) - set(state):
            known = cached_object(storage, md5)
            state[md5] = None if known is None else is_whole(known, md5)

    try:
        outputs, sent = (
            recorded_outputs(root, tag.commit, pushed=pushed) for pushed in (False, True)
        )
    except BadInput as error:
        return Recorded({}, set(), set(), error.problem)
    found = [set(outputs.values()), set(sent.values())]
    look(found[0])  # before a damaged listing is replaced from the remote, to be read
    for hashes in found:
        with suppress(Refused):  # a listing that is nowhere is among the lost objects
            hashes.update(with_files(storage, hashes))
    look(found[0])
    return Recorded(outputs, found[0], found[1])


def _check_objects(
    recorded: Recorded, state: dict[str, bool | None], absent: set[str] | None
) -> Answers:
    lost = {
        md5 for md5 in recorded.objects if state[md5] is None and (absent is None or md5 in absent)
    }
    found = {"cache": ("nowhere", lost)}
    found["md5"] = (
        "damaged in the cache",
        {md5 for md5 in recorded.objects if state[md5] is False},
    )
    found |= {} if absent is None else {"remote": ("not there", recorded.sent & absent)}
    return {
        name: f"{len(bad)} objects are {how}, as {min(bad)}" if bad else None
        for name, (how, bad) in found.items()
    }


def _check_runs(root: Path, storage: Path, tag: Tag, outputs: dict[str, str]) -> Answers:
    """Check the runs that `results/runs` holds at a tag: their rows, and what these say."""
    try:
        runs = find_results(root, tag.version).runs
        models = listing(storage, outputs[paths.TRAINED_MODELS])
    except LineageError as error:
        return {"row": error.problem}
    except KeyError as error:
        return {"row": f"{paths.PIPELINE_LOCK} names no {error.args[0]}"}
    wrong = [
        run["track_id"]
        for run in runs
        if models.get(f"{run['track_id']}_model.bin") != run["model_hash"]
    ]
    data = {(run.get("data_hash"), run.get("test_hash")) for run in runs}
    agrees = data == {(outputs.get(paths.TRAIN_DATA), outputs.get(paths.TEST_DATA))}
    stale = _check_lock(root, tag, outputs)
    if not agrees:
        stale["data"].insert(0, "the rows name other data")
    stale["code"] += [problem for run in runs if (problem := _check_code(root, tag, run))]
    answers = {name: next(iter(problems), None) for name, problems in stale.items()}
    if not answers["code"] and any(run.get("git_dirty") != 0 for run in runs):
        del answers["code"]  # what else than the files of dvc.lock ran is not known
    return {
        "row": None,
        "model": f"run {wrong[0]} recorded another model" if wrong else None,
        **answers,
    }


def _check_lock(root: Path, tag: Tag, outputs: dict[str, str]) -> dict[str, list[str]]:
    """Compare what `dvc.lock` says of each stage with the tag; return what differs in `code`, and in `data`.

    DVC writes down each command and param, and the hash of each file, as they were when the stage ran.
    """
    found: dict[str, list[str]] = {"data": [], "code": []}
    lock, pipeline, params = (
        yaml.safe_load(git_bytes(root, "show", f"{tag.commit}:./{name}") or b"") or {}
        for name in (paths.PIPELINE_LOCK, paths.PIPELINE, paths.PARAMS)
    )
    for name, stage in lock["stages"].items():
        command = (pipeline.get("stages", {}).get(name) or {}).get("cmd", "${")
        if "${" not in command and stage["cmd"] != command:  # a template would have to be filled in
            found["code"].append(
                f"stage {name} ran {stage['cmd']!r}, and {paths.PIPELINE} says {command!r}"
            )
        for key, value in ((stage.get("params") or {}).get(paths.PARAMS) or {}).items():
            now = reduce(
                lambda part, word: part.get(word) if isinstance(part, dict) else None,
                key.split("."),
                params,
            )
            if now != value:
                found["code"].append(
                    f"{name} ran with {key}: {value}, and {paths.PARAMS} says {now}"
                )
        for dependency in stage.get("deps") or []:
            path, md5 = dependency["path"], dependency.get("md5")
            if outputs.get(path, md5) != md5:
                found["data"].append(f"{name} ran with another {path}")
            code = (
                git_bytes(root, "cat-file", "blob", f"{tag.commit}:./{path}")
                if path not in outputs
                else None
            )
            if code is not None and hashlib.md5(code, usedforsecurity=False).hexdigest() != md5:
                found["code"].append(f"{path} is not what {paths.PIPELINE_LOCK} says ran")
    return found


def _check_code(root: Path, tag: Tag, run: dict[str, Any]) -> str | None:
    """Say which Python file differs between the commit that ran, if its tree was clean, and the tag."""
    if run.get("git_dirty") != 0:
        return None
    if not has_commit(root, run["git_commit"]):
        return f"commit {str(run['git_commit'])[:7]}, which ran, is not in this clone"
    paths = ("*.py", ":(exclude)tests")
    changed = git(
        root, "diff", "--name-only", "--no-ext-diff", run["git_commit"], tag.commit, "--", *paths
    )
    return (
        f"{(changed or '').splitlines()[0]} is not what ran ({run['git_commit'][:7]})"
        if changed
        else None
    )
