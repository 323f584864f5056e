"""`models/candidates` and `results/artifacts`: the best models, and what their runs made.

Others leave once they can be brought back.
"""

from pathlib import Path

from lineage.core import paths
from lineage.core.console import say
from lineage.core.errors import Refused
from lineage.models.model_card import read_card
from lineage.models.run_model import Models, recorded_folders
from lineage.results.leaderboard import Row, measured
from lineage.runs.model_file import checked_md5, model_name, models_in
from lineage.runs.run import run_files
from lineage.tracked.cache import cached_object, copy_out, is_whole, recorded_manifest
from lineage.tracked.hashes import manifest_of
from lineage.tracked.whole_file import remove, write_text, written_whole

ABOUT_ARTIFACTS = "Files that the runs of candidates made by run.artifact().\n"

Found = dict[str, Path]
"""Models by the id of their run."""

Hashes = dict[str, set[str]]
"""By the id of a run: the hashes of its model's files, and of its artifacts."""


def runs_of_models(models: Models) -> list[Row]:
    """Read the rows of new models and of candidates; one whose row was replaced has none.

    Raises:
        Refused: a new model has other bytes than its row says.
    """
    new = models.new
    runs = models.best_runs(track_ids=[*new, *models.kept])
    for run in runs:
        file = new.get(run["track_id"])
        if file and checked_md5(models.root, file) != run["model_hash"]:
            raise Refused(f"{file} is not the model that run {run['track_id']} recorded")
    return runs


def keep_candidates(models: Models) -> None:
    """Add the best of the new models; drop what is beyond the best and can be brought back.

    A new model that is not added is still where `train` left it. So many of the best stay as
    `promote.keep` says, and the one in production.

    Args:
        models: of the project, whose folders are locked.
    """
    old = models.kept
    kept = old | models.new
    surplus = find_surplus(models, kept, models.promote.keep)
    lost = find_lost(models.root, surplus).keys() & old.keys()
    for track_id in surplus.keys() - lost:
        del kept[track_id]
    if write_candidates(models.root, kept):
        pruned = len(old.keys() - kept.keys())
        say(f"candidates: {len(kept)} kept in {paths.CANDIDATES}/ ({pruned} pruned)")
    if lost:
        say(
            f"candidates: {len(lost)} beyond promote.keep stay"
            " until a commit of dvc.lock names their bytes"
        )


def find_surplus(models: Models, files: Found, keep: int) -> Hashes:
    """Find the candidates beyond so many of the best, and beside the one in production.

    Raises:
        BadInput: one of the files is no model, but a link to elsewhere, say.
    """
    metric = models.promote.metric
    runs = models.best_runs(track_ids=list(files))
    best = [run["track_id"] for run in runs if measured(run[metric]) is not None]
    card = read_card(models.root) or {}
    spared = {card.get("track_id"), *best[:keep]}
    surplus = {}
    for track_id, path in files.items():
        checked_md5(models.root, path)
        if track_id not in spared:
            made = manifest_of(models.root / paths.ARTIFACTS / track_id)
            surplus[track_id] = {*manifest_of(path).values(), *made.values()}
    return surplus


def find_lost(root: Path, surplus: Hashes) -> Hashes:
    """Find the files of runs that would be lost here with this copy of them.

    Others are named by a commit and whole in the cache. The remote, which may have them, is not
    asked: the pipeline does not connect for that.

    Args:
        root: the project's root.
        surplus: the files of runs.
    """
    left = set[str]().union(*surplus.values())
    for folder in recorded_folders(root) if left else ():
        if not left:
            break
        named = recorded_manifest(root, folder)
        for md5 in left.intersection(named.values()):
            path = cached_object(root, md5)
            if path and is_whole(path, md5):
                left.remove(md5)
    return {track_id: hashes & left for track_id, hashes in surplus.items() if hashes & left}


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
        made = run_files(root, track_id).artifacts
        if made.exists() and not (artifacts / track_id).exists():
            copy_out(made, artifacts / track_id)
    for track_id in present.keys() - kept.keys():
        remove(artifacts / track_id)
    if kept.keys() == present.keys() and folder.exists():
        return False
    with written_whole(folder) as new_folder:
        new_folder.mkdir()
        for path in set(folder.glob("*")) - set(present.values()):
            copy_out(path, new_folder / path.name)
        for track_id, path in kept.items():
            copy_out(path, new_folder / model_name(track_id))
    return True
