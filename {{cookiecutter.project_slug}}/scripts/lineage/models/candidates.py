"""`models/candidates`: the best models, kept as long as their bytes exist nowhere else."""

import re
import shutil
from pathlib import Path

from lineage.core import paths
from lineage.models.model_card import read_card
from lineage.models.production import Models
from lineage.results.leaderboard import best_runs, measured
from lineage.runs.model_file import checked_md5, model_name, models_in
from lineage.tracked.cache import cached_object, copy_out, is_whole, recorded_manifest
from lineage.tracked.git import git
from lineage.tracked.remote import missing_in_remote, open_remote
from lineage.tracked.whole_file import replace_folder


def choose_surplus(
    models: Models, files: dict[str, Path], keep: int, *, ask_remote: bool
) -> tuple[set[str], set[str]]:
    """Find the candidates beyond the best `keep`.

    Args:
        models: of the project.
        files: run id to model file, of all candidates.
        keep: so many of the best stay; the one in production stays, too.
        ask_remote: as for `find_recoverable`.
    Returns:
        run ids of those whose bytes can be brought back, and of the others.
    """
    metric, card = models.promote.metric, read_card(models.root)
    rows = best_runs(models.database, metric, models.promote.mode, track_ids=list(files))
    ranked = list(
        dict.fromkeys(row["track_id"] for row in rows if measured(row[metric]) is not None)
    )
    hashes = {track_id: checked_md5(models.root, path) for track_id, path in files.items()}
    surplus = set(files) - set(ranked[:keep]) - {card.track_id if card else None}
    recoverable = find_recoverable(
        models.root, {hashes[track_id] for track_id in surplus}, ask_remote=ask_remote
    )
    free = {track_id for track_id in surplus if hashes[track_id] in recoverable}
    return free, surplus - free


def find_recoverable(root: Path, hashes: set[str], *, ask_remote: bool) -> set[str]:
    """Tell which bytes can be brought back: whole in the cache and named by a commit, or in the remote.

    Args:
        root: the project's root.
        hashes: of files.
        ask_remote: whether to ask the remote for those that no commit names; the pipeline makes no connection for it.
    Raises:
        Refused: the remote does not answer.
    """
    cached = {md5 for md5 in hashes if (path := cached_object(root, md5)) and is_whole(path, md5)}
    found = cached & named_by_commits(root, cached) if cached else set()
    left = hashes - found
    remote = open_remote(root) if left and ask_remote else None
    return found if remote is None else found | left - missing_in_remote(root, remote, left)


def named_by_commits(root: Path, hashes: set[str]) -> set[str]:
    """Tell which hashes are in a folder that the `dvc.lock` of any commit of any branch or tag names."""
    options = ("--all", "--patch", "--text", "--no-color", "--no-ext-diff", "--format=")
    history = git(root, "log", *options, "--", paths.PIPELINE_LOCK) or ""
    left = set(hashes)
    for md5 in dict.fromkeys(re.findall(r"\b[0-9a-f]{32}\.dir\b", history)):
        left -= set((recorded_manifest(root, md5) or {}).values())
        if not left:
            break
    return hashes - left


def write_candidates(root: Path, kept: dict[str, Path]) -> bool:
    """Make the folder hold exactly these models (run id to file); other files in it stay. Returns whether it changed."""
    folder = root / paths.CANDIDATES
    present = models_in(folder)
    if set(kept) == set(present) and folder.exists():
        return False

    def build(new_folder: Path) -> None:
        for path in folder.iterdir() if folder.exists() else ():
            if path not in present.values():
                (shutil.copytree if path.is_dir() else shutil.copy2)(path, new_folder / path.name)
        for track_id, path in kept.items():
            copy_out(path, new_folder / model_name(track_id))

    replace_folder(folder, build)
    return True
