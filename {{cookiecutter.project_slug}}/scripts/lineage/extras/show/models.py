"""List, show, measure and copy out models. Nothing here changes the project."""

import json
from pathlib import Path

from lineage.core import paths
from lineage.core.console import say
from lineage.core.errors import BadInput, Refused
from lineage.extras.show.leaderboard import param_names
from lineage.extras.show.listing import print_rows
from lineage.models.measure import measure_again
from lineage.models.model_card import Card, as_row, read_card
from lineage.models.run_model import Models, find_model, missing_code, open_models
from lineage.results.leaderboard import Row, metric_names
from lineage.results.version_results import find_results
from lineage.runs.model_file import model_name
from lineage.runs.run import choice_metric
from lineage.tracked.cache import copy_out
from lineage.tracked.hashes import path_md5
from lineage.tracked.recorded import recorded_md5


def list_models(form: str) -> None:
    """Print production and the candidates, best first.

    Args:
        form: table, json, csv or md.

    Raises:
        BadInput: no database, or the folders are recorded and missing.
    """
    models = open_models()
    card = card_of_present_folders(models.root)
    kept = dict.fromkeys(models.kept, "candidate")
    if card:
        own = card["track_id"]
        kept[own] = "production + candidate" if own in kept else "production"
    runs = models.best_runs(track_ids=list(kept))
    without_row = kept.keys() - {run["track_id"] for run in runs}
    runs += [{"track_id": track_id} for track_id in sorted(without_row)]
    metric = models.promote.metric
    choice = choice_metric(metric_names(models.database), metric)
    params = param_names(set().union(*runs))
    names = ["version", "track_id", *dict.fromkeys((choice, metric)), *params]
    rows = []
    for run in runs:
        state = kept[run["track_id"]]
        if missing := missing_code(models.root, run):
            state += f", {missing.problem} ({missing.remedy})"
        rows.append([state, *map(run.get, names)])
    print_rows(["kept as", *names], rows, form)


def show_model(run_id: str | None, form: str) -> None:
    """Print the card of the model in production, or the row of a run.

    Args:
        run_id: the run; None: production.
        form: table, json, csv or md.

    Raises:
        BadInput: no such run.
        Refused: nothing is in production.
    """
    if run_id is not None:
        content = find_run(open_models(), run_id, None)
    else:
        content = card_of_production(paths.find_root())
    if form == "json":
        print(json.dumps(content, indent=2))
        return
    rows = []
    for name, value in content.items():
        text = json.dumps(value) if isinstance(value, dict) else value
        rows.append([name, text])
    print_rows(["name", "value"], rows, form)


def print_evaluation(run_id: str | None, version: str | None, form: str) -> None:
    """Measure a model under the present test data and code, and print what was recorded, too.

    Args:
        run_id: the run; give at most one of both.
        version: the version, whose best run with a model is meant; None of both: production.
        form: table, json, csv or md.

    Raises:
        BadInput: no such run or version.
        Refused: it cannot be measured, or nothing is in production.
    """
    models = open_models()
    if run_id is None and version is None:
        run = as_row(card_of_production(models.root))
    else:
        run = find_run(models, run_id, version)
    now, _ = measure_again(models, run)
    names = ["track_id", *models.present, *metric_names(models.database)]
    rows = [[name, run.get(name), now.get(name)] for name in names]
    print_rows(["name", "recorded", "now"], rows, form)


def download(run_id: str | None, version: str | None, output: Path) -> None:
    """Copy the model of a run, or of a version's best run, out of the project.

    Args:
        run_id: the run.
        version: the version; give one of both.
        output: a path that does not exist yet, or a folder to copy it into.

    Raises:
        BadInput: no such run or version.
        Refused: the model is nowhere, or the path exists with other bytes.
    """
    models = open_models()
    run = find_run(models, run_id, version)
    md5 = run["model_hash"]
    source = find_model(models.root, run)
    target = output / model_name(run["track_id"]) if output.is_dir() else output
    if not target.exists() and not target.is_symlink():
        copy_out(source, target)
    elif path_md5(target) != md5:
        remedy = f"mv {target} {target}.old   # or choose another --output"
        raise Refused(f"{target} exists; it is not overwritten", remedy)
    say(f"{target}: run {run['track_id']} ({run['version']}), md5 {md5}")


def find_run(
    models: Models,
    run_id: str | None,
    version: str | None,
    metric: str | None = None,
    mode: str | None = None,
) -> Row:
    """Read the row of a run, or of a version's best run that has a model.

    Args:
        models: of the project.
        run_id: the run.
        version: the version; give one of both. The runs of a tag are those that it holds.
        metric, mode: what is best in a version; None: what its tag says.

    Raises:
        BadInput: both or none are given, or the database does not know the run.
        Refused: there is no such version, or no model.
    """
    if (run_id is None) == (version is None):
        raise BadInput("give either --run-id or --version", "python scripts/model_manager.py list")
    if version is None:
        runs = models.best_runs(track_ids=[run_id])
    else:
        own = models.database == models.root / paths.DATABASE
        database = None if own else models.database
        runs = find_results(models.root, version, database, metric, mode).runs
    for run in runs:
        if run.get("model_hash"):
            return run
    asked = f"version {version}" if version else f"run {run_id}"
    if runs:
        raise Refused(f"{asked} has no model: its runs failed or saved none")
    raise BadInput(
        f"{asked} has no row in {models.database.name}",
        f"cp THEIR.db {paths.INCOMING_RESULTS}/ && dvc repro   # merge its results first",
    )


def card_of_production(root: Path) -> Card:
    """Read the card of the model in production; raises `Refused` where there is none."""
    card = card_of_present_folders(root)
    if card is None:
        raise Refused("nothing is in production yet", "dvc repro")
    return card


def card_of_present_folders(root: Path) -> Card | None:
    """Read the card of production; refuse to call nothing what only was not pulled."""
    missing = []
    for folder in (paths.PRODUCTION, paths.CANDIDATES):
        if recorded_md5(root, folder) is not None and not (root / folder).exists():
            missing.append(folder)
    if missing:
        problem = f"{missing[0]} is missing although dvc.lock records it"
        raise BadInput(problem, f"dvc pull {' '.join(missing)}")
    return read_card(root)
