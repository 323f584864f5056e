"""`models/candidates` and `results/artifacts`: the best models, and what their runs made.

Others leave once they can be brought back.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from lineage.core import paths
from lineage.core.console import Say
from lineage.core.errors import Refused
from lineage.models.gate import metric_text
from lineage.models.model_card import read_card
from lineage.models.production import locked_folders, record_models
from lineage.models.run_model import (
    Models,
    find_run,
    open_models,
    recorded_folders,
)
from lineage.results.leaderboard import Row, measured
from lineage.runs.model_file import (
    checked_md5,
    model_name,
    models_in,
)
from lineage.runs.run import FINISHED, run_files
from lineage.tracked.cache import (
    cached_object,
    copy_out,
    is_whole,
    recorded_manifest,
)
from lineage.tracked.hashes import folder_manifest
from lineage.tracked.remote import missing_in_remote, open_remote
from lineage.tracked.whole_file import remove, replace_folder, write_text

TO_RECORD = (
    "git add dvc.lock && git commit   # a commit that names them\n"
    "  → dvc push   # or a copy in the remote"
)


def runs_of_models(models: Models, new: dict[str, Path]) -> list[Row]:
    """Read the rows of new models and of candidates; one whose row was replaced has none.

    Args:
        models: of the project.
        new: run id to model.

    Raises:
        Refused: a new model has other bytes than its row says.
    """
    kept = models_in(models.root / paths.CANDIDATES)
    runs = models.best_runs(track_ids=[*new, *kept])
    for run in runs:
        file = new.get(run["track_id"])
        if file and checked_md5(models.root, file) != run["model_hash"]:
            raise Refused(f"{file} is not the model that run {run['track_id']} recorded")
    return runs


def keep_candidates(models: Models, new: dict[str, Path]) -> list[str]:
    """Add the best of the new models; drop what is beyond `promote.keep` and recoverable.

    Args:
        models: of the project, whose folders are locked.
        new: run id to model.

    Returns:
        lines that say what was done.
    """
    old = models_in(models.root / paths.CANDIDATES)
    both = {**old, **new}
    surplus = find_surplus(models, both, models.promote.keep)
    recoverable = find_recoverable(models.root, set().union(*surplus.values()), ask_remote=False)
    kept = dict(both)
    for name, hashes in surplus.items():
        missing = [md5 for md5 in hashes if not cached_object(models.root, md5)]
        recorded_by_train = name not in old and not missing
        if hashes <= recoverable or recorded_by_train:
            del kept[name]
    lines = []
    if write_candidates(models.root, kept):
        pruned = len(old.keys() - kept.keys())
        lines.append(f"candidates: {len(kept)} kept in {paths.CANDIDATES}/ ({pruned} pruned)")
    held = len(kept.keys() & surplus.keys())
    if held:
        reason = "stay until a commit of dvc.lock names their bytes"
        lines.append(f"candidates: {held} beyond promote.keep {reason}")
    return lines


def add_candidate(file: Path, run_id: str, say: Say) -> None:
    """Keep a model from elsewhere as a candidate under its own run id.

    Args:
        file: the model, a file or a folder.
        run_id: the run that made it.
        say: is told what was done.

    Raises:
        BadInput: no such run, or it is no model.
        Refused: the file is not the run's model, or another one is kept under that id.
    """
    models = open_models()
    md5 = checked_md5(models.root, file)
    run = find_run(models, run_id, None)
    if md5 != run["model_hash"]:
        recorded = f"the model that run {run_id} recorded (md5 {run['model_hash']})"
        raise Refused(f"{file} (md5 {md5}) is not {recorded}")
    with locked_folders(models.root):
        present = models_in(models.root / paths.CANDIDATES)
        if run_id not in present:
            write_candidates(models.root, {**present, run_id: file})
            metric = models.promote.metric
            value = metric_text(run[metric])
            say(f"candidates: {run_id} ({run['version']}) added, {metric} {value}")
            record_models(models.root, say)
        elif checked_md5(models.root, present[run_id]) == md5:
            say(f"candidates: {run_id} is there already")
        else:
            remedy = f"dvc checkout --force {paths.CANDIDATES}"
            raise Refused(f"{present[run_id]} holds other bytes; it is not overwritten", remedy)


def prune(keep: int, say: Say) -> None:
    """Drop all candidates but the best ones and the one in production.

    Args:
        keep: so many of the best stay.
        say: is told what was done.

    Raises:
        Refused: a model to drop could not be brought back; nothing is dropped.
    """
    models = open_models()
    with locked_folders(models.root):
        present = models_in(models.root / paths.CANDIDATES)
        surplus = find_surplus(models, present, keep)
        hashes = set().union(*surplus.values())
        recoverable = find_recoverable(models.root, hashes, ask_remote=True)
        stuck = sorted(name for name, own in surplus.items() if not own <= recoverable)
        if stuck:
            problem = f"{len(stuck)} models could not be brought back, so nothing is pruned"
            raise Refused(f"{problem}: {', '.join(stuck)}", TO_RECORD)
        kept = {name: path for name, path in present.items() if name not in surplus}
        changed = write_candidates(models.root, kept)
        say(f"candidates: {len(kept)} kept in {paths.CANDIDATES}/ ({len(surplus)} pruned)")
        if changed:
            record_models(models.root, say)


def find_surplus(models: Models, files: dict[str, Path], keep: int) -> dict[str, set[str]]:
    """Find the candidates beyond the best.

    Args:
        models: of the project.
        files: run id to model, of all candidates.
        keep: so many of the best stay; the one in production stays, too.

    Returns:
        run id to the hashes of its files, those of its artifacts among them.
    """
    surplus = {}
    for name, path in files.items():
        md5 = checked_md5(models.root, path)
        surplus[name] = set(folder_manifest(path).values()) or {md5}
        surplus[name] |= set(folder_manifest(models.root / paths.ARTIFACTS / name).values())
    card = read_card(models.root)
    if card:
        surplus.pop(card.track_id, None)
    best = []
    for run in models.best_runs(track_ids=list(files)):
        if measured(run[models.promote.metric]) is not None:
            best.append(run["track_id"])
    for name in list(dict.fromkeys(best))[:keep]:
        surplus.pop(name, None)
    return surplus


def find_recoverable(root: Path, hashes: set[str], *, ask_remote: bool) -> set[str]:
    """Tell which bytes can be brought back: named by a commit and in the cache, or in the remote.

    Args:
        root: the project's root.
        hashes: of files.
        ask_remote: whether to ask the remote for what no commit names; the pipeline does not
            connect for that.

    Raises:
        Refused: the remote does not answer.
    """
    objects = {md5: cached_object(root, md5) for md5 in hashes}
    cached = {md5 for md5, path in objects.items() if path and is_whole(path, md5)}
    found = named_by_commits(root, cached) if cached else set()
    left = hashes - found
    remote = open_remote(root) if left and ask_remote else None
    if remote is None:
        return found
    return hashes - missing_in_remote(root, remote, left)


def named_by_commits(root: Path, hashes: set[str]) -> set[str]:
    """Tell which hashes are of files in a folder that the `dvc.lock` of any commit names."""
    named = set[str]()
    for md5 in recorded_folders(root):
        manifest = recorded_manifest(root, md5) or {}
        named |= hashes & set(manifest.values())
        if named == hashes:
            break
    return named


def write_candidates(root: Path, kept: dict[str, Path]) -> bool:
    """Make the folder hold exactly some models, and another their artifacts.

    What else lies in them stays.

    Args:
        root: the project's root.
        kept: run id to model.

    Returns:
        whether it changed.
    """
    folder = root / paths.CANDIDATES
    present = models_in(folder)
    _keep_artifacts(root, kept, present.keys() - kept.keys())
    if kept.keys() == present.keys() and folder.exists():
        return False

    def build(new_folder: Path) -> None:
        for path in set(folder.glob("*")) - set(present.values()):
            copy = shutil.copytree if path.is_dir() else shutil.copy2
            copy(path, new_folder / path.name)
        for track_id, path in kept.items():
            copy_out(path, new_folder / model_name(track_id))

    replace_folder(folder, build)
    return True


def _keep_artifacts(root: Path, kept: Iterable[str], dropped: Iterable[str]) -> None:
    """Copy in what new candidates made beside their models, and remove that of dropped ones."""
    folder = root / paths.ARTIFACTS
    about = "Files that the runs of candidates made by run.artifact().\n"
    write_text(folder / "README.md", about)  # DVC warns of an empty folder
    for track_id in kept:
        made = run_files(root, FINISHED, track_id).artifacts
        if made.exists() and not (folder / track_id).exists():
            copy_out(made, folder / track_id)
    for track_id in dropped:
        remove(folder / track_id)
