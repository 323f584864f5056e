"""Git's merge driver: three versions of `dvc.lock`, a `.dvc` file or a report become one."""

import sys
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from lineage.core import paths
from lineage.core.errors import LineageError, Refused
from lineage.extras.git_merge.conflicts import SHOW_CONFLICTS, refuse_conflicts
from lineage.extras.git_merge.outputs import (
    MERGED,
    Hashes,
    merge_by_name,
    merge_folders,
    merge_training_data,
)
from lineage.extras.git_merge.three_way import Conflict
from lineage.tracked.cache import cached_object
from lineage.tracked.git import git
from lineage.tracked.whole_file import write_text

Content = dict[str, Any]
"""A YAML mapping: a file that DVC writes, a stage in it, or an output."""

MERGE_FILE = "merge-file --quiet -L ours -L base -L theirs"
"""The command of Git, with what stands beside its conflict marks."""


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
    try:
        sides = [parse_yaml(file.read_bytes(), file) for file in (ancestor, ours, theirs)]
        if path == paths.PIPELINE_LOCK:
            merged = merge.lock(*sides)
            refuse_conflicts(root, merge.conflicts, way_out="")
        else:
            merged = merge.stage(path, *sides)
        write_text(ours, dumps_yaml(merged))
    except (LineageError, DvcException) as error:
        git(root, MERGE_FILE, str(ours), str(ancestor), str(theirs))
        _tell(f"{path} is left with conflict marks: {getattr(error, 'problem', error)}")
        if merge.conflicts:
            _tell(f"  → {SHOW_CONFLICTS}")
        take = f"git checkout --ours {path} && git add {path}"
        _tell(f"  → {take}   # or --theirs; then: dvc checkout")
        return 1
    _tell(f"{path} merged; next: {_way_to_files(root, merged)} && dvc repro")
    return 0


def _way_to_files(root: Path, merged: Content) -> str:
    """Choose the command that brings merged outputs into the working tree.

    Of what only one branch made, the objects may be in the remote only.
    """
    stages = merged.get("stages", {"": merged}).values()
    outputs = chain.from_iterable(stage.get("outs", []) for stage in stages)
    cached = [out["md5"] for out in outputs if out["path"] != paths.METRICS_FILE]  # Git has that
    is_here = all(cached_object(root, md5) for md5 in cached)
    return "dvc checkout" if is_here else "dvc pull"


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
        return {**ours, "stages": merge_by_name(self.stage, *stages)}

    def stage(self, _: str, base: Content | None, ours: Content, theirs: Content) -> Content:
        """Merge the outputs of a stage, or of a `.dvc` file.

        Our deps stay, so that `dvc status` sees what to run again.
        """
        outputs = [_outputs_by_path(side or {}) for side in (base, ours, theirs)]
        merged = merge_by_name(partial(self.output, ours), *outputs)
        return {**ours, "outs": list(merged.values())}

    def output(
        self, stage: Content, path: str, base: Content | None, ours: Content, theirs: Content
    ) -> Content:
        """Merge what accumulates, and folders of `.dvc` files; of everything else, take ours."""
        hashes = Hashes(*[(side or {}).get("md5", "") for side in (base, ours, theirs)])
        merge = MERGED.get(path)
        if "cmd" not in stage:  # a .dvc file
            if not (hashes.ours.endswith(".dir") and hashes.theirs.endswith(".dir")):
                raise Refused(f"both sides changed {path}")
            merge = merge_folders
        elif path == paths.TRAIN_DATA:
            params = stage.get("params", {}).get(paths.PARAMS, {})
            keys = params.get("merge.data_key_columns", ())
            merge = partial(merge_training_data, key_columns=keys)
        elif path == paths.PRODUCTION:
            _tell(f"both sides changed {path}: ours stays, until dvc repro compares both models")
        return with_hash(ours, merge(self.root, hashes, self.conflicts)) if merge else ours


def _outputs_by_path(stage: Content) -> dict[str, Content]:
    return {output["path"]: output for output in stage.get("outs", [])}


def with_hash(output: Content, md5: str) -> Content:
    """Let the record of an output name another object.

    Its size is left out; DVC adds it when it records the output the next time.
    """
    output["md5"] = md5
    output.pop("size", None)
    output.pop("nfiles", None)
    return output
