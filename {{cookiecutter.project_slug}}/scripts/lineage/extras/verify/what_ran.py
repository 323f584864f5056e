"""Verify that data, code and params at a tag are those that `dvc.lock` and rows say have run.

`dvc.lock` says of each stage its command and params, and the hash of each dependency, as they were
when it ran; each run says its commit.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lineage.core.paths import PARAMS, PIPELINE, PIPELINE_LOCK
from lineage.extras.retrieve.files_at_commit import blob_md5, files_in_git
from lineage.extras.show.versions import HASHES, commit_of
from lineage.results.version_results import Results
from lineage.tracked.code_at_commit import code_hash_at
from lineage.tracked.git import git, must_git
from lineage.tracked.hashes import listing_md5
from lineage.tracked.recorded import yaml_in_git


def other_data(
    root: Path,
    results: Results,
) -> Iterator[str]:
    """Say which run or stage of a tagged version had data that are not those of the tag."""
    outputs = results.outputs
    for run in results.runs:
        for column, path in HASHES.items():
            if run.get(column) != outputs.get(path):
                yield "the rows name other data"
    for stage, path, md5 in _dependencies(root, commit_of(results)):
        if outputs.get(path, md5) != md5:
            yield f"{stage} ran with another {path}"


def other_code(
    root: Path,
    results: Results,
) -> Iterator[str]:
    """Say which command, param or file of a tagged version is not the one that ran."""
    commit = commit_of(results)
    yield from _other_settings(root, commit)
    recorded = git(root, f"log -1 --format=%H {commit} -- {PIPELINE_LOCK}")
    for _, path, md5 in _dependencies(root, commit):
        if path not in results.outputs and md5_in_git(root, commit, path) not in (None, md5):
            command = f"diff --name-only --no-ext-diff --relative {recorded}..{commit} --"
            changed = must_git(root, command, path).splitlines()
            yield f"{[*changed, path][0]} is not what {PIPELINE_LOCK} says ran"
    for run in results.runs:
        if run.get("code_hash") not in (None, code_hash_at(root, commit)):
            yield f"run {run['track_id']} had other code"


def _other_settings(
    root: Path,
    commit: str,
) -> Iterator[str]:
    """Say which command of `dvc.yaml` or param differs from what `dvc.lock` says."""
    declared = yaml_in_git(root, commit, PIPELINE).get("stages") or {}
    params = yaml_in_git(root, commit, PARAMS)
    for name, stage in yaml_in_git(root, commit, PIPELINE_LOCK)["stages"].items():
        ran = stage["cmd"]
        says = (declared.get(name) or {}).get("cmd", ran)
        if says != ran and "${" not in says:  # a template would have to be filled in
            yield f"stage {name} ran {ran!r}, and {PIPELINE} says {says!r}"
        for key, value in stage.get("params", {}).get(PARAMS, {}).items():
            now = _param(params, key)
            if now != value:
                yield f"{name} ran with {key}: {value}, and {PARAMS} says {now}"


def _dependencies(
    root: Path,
    commit: str,
) -> Iterator[tuple[str, str, str]]:
    """Yield stage, path and hash of each dependency that `dvc.lock` names."""
    for name, stage in yaml_in_git(root, commit, PIPELINE_LOCK)["stages"].items():
        for dependency in stage.get("deps") or []:
            yield name, dependency["path"], dependency.get("md5")


def _param(params: Any, key: str) -> Any:
    """Look up a param by its key, as in `merge.strategy`."""
    for word in key.split("."):
        params = params.get(word) if isinstance(params, dict) else None
    return params


def md5_in_git(
    root: Path,
    commit: str,
    path: str,
) -> str | None:
    """Hash a file or folder that Git stores as DVC hashes a dependency.

    Args:
        root: the project's root.
        commit: where to look.
        path: relative to `root`. Of a folder, what `.dvcignore` names is left out.

    Returns:
        The md5, of a folder with `.dir` behind it; None where Git stores no such path.
    """
    from pathspec import GitIgnoreSpec

    files = files_in_git(root, commit, path)
    if path in files:
        return blob_md5(root, files[path].name)
    patterns = git(root, f"show {commit}:./.dvcignore") or ""
    kept = GitIgnoreSpec.from_lines(patterns.splitlines()).match_files(files, negate=True)
    hashes = {name.removeprefix(f"{path}/"): blob_md5(root, files[name].name) for name in kept}
    return listing_md5(hashes) if hashes else None
