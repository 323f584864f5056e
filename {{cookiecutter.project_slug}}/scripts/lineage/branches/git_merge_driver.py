"""Git's merge driver: three versions of `dvc.lock`, or of a `.dvc` file, become one."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

from lineage.branches.merge_outputs import (
    Versions,
    merge_folders,
    merge_results,
    merge_training_data,
    three_way,
)
from lineage.core import paths
from lineage.core.errors import LineageError, Refused
from lineage.tracked.git import git
from lineage.tracked.whole_file import write_text

Content = dict[str, Any]
"""A YAML mapping: a file that DVC writes, a stage in it, or an output."""

LABELS = ("-L", "ours", "-L", "base", "-L", "theirs")
"""Options of `git merge-file`: what stands beside its conflict marks."""

FOLDERS = (paths.CANDIDATES, paths.PREDICTIONS)
"""Outputs of stages that are folders with a file for each run."""


def drive(
    root: Path,
    ancestor: Path,
    ours: Path,
    theirs: Path,
    path: str,
) -> int:
    """Merge three versions of a file into `ours`, as Git asks of a merge driver.

    Args:
        root: top of the working tree.
        ancestor: the common version; an empty file when there is none.
        ours: the version of the branch that is merged into; it is overwritten.
        theirs: the version of the branch that comes.
        path: the file's name: `dvc.lock`, a `.dvc` file, or a metrics file that `dvc repro` writes.

    Returns:
        0; or 1 after conflict marks were written and the reason was said.

    """
    from dvc.exceptions import DvcException
    from dvc.utils.serialize import dumps_yaml, parse_yaml

    if path.endswith(".json"):
        return 0  # it tells of our newest run; dvc repro writes it again
    merge = _merge_lock if path == paths.PIPELINE_LOCK else _merge_stage
    files = (ancestor, ours, theirs)
    try:
        sides = [parse_yaml(file.read_bytes(), file) for file in files]
        merged = merge(root, path, *sides)
        write_text(ours, dumps_yaml(merged))
    except (LineageError, DvcException) as error:
        names = [str(file) for file in (ours, ancestor, theirs)]
        git(root, "merge-file", "--quiet", *LABELS, *names)
        reason = getattr(error, "problem", error)
        _tell(f"{path} is left with conflict marks: {reason}")
        take = f"git checkout --ours {path} && git add {path}"
        _tell(f"  → {take}   # or --theirs; then: dvc checkout")
        return 1
    _tell(f"{path} merged; next: dvc checkout && dvc repro")
    return 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _merge_lock(
    root: Path,
    _: str,
    base: Content,
    ours: Content,
    theirs: Content,
) -> Content:
    """Merge `dvc.lock`, stage by stage."""
    stages = [side.get("stages", {}) for side in (base, ours, theirs)]
    merged = three_way(partial(_merge_stage, root), *stages)
    return {**ours, "stages": merged}


def _merge_stage(
    root: Path,
    _: str,
    base: Content | None,
    ours: Content,
    theirs: Content,
) -> Content:
    """Merge the outputs of a stage, or of a `.dvc` file.

    Our deps stay, so that `dvc status` sees what to run again.
    """
    outputs = [_outputs_by_path(side or {}) for side in (base, ours, theirs)]
    merged = three_way(partial(_merge_output, root, ours), *outputs)
    return {**ours, "outs": list(merged.values())}


def _outputs_by_path(stage: Content) -> dict[str, Content]:
    return {output["path"]: output for output in stage.get("outs", [])}


def _merge_output(
    root: Path,
    stage: Content,
    path: str,
    base: Content | None,
    ours: Content,
    theirs: Content,
) -> Content:
    """Merge what accumulates, and folders of `.dvc` files; of everything else, take ours."""
    versions = Versions(
        base=(base or {}).get("md5", ""),
        ours=ours.get("md5", ""),
        theirs=theirs.get("md5", ""),
    )
    is_pointer = "cmd" not in stage
    both_folders = versions.ours.endswith(".dir") and versions.theirs.endswith(".dir")
    if both_folders and (is_pointer or path in FOLDERS):
        return with_hash(ours, merge_folders(root, versions))
    if is_pointer:
        raise Refused(f"both sides changed {path}")
    if path == paths.DATABASE:
        return with_hash(ours, merge_results(root, versions))
    if path == paths.TRAIN_DATA:
        params = stage.get("params", {}).get(paths.PARAMS, {})
        key_columns = params.get("merge.data_key_columns", ())
        return with_hash(ours, merge_training_data(root, versions, key_columns))
    if path == paths.PRODUCTION:
        _tell(f"both sides changed {path}: ours stays, until dvc repro compares both models")
    return ours


def with_hash(output: Content, md5: str) -> Content:
    """Let the record of an output name another object.

    Its size is left out; DVC adds it when it records the output the next time.
    """
    changed = {**output, "md5": md5}
    changed.pop("size", None)
    changed.pop("nfiles", None)
    return changed
