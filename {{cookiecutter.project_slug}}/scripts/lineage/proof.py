"""The verb behind `experiment_explorer.py verify`: does everything that a version names still hold?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from lineage import layout
from lineage.errors import LineageError, Refused
from lineage.objects import is_whole, listing, missing_in_remote, open_remote, with_files
from lineage.records import cached_object, recorded_outputs
from lineage.repository import git, git_bytes, has_commit, main_root
from lineage.versions import Tag, find_results

LINKS = ("commit", "dvc.lock", "cache", "remote", "md5", "row", "model", "data", "code")
HEADER = ("version", *LINKS, "problem")
Answers = dict[str, "str | None"]
"""By link: None when it holds, else what is wrong. A link that is not there could not be looked at."""


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
    storage = main_root(root)
    remote, hashes, state = open_remote(storage), dict[str, set[str]](), dict[str, bool | None]()
    for tag in chosen:
        mine = hashes[tag.version] = set(recorded_outputs(root, tag.commit).values())
        _look(storage, mine, state)  # before a damaged listing is replaced from the remote, to be read
        with suppress(Refused):  # a listing that is nowhere is among the lost objects
            mine |= with_files(storage, mine)
        _look(storage, mine, state)
    absent = None if remote is None else missing_in_remote(storage, remote, state)
    rows: list[list[str | None]] = []
    whole = True
    for tag in chosen:
        answers = {
            "commit": None if has_commit(root, tag.commit) else f"{tag.commit[:7]} is not in this clone",
            **_check_objects(hashes[tag.version], state, absent),
            **_check_runs(root, storage, tag),
        }
        lock = git(root, "cat-file", "-e", f"{tag.commit}:./{layout.PIPELINE_LOCK}") is not None
        answers["dvc.lock"] = None if lock else f"{tag.version} has none: it was tagged without results"
        problems = [f"{name}: {answers[name]}" for name in LINKS if answers.get(name)]
        cells = [("no" if answers[name] else "yes") if name in answers else None for name in LINKS]
        rows.append([tag.version, *cells, "; ".join(problems) or None])
        whole = whole and not problems
    return rows, whole


def _look(storage: Path, hashes: Iterable[str], state: dict[str, bool | None]) -> None:
    """Note for each object whether its bytes in the cache are whole (None: it is not there)."""
    for md5 in set(hashes) - set(state):
        known = cached_object(storage, md5)
        state[md5] = None if known is None else is_whole(known, md5)


def _check_objects(mine: set[str], state: dict[str, bool | None], absent: set[str] | None) -> Answers:
    lost = {md5 for md5 in mine if state[md5] is None and (absent is None or md5 in absent)}
    damaged, unsent = {md5 for md5 in mine if state[md5] is False}, mine & (absent or set())
    answers: Answers = {"cache": f"{len(lost)} objects are nowhere, as {min(lost)}" if lost else None}
    answers["md5"] = f"{len(damaged)} objects are damaged in the cache, as {min(damaged)}" if damaged else None
    if absent is not None:
        answers["remote"] = f"{len(unsent)} objects are not there, as {min(unsent)}" if unsent else None
    return answers


def _check_runs(root: Path, storage: Path, tag: Tag) -> Answers:
    """Check the runs that `results/runs` holds at a tag: their rows, and what these say."""
    outputs = recorded_outputs(root, tag.commit)
    try:
        runs = find_results(root, tag.version).runs
        models = listing(storage, outputs[layout.TRAINED_MODELS])
    except LineageError as error:
        return {"row": error.problem}
    except KeyError as error:
        return {"row": f"{layout.PIPELINE_LOCK} names no {error.args[0]}"}
    wrong = [run["track_id"] for run in runs if models.get(f"{run['track_id']}_model.bin") != run["model_hash"]]
    data = {(run["data_hash"], run["test_hash"]) for run in runs}
    agrees = data == {(outputs.get(layout.TRAIN_DATA), outputs.get(layout.TEST_DATA))}
    return {
        "row": None,
        "model": f"run {wrong[0]} recorded another model" if wrong else None,
        "data": None if agrees else "the rows name other data",
        "code": next(filter(None, (_check_code(root, tag, run) for run in runs)), None),
    }


def _check_code(root: Path, tag: Tag, run: dict[str, Any]) -> str | None:
    """Say what differs between the code that ran and the code at the tag.

    `dvc.lock` has the hash of each file that `train` depends on, as it was when it ran. A run of a clean tree also
    names its commit, which vouches for all of `scripts/` and for what experiment.py imports.
    """
    lock = yaml.safe_load(git_bytes(root, "show", f"{tag.commit}:./{layout.PIPELINE_LOCK}") or b"")
    for dependency in lock["stages"]["train"]["deps"]:
        path, md5 = dependency["path"], dependency.get("md5")
        code = git_bytes(root, "cat-file", "blob", f"{tag.commit}:./{path}") if path.endswith(".py") else None
        if code is not None and hashlib.md5(code, usedforsecurity=False).hexdigest() != md5:
            return f"{path} is not what {layout.PIPELINE_LOCK} says ran"
    if run["git_dirty"] != 0:
        return None
    if not has_commit(root, run["git_commit"]):
        return f"commit {str(run['git_commit'])[:7]}, which ran, is not in this clone"
    paths = ("*.py", ":(exclude)tests")
    changed = git(root, "diff", "--name-only", "--no-ext-diff", run["git_commit"], tag.commit, "--", *paths)
    return f"{(changed or '').splitlines()[0]} is not what ran ({run['git_commit'][:7]})" if changed else None
