"""The model folders: which run is asked for, where its bytes are, and the one way in which production changes."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from lineage.core import paths
from lineage.core.console import Say
from lineage.core.errors import BadInput, Refused
from lineage.core.params import Promote, read_params
from lineage.models.model_card import (
    CARD,
    ModelCard,
    describe_environment,
    read_card,
    read_signature,
)
from lineage.results.leaderboard import Row, best_runs, measured, metric_names
from lineage.runs.model_file import model_name
from lineage.tracked.cache import cached_object, copy_out, read_listing
from lineage.tracked.guarded_output import check_base, keep_recoverable, locked
from lineage.tracked.hashes import file_md5
from lineage.tracked.recorded import recorded_md5
from lineage.tracked.remote import obtain
from lineage.tracked.whole_file import recover_folder, replace_folder

MODEL = "model.bin"
STAGE = "promote_model"


@dataclass(frozen=True)
class Models:
    """The models of a project: where they and their rows are, by what they are compared, and who is told about them."""

    root: Path
    database: Path
    promote: Promote
    say: Say


def open_models(say: Say, database: Path | None = None, **chosen: str | None) -> Models:
    """Find the project around the current folder.

    Args:
        say: is told what happens.
        database: its rows; None: the project's own.
        chosen: keys of the section `promote` that differ from params.yaml; None: as there.
    Raises:
        BadInput: no project, a wrong params.yaml, or no such database.
    """
    root = paths.find_root()
    database = database or root / paths.DATABASE
    if not database.exists():
        raise BadInput(f"{database} does not exist", "dvc repro   # or, in a fresh clone: dvc pull")
    promote = read_params(root / paths.PARAMS).promote
    return Models(
        root,
        database,
        promote.model_copy(update={k: v for k, v in chosen.items() if v is not None}),
        say,
    )


def find_run(models: Models, run_id: str | None, version: str | None) -> Row:
    """Read the row of a run, or of a version's best run that has a model.

    Raises:
        BadInput: both or none are given, or the database does not know it.
        Refused: it has no model.
    """
    if (run_id is None) == (version is None):
        raise BadInput("give either --run-id or --version", "python scripts/model_manager.py list")
    where = [f"version={version}" if run_id is None else f"track_id={run_id}"]
    rows = best_runs(models.database, models.promote.metric, models.promote.mode, where=where)
    what = f"version {version}" if run_id is None else f"run {run_id}"
    if not rows:
        remedy = f"cp THEIR.db {paths.INCOMING_RESULTS}/ && dvc repro   # merge its results first"
        raise BadInput(f"{what} has no row in {models.database.name}", remedy)
    for row in rows:
        if row.get("model_hash") is not None:
            return row
    raise Refused(f"{what} has no model: its runs failed or saved none")


def find_model(root: Path, row: Row) -> Path:
    """Find a file with the bytes of a run's model: in the model folders, else in the cache or the remote.

    Raises:
        Refused: the bytes are nowhere.
        BadInput: the row's run id or hash cannot be one.
    """
    name, md5 = model_name(row["track_id"]), row["model_hash"]
    if not re.fullmatch("[0-9a-f]{32}", str(md5)):
        raise BadInput(f"model_hash of run {row['track_id']} is {md5!r}, not an md5")
    for place in (
        f"{paths.TRAINED_MODELS}/{name}",
        f"{paths.CANDIDATES}/{name}",
        f"{paths.PRODUCTION}/{MODEL}",
    ):
        if (root / place).is_file() and file_md5(root / place) == md5:
            return root / place
    try:
        return obtain(root, md5)
    except Refused as error:
        raise Refused(
            f"the model of run {row['track_id']} ({row['version']}): {error.problem}", error.remedy
        ) from None


def check_folders(root: Path) -> None:
    """Complete what a killed process left; refuse folders that are neither as `dvc.lock` records them nor our next state."""

    def may_differ(folder: Path, listing: Path) -> bool:
        objects = {name: cached_object(root, md5) for name, md5 in read_listing(listing).items()}
        pruned = (
            folder == root / paths.CANDIDATES
        )  # candidates go when their bytes can be brought back
        return all(objects.values()) and (pruned or _follows(root, objects.get(CARD)))

    for name in (paths.PRODUCTION, paths.CANDIDATES):
        recover_folder(root / name)
        check_base(root, name, may_differ)


def _follows(root: Path, recorded_card: Path | None) -> bool:
    """Tell whether production is whole and replaced the recorded model: a process was killed before `dvc.lock` named it."""
    card, model = read_card(root), root / paths.PRODUCTION / MODEL
    if (
        card is None
        or recorded_card is None
        or not model.is_file()
        or file_md5(model) != card.model_hash
    ):
        return False
    return json.loads(recorded_card.read_bytes()).get("track_id") == card.replaced


@contextmanager
def locked_folders(root: Path) -> Iterator[None]:
    """Hold the lock of the model folders, which are complete and as recorded.

    Raises:
        Refused: another process holds the lock for too long, or the folders are not what `dvc.lock` records.
    """
    with locked(root, paths.PRODUCTION):
        check_folders(root)
        yield


def record_models(models: Models) -> None:
    """After a change outside `dvc repro`, write the new hashes of the stage's outputs into `dvc.lock`, and nothing else.

    `dvc commit` would record the deps and params of the moment, too: the stage would then not run for them.
    """
    if recorded_md5(models.root, paths.PRODUCTION) is None:
        models.say("next: dvc repro   # records it")
        return
    from dvc.repo import Repo

    try:
        with Repo(str(models.root)) as repo, repo.lock:
            stage = repo.stage.load_one(str(models.root / paths.PIPELINE), STAGE)
            stage.add_outs(allow_missing=True)
            stage.dump(update_pipeline=False)
    except (
        Exception
    ) as error:  # DVC is busy or its cache cannot be written; the models themselves are in place
        models.say(
            f"dvc.lock does not name this yet: {' '.join(str(error).split())}\n  → dvc commit --force {STAGE}"
        )
    models.say(f"next: git add {paths.PIPELINE_LOCK} && git commit -m 'Change the models'")


def make_card(
    models: Models, row: Row, before: ModelCard | None, reason: str, *, by_hand: bool
) -> ModelCard:
    """Collect what `model.json` says about a run's model."""
    names = (
        "track_id",
        "version",
        "git_commit",
        "git_dirty",
        "data_hash",
        "test_hash",
        "model_hash",
    )
    copied: Row = {name: row.get(name) for name in names}
    return ModelCard(
        **copied,
        params={
            name: value
            for name, value in row.items()
            if name.startswith("model_") and name != "model_hash"
        },
        metrics={name: measured(row[name]) for name in metric_names(models.database)},
        promoted_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        replaced=before.track_id if before else None,
        reason=reason,
        chosen_over=recorded_md5(models.root, paths.TRAINED_MODELS) if by_hand else None,
        input_signature=read_signature(
            models.root, row["data_hash"], models.say
        ),  # loads what experiment.py needs
        environment=describe_environment(),
    )


def put_into_production(root: Path, source: Path, card: ModelCard) -> None:
    """Swap the model and its card in together; the model before must be recoverable.

    Raises:
        Refused: it is not, or the source's bytes are not those that the card names.
    """
    folder = root / paths.PRODUCTION
    if folder.exists():
        keep_recoverable(root, paths.PRODUCTION)

    def build(new_folder: Path) -> None:
        copy_out(source, new_folder / MODEL)
        if file_md5(new_folder / MODEL) != card.model_hash:
            raise Refused(f"{source} is not the model that run {card.track_id} recorded")
        (new_folder / CARD).write_text(card.to_json(), encoding="utf-8")

    replace_folder(folder, build)
