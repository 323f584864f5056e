"""`models/production` changes here, the model and its card; the model folders are locked here."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from lineage.core import paths
from lineage.core.console import say
from lineage.core.param_names import is_param
from lineage.models.gate import Decision
from lineage.models.model_card import CARD, MODEL, Card, read_card, read_origin, write_card
from lineage.models.run_model import Models, find_model
from lineage.results.leaderboard import Row, measured, metric_names
from lineage.tracked.cache import cached_object, copy_out, object_path
from lineage.tracked.guarded_output import check_base, keep_recoverable, locked
from lineage.tracked.hashes import path_md5
from lineage.tracked.whole_file import recover, written_whole

COPIED = (
    "track_id",
    "version",
    "git_commit",
    "git_dirty",
    "python",
    "platform",
    "data_hash",
    "test_hash",
    "evaluate_hash",
    "model_hash",
)
"""What the card says as the row of the run says it."""


@contextmanager
def locked_folders(root: Path) -> Iterator[None]:
    """Hold the lock of the model folders; complete what a killed process left in them.

    A process may have been killed after it changed a folder and before `dvc.lock` said so: such a
    folder is taken as it is.

    Raises:
        Refused: another process holds the lock for too long, or a folder is neither as `dvc.lock`
            records it nor what follows from that.
    """

    def may_differ(folder: Path, files: dict[str, str]) -> bool:
        if not all(cached_object(root, md5) for md5 in files.values()):
            return False
        if folder != root / paths.PRODUCTION:
            return True  # some were pruned, and their bytes can be brought back
        card = read_card(root) or {}
        before = json.loads(object_path(root, files[CARD]).read_bytes())
        follows = before["track_id"] in (card.get("track_id"), card.get("replaced"))
        return follows and path_md5(folder / MODEL) == card["model_hash"]

    with locked(root, paths.PRODUCTION):
        for name in (paths.PRODUCTION, paths.CANDIDATES, paths.ARTIFACTS):
            recover(root / name)
            check_base(root, name, may_differ)
        yield


def carry_out(models: Models, decision: Decision) -> None:
    """Do and say what was decided.

    Args:
        models: of the project, whose folders are locked.
        decision: of the gate, or of a user.

    Raises:
        Refused: the model is nowhere, or the one before could not be brought back.
        BadInput: the run's id or hash cannot be one.
    """
    run = decision.run
    if run is None:
        say(f"production: {decision.why}")
        return
    put_into_production(models.root, find_model(models.root, run), make_card(models, run, decision))
    say(f"production: {run['track_id']} ({run['version']}) promoted — {decision.why}")


def note_comparison(models: Models) -> None:
    """Note in the card that the model in production was compared with all that are there."""
    card = read_card(models.root) or {}
    write_card(models.root / paths.PRODUCTION, {**card, **compared_now(models)})


def compared_now(models: Models) -> Card:
    """List the models that are there, and the rules by which models are compared now."""
    return {"compared": sorted(models.new | models.kept), "compared_under": models.rules}


def make_card(models: Models, run: Row, decision: Decision) -> Card:
    """Collect what `model.json` says about a run's model."""
    before = read_card(models.root) or {}
    origin = read_origin(models.root, run)
    if origin["input_signature"] is None:
        say(f"no input signature in {CARD}: its predictions name none, or are not here")
    return {
        **{name: run.get(name) for name in COPIED},
        "params": {name: value for name, value in run.items() if is_param(name)},
        "metrics": {name: measured(run.get(name)) for name in metric_names(models.database)},
        "promoted_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "replaced": before.get("track_id"),
        "reason": decision.why,
        "by_hand": decision.by_hand,
        **origin,
        **compared_now(models),
    }


def put_into_production(root: Path, source: Path, card: Card) -> None:
    """Swap a model and its card in together; the model before must be recoverable.

    Args:
        root: the project's root.
        source: the model, a file or a folder, as `find_model` finds it.
        card: what `model.json` shall say.

    Raises:
        Refused: it is not.
    """
    folder = root / paths.PRODUCTION
    if folder.exists():
        keep_recoverable(root, paths.PRODUCTION)
    with written_whole(folder) as new_folder:
        copy_out(source, new_folder / MODEL)
        write_card(new_folder, card)
