"""`models/candidates` and `results/artifacts`: the best models, and what their runs made.

Others leave once they can be brought back.
"""

from pathlib import Path

from lineage.core import paths
from lineage.core.console import say
from lineage.core.errors import Refused
from lineage.models.gate import metric_text
from lineage.models.model_card import read_card
from lineage.models.production import locked_folders, record_models
from lineage.models.run_model import Models, find_run, open_models, recorded_folders
from lineage.results.chosen_by import Row
from lineage.results.leaderboard import measured
from lineage.runs.model_file import checked_md5, model_name, models_in
from lineage.runs.run import FINISHED, run_files
from lineage.tracked.cache import cached_object, copy_out, is_whole, recorded_manifest
from lineage.tracked.hashes import folder_manifest
from lineage.tracked.remote import missing_in_remote, open_remote
from lineage.tracked.whole_file import remove, write_text, write_whole

TO_RECORD = (
    "git add dvc.lock && git commit   # a commit that names them\n"
    "  → dvc push   # or a copy in the remote"
)
ABOUT_ARTIFACTS = "Files that the runs of candidates made by run.artifact().\n"

Found = dict[str, Path]
"""Models by the id of their run."""


def runs_of_models(models: Models, new: Found) -> list[Row]:
    """Read the rows of new models and of candidates; one whose row was replaced has none.

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


def keep_candidates(models: Models, new: Found, keep: int, *, by_hand: bool = False) -> bool:
    """Add the best of the new models; drop what is beyond the best and can be brought back.

    A new model that is not added is still where `train` left it.

    Args:
        models: of the project, whose folders are locked.
        new: the new models.
        keep: so many of the best stay, and the one in production.
        by_hand: a user asked for it, so the remote may be asked, too.

    Returns:
        whether the folder changed.

    Raises:
        Refused: a model to drop by hand could not be brought back; nothing is dropped.
    """
    old = models_in(models.root / paths.CANDIDATES)
    kept = {**old, **new}
    surplus = find_surplus(models, kept, keep)
    lost = find_lost(models.root, surplus, ask_remote=by_hand) & old.keys()
    if lost and by_hand:
        problem = f"{len(lost)} models could not be brought back, so nothing is pruned"
        raise Refused(f"{problem}: {', '.join(sorted(lost))}", TO_RECORD)
    for track_id in surplus.keys() - lost:
        del kept[track_id]
    changed = write_candidates(models.root, kept)
    if changed or by_hand:
        pruned = len(old.keys() - kept.keys())
        say(f"candidates: {len(kept)} kept in {paths.CANDIDATES}/ ({pruned} pruned)")
    if lost:
        reason = "stay until a commit of dvc.lock names their bytes"
        say(f"candidates: {len(lost)} beyond promote.keep {reason}")
    return changed


def add_candidate(file: Path, run_id: str) -> None:
    """Keep a model from elsewhere as a candidate under its own run id.

    Args:
        file: the model, a file or a folder.
        run_id: the run that made it.

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
            record_models(models.root)
        elif checked_md5(models.root, present[run_id]) == md5:
            say(f"candidates: {run_id} is there already")
        else:
            raise Refused(
                f"{present[run_id]} holds other bytes; it is not overwritten",
                f"dvc checkout --force {paths.CANDIDATES}",
            )


def prune(keep: int) -> None:
    """Drop all candidates but so many of the best ones and the one in production.

    Raises:
        Refused: a model to drop could not be brought back; nothing is dropped.
    """
    models = open_models()
    with locked_folders(models.root):
        if keep_candidates(models, {}, keep, by_hand=True):
            record_models(models.root)


def find_surplus(models: Models, files: Found, keep: int) -> dict[str, set[str]]:
    """Find the candidates beyond so many of the best, and beside the one in production.

    Returns:
        run id to the hashes of its files, those of its artifacts among them.

    Raises:
        BadInput: one of the files is no model, but a link to elsewhere, say.
    """
    best = []
    for run in models.best_runs(track_ids=list(files)):
        if measured(run[models.promote.metric]) is not None:
            best.append(run["track_id"])
    card = read_card(models.root) or {}
    spared = {card.get("track_id"), *list(dict.fromkeys(best))[:keep]}
    surplus = {}
    for track_id, path in files.items():
        md5 = checked_md5(models.root, path)
        if track_id not in spared:
            hashes = set(folder_manifest(path).values()) or {md5}
            made = folder_manifest(models.root / paths.ARTIFACTS / track_id)
            surplus[track_id] = hashes.union(made.values())
    return surplus


def find_lost(root: Path, surplus: dict[str, set[str]], *, ask_remote: bool) -> set[str]:
    """Tell which runs have files that would be lost with this copy of them.

    Others are named by a commit and whole in the cache, or in the remote.

    Args:
        root: the project's root.
        surplus: run id to the hashes of its files.
        ask_remote: whether to ask the remote for what no commit names; the pipeline does not
            connect for that.

    Raises:
        Refused: the remote does not answer.
    """
    left = set[str]().union(*surplus.values())
    for folder in recorded_folders(root) if left else ():
        if not left:
            break
        named = recorded_manifest(root, folder) or {}
        for md5 in left.intersection(named.values()):
            path = cached_object(root, md5)
            if path and is_whole(path, md5):
                left.remove(md5)
    remote = open_remote(root) if left and ask_remote else None
    if remote:
        left = missing_in_remote(root, remote, left)
    return {track_id for track_id, hashes in surplus.items() if hashes & left}


def write_candidates(root: Path, kept: Found) -> bool:
    """Make the folder hold exactly some models, and another their artifacts.

    What else lies in them stays.

    Returns:
        whether it changed.
    """
    folder = root / paths.CANDIDATES
    present = models_in(folder)
    artifacts = root / paths.ARTIFACTS
    write_text(artifacts / "README.md", ABOUT_ARTIFACTS)  # DVC warns of an empty folder
    for track_id in kept:
        made = run_files(root, FINISHED, track_id).artifacts
        if made.exists() and not (artifacts / track_id).exists():
            copy_out(made, artifacts / track_id)
    for track_id in present.keys() - kept.keys():
        remove(artifacts / track_id)
    if kept.keys() == present.keys() and folder.exists():
        return False

    def build(new_folder: Path) -> None:
        new_folder.mkdir()
        for path in set(folder.glob("*")) - set(present.values()):
            copy_out(path, new_folder / path.name)
        for track_id, path in kept.items():
            copy_out(path, new_folder / model_name(track_id))

    write_whole(folder, build)
    return True
