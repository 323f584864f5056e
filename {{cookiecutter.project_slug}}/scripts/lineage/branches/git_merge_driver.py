"""Git's merge driver: three versions of `dvc.lock`, or of a `.dvc` file, become one."""

import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from lineage.branches.conflicts import SHOW_CONFLICTS, refuse_conflicts
from lineage.branches.merge_outputs import (
    Hashes,
    merge_folders,
    merge_results,
    merge_training_data,
    three_way,
)
from lineage.core import paths
from lineage.core.errors import LineageError, Refused
from lineage.merge.three_way import Conflict
from lineage.tracked.git import git
from lineage.tracked.whole_file import write_text

Content = dict[str, Any]
"""A YAML mapping: a file that DVC writes, a stage in it, or an output."""

LABELS = ("-L", "ours", "-L", "base", "-L", "theirs")
"""Options of `git merge-file`: what stands beside its conflict marks."""

FOLDERS = (paths.CANDIDATES, paths.ARTIFACTS, paths.PREDICTIONS)
"""Outputs of stages that are folders with a file or folder for each run."""


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
    merge = RecordMerge(root)
    files = (ancestor, ours, theirs)
    try:
        sides = [parse_yaml(file.read_bytes(), file) for file in files]
        if path == paths.PIPELINE_LOCK:
            merged = merge.lock(*sides)
            refuse_conflicts(root, merge.conflicts, by_git=True)
        else:
            merged = merge.stage(path, *sides)
        write_text(ours, dumps_yaml(merged))
    except (LineageError, DvcException) as error:
        names = [str(file) for file in (ours, ancestor, theirs)]
        git(root, "merge-file", "--quiet", *LABELS, *names)
        _tell_conflict(path, error, bool(merge.conflicts))
        return 1
    _tell(f"{path} merged; next: dvc checkout && dvc repro")
    return 0


def _tell_conflict(path: str, error: Exception, is_kept: bool) -> None:
    _tell(f"{path} is left with conflict marks: {getattr(error, 'problem', error)}")
    if is_kept:
        _tell(f"  → {SHOW_CONFLICTS}")
    take = f"git checkout --ours {path} && git add {path}"
    _tell(f"  → {take}   # or --theirs; then: dvc checkout")


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


@dataclass
class RecordMerge:
    """A merge of what DVC records.

    Attributes:
        root: top of the working tree.
        conflicts: cells that both sides changed differently, of all outputs.
    """

    root: Path
    conflicts: list[Conflict] = field(default_factory=list)

    def lock(self, base: Content, ours: Content, theirs: Content) -> Content:
        """Merge `dvc.lock`, stage by stage."""
        stages = [side.get("stages", {}) for side in (base, ours, theirs)]
        return {**ours, "stages": three_way(self.stage, *stages)}

    def stage(self, _: str, base: Content | None, ours: Content, theirs: Content) -> Content:
        """Merge the outputs of a stage, or of a `.dvc` file.

        Our deps stay, so that `dvc status` sees what to run again.
        """
        outputs = [_outputs_by_path(side or {}) for side in (base, ours, theirs)]
        merged = three_way(partial(self.output, ours), *outputs)
        return {**ours, "outs": list(merged.values())}

    def output(
        self, stage: Content, path: str, base: Content | None, ours: Content, theirs: Content
    ) -> Content:
        """Merge what accumulates, and folders of `.dvc` files; of everything else, take ours."""
        base_md5 = (base or {}).get("md5", "")
        hashes = Hashes(base_md5, ours.get("md5", ""), theirs.get("md5", ""))
        is_pointer = "cmd" not in stage
        both_folders = hashes.ours.endswith(".dir") and hashes.theirs.endswith(".dir")
        if both_folders and (is_pointer or path in FOLDERS):
            return with_hash(ours, merge_folders(self.root, hashes, self.conflicts))
        if is_pointer:
            raise Refused(f"both sides changed {path}")
        if path == paths.DATABASE:
            return with_hash(ours, merge_results(self.root, hashes, self.conflicts))
        if path == paths.TRAIN_DATA:
            params = stage.get("params", {}).get(paths.PARAMS, {})
            key_columns = params.get("merge.data_key_columns", ())
            merged = merge_training_data(self.root, hashes, self.conflicts, key_columns)
            return with_hash(ours, merged)
        if path == paths.PRODUCTION:
            _tell(f"both sides changed {path}: ours stays, until dvc repro compares both models")
        return ours


def _outputs_by_path(stage: Content) -> dict[str, Content]:
    return {output["path"]: output for output in stage.get("outs", [])}


def with_hash(output: Content, md5: str) -> Content:
    """Let the record of an output name another object.

    Its size is left out; DVC adds it when it records the output the next time.
    """
    changed = {**output, "md5": md5}
    changed.pop("size", None)
    changed.pop("nfiles", None)
    return changed
