"""Look at models, and copy one out of the project. Nothing here changes the project."""

import json
from pathlib import Path

from lineage.core import paths
from lineage.core.console import Say
from lineage.core.errors import BadInput, Refused
from lineage.core.listing import print_rows
from lineage.models.model_card import read_card
from lineage.models.production import find_model, find_run, open_models
from lineage.results.leaderboard import best_runs
from lineage.runs.model_file import model_name, models_in
from lineage.tracked.cache import copy_out
from lineage.tracked.hashes import file_md5
from lineage.tracked.recorded import recorded_md5


def list_models(form: str) -> None:
    """Print production and the candidates, best first.

    Args:
        form: table, json, csv or md.
    Raises:
        BadInput: no database, or the folders are recorded and missing.
    """
    models = open_models(print)
    _check_present(models.root)
    card, present = read_card(models.root), models_in(models.root / paths.CANDIDATES)
    kept = dict.fromkeys(present, "candidate")
    if card:
        kept[card.track_id] = " + ".join(
            ["production", *["candidate"] * (card.track_id in present)]
        )
    rows = best_runs(
        models.database, models.promote.metric, models.promote.mode, track_ids=list(kept)
    )
    rows += [
        {"track_id": track_id}
        for track_id in kept
        if track_id not in {row["track_id"] for row in rows}
    ]
    params = sorted(
        {name for row in rows for name in row if name.startswith("model_") and name != "model_hash"}
    )
    names = ["version", "track_id", models.promote.metric, *params]
    print_rows(
        ["kept as", *names], [[kept[row["track_id"]], *map(row.get, names)] for row in rows], form
    )


def show_model(run_id: str | None, form: str) -> None:
    """Print the card of the model in production, or the row of a run.

    Raises:
        BadInput: no such run.
        Refused: nothing is in production.
    """
    if run_id is not None:
        content = find_run(open_models(print), run_id, None)
    else:
        root = paths.find_root()
        _check_present(root)
        if (card := read_card(root)) is None:
            raise Refused("nothing is in production yet", "dvc repro")
        content = vars(card)
    if form == "json":
        print(json.dumps(content, indent=2))
    else:
        flat = [
            (name, json.dumps(value) if isinstance(value, dict) else value)
            for name, value in content.items()
        ]
        print_rows(["name", "value"], flat, form)


def download(run_id: str | None, version: str | None, output: Path, say: Say) -> None:
    """Copy the model of a run, or of a version's best run, out of the project.

    Args:
        run_id: the run.
        version: the version; give one of both.
        output: a file that does not exist yet, or a folder.
        say: is told what was copied.
    Raises:
        BadInput: no such run or version.
        Refused: the model is nowhere, or the file exists with other bytes.
    """
    models = open_models(say)
    row = find_run(models, run_id, version)
    source = find_model(models.root, row)
    target = output / model_name(row["track_id"]) if output.is_dir() else output
    if (target.exists() or target.is_symlink()) and not (
        target.is_file() and file_md5(target) == row["model_hash"]
    ):
        raise Refused(f"{target} exists; it is not overwritten", "choose another --output")
    copy_out(source, target)
    say(f"{target}: run {row['track_id']} ({row['version']}), md5 {row['model_hash']}")


def _check_present(root: Path) -> None:
    """Refuse to call nothing what only was not pulled."""
    for folder in (paths.PRODUCTION, paths.CANDIDATES):
        if recorded_md5(root, folder) is not None and not (root / folder).exists():
            raise BadInput(
                f"{folder} is missing although dvc.lock records it", f"dvc pull {folder}"
            )
