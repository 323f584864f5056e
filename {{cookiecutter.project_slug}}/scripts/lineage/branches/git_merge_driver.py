"""Git's merge driver for what DVC records: three versions of `dvc.lock` or of a `.dvc` file become one."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import yaml

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


def drive(root: Path, ancestor: Path, ours: Path, theirs: Path, path: str) -> int:
    """Merge three versions of a file into `ours`, as Git asks of a merge driver.

    Args:
        root: top of the working tree.
        ancestor: the common version; an empty file when there is none.
        ours: the version of the branch that is merged into; it is overwritten.
        theirs: the version of the branch that comes.
        path: the file's name: `dvc.lock`, a `.dvc` file, or a metrics file that `dvc repro` writes again.

    Returns:
        0; or 1 after conflict marks were written and the reason was said.

    """
    if path.endswith(".json"):
        return 0  # it tells of our newest run; dvc repro writes it again
    merge = _merge_lock if path == paths.PIPELINE_LOCK else _merge_stage
    try:
        sides = [yaml.safe_load(file.read_bytes()) or {} for file in (ancestor, ours, theirs)]
        write_yaml(ours, merge(root, path, *sides))
    except (LineageError, yaml.YAMLError) as error:
        labels = ("-L", "ours", "-L", "base", "-L", "theirs")
        git(root, "merge-file", "--quiet", *labels, str(ours), str(ancestor), str(theirs))
        take = f"git checkout --ours {path} && git add {path}   # or --theirs; then: dvc checkout"
        reason = getattr(error, "problem", error)
        _tell(f"{path} is left with conflict marks: {reason}\n  → {take}")
        return 1
    _tell(f"{path} merged; next: dvc checkout && dvc repro")
    return 0


def write_yaml(file: Path, content: Content) -> None:
    """Write a file of DVC's, whole."""
    write_text(file, yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000))


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _merge_lock(root: Path, _: str, base: Content, ours: Content, theirs: Content) -> Content:
    """Merge `dvc.lock`, stage by stage."""
    stages = [side.get("stages") or {} for side in (base, ours, theirs)]
    return {**ours, "stages": three_way(*stages, partial(_merge_stage, root))}


def _merge_stage(
    root: Path, _: str, base: Content | None, ours: Content, theirs: Content
) -> Content:
    """Merge the outputs of a stage or of a `.dvc` file. Our deps stay, so that `dvc status` sees what to run again."""
    outputs = [_outputs_by_path(side or {}) for side in (base, ours, theirs)]
    merged = three_way(*outputs, partial(_merge_output, root, ours))
    return {**ours, "outs": list(merged.values())}


def _outputs_by_path(stage: Content) -> dict[str, Content]:
    return {output["path"]: output for output in stage.get("outs") or []}


def _merge_output(
    root: Path, stage: Content, path: str, base: Content | None, ours: Content, theirs: Content
) -> Content:
    """Merge what accumulates, and every folder of a `.dvc` file; of everything else in a stage, ours is taken."""
    versions = Versions(*[(side or {}).get("md5", "") for side in (base, ours, theirs)])
    is_pointer = "cmd" not in stage
    both_folders = versions.ours.endswith(".dir") and versions.theirs.endswith(".dir")
    if both_folders and (is_pointer or path in (paths.CANDIDATES, paths.PREDICTIONS)):
        return with_hash(ours, merge_folders(root, versions))
    if is_pointer:
        raise Refused(f"both sides changed {path}")
    if path == paths.DATABASE:
        return with_hash(ours, merge_results(root, versions))
    if path == paths.TRAIN_DATA:
        params = (stage.get("params") or {}).get(paths.PARAMS) or {}
        keys = params.get("merge.data_key_columns") or ()
        return with_hash(ours, merge_training_data(root, versions, keys))
    if path == paths.PRODUCTION:
        _tell("both sides promoted a model: ours stays, theirs is among the candidates")
    return ours


def with_hash(output: Content, md5: str) -> Content:
    """Name another object in the record of an output; DVC fills in its size when it next records the output."""
    kept = {name: value for name, value in output.items() if name not in ("size", "nfiles")}
    return {**kept, "md5": md5}
