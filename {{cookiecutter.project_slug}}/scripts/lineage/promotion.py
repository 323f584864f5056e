"""The verb behind `model_manager.py`: candidates, and the gate to production."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from lineage import layout
from lineage.accumulate import check_base, keep_recoverable, locked, recover_folder, replace_folder
from lineage.errors import Refused
from lineage.experiment_file import load_experiment
from lineage.leaderboard import best_runs, metric_names
from lineage.params import Promote, read_params
from lineage.records import cached_object, file_md5

MODEL_SUFFIX = "_model.bin"
Say = Callable[[str], None]


@dataclass(frozen=True)
class ModelCard:
    """What `models/production/model.json` says about the model beside it."""

    track_id: str
    version: str
    git_commit: str | None
    data_hash: str | None
    test_hash: str | None
    model_hash: str
    params: dict[str, Any]
    metrics: dict[str, float | None]
    promoted_at: str
    replaced: str | None
    reason: str


def promote_stage(say: Say) -> None:
    """Keep the new models as candidates and, under `promote.strategy: rebase`, let the best one into production.

    Raises:
        BadInput: params.yaml, or a metric that the database does not have.
        Refused: the guard of `accumulate`; a model whose bytes are not those of its row.
    """
    root = layout.find_root()
    promote = read_params(root / layout.PARAMS).promote
    with locked(root, layout.PRODUCTION):
        for folder in (layout.PRODUCTION, layout.CANDIDATES):
            recover_folder(root / folder)
            check_base(root, folder, lambda *_: False)
        rows = _new_models(root, promote)
        _keep_candidates(root, rows, promote, say)
        _gate(root, rows, promote, say)


def _new_models(root: Path, promote: Promote) -> list[dict[str, Any]]:
    """Rows of the newest runs, best first, each with a model file whose hash is the row's."""
    files = {
        path.name.removesuffix(MODEL_SUFFIX): path for path in (root / layout.TRAINED_MODELS).glob(f"*{MODEL_SUFFIX}")
    }
    if not files:
        raise Refused(f"{layout.TRAINED_MODELS}/ holds no model", "dvc repro --force --single-item train")
    rows = best_runs(root / layout.DATABASE, promote.metric, promote.mode, track_ids=list(files))
    for row in rows:
        if file_md5(files[row["track_id"]]) != row["model_hash"]:
            raise Refused(f"{files[row['track_id']]} is not the model that run {row['track_id']} recorded")
    unknown = sorted(set(files) - {row["track_id"] for row in rows})
    if unknown:
        raise Refused(f"run {unknown[0]} has a model but no row in {layout.DATABASE}", "dvc repro merge_results")
    return rows


def _keep_candidates(root: Path, rows: list[dict[str, Any]], promote: Promote, say: Say) -> None:
    """Add the new models to the candidates, then drop the worst beyond `keep` whose bytes DVC can bring back."""
    folder = root / layout.CANDIDATES
    present = {path.name.removesuffix(MODEL_SUFFIX): path for path in folder.glob(f"*{MODEL_SUFFIX}")}
    new = {row["track_id"]: root / layout.TRAINED_MODELS / f"{row['track_id']}{MODEL_SUFFIX}" for row in rows}
    ranked = [
        row["track_id"]
        for row in best_runs(root / layout.DATABASE, promote.metric, promote.mode, track_ids=[*present, *new])
        if row[promote.metric] is not None
    ]
    kept: dict[str, Path] = {}
    for track_id, path in {**present, **new}.items():
        if track_id in ranked[: promote.keep] or not cached_object(root, file_md5(path)):
            kept[track_id] = path
    if set(kept) == set(present) and folder.exists():
        return

    def build(new_folder: Path) -> None:
        for track_id, path in kept.items():
            shutil.copyfile(path, new_folder / f"{track_id}{MODEL_SUFFIX}")

    replace_folder(folder, build)
    say(f"candidates: {len(kept)} kept in {layout.CANDIDATES}/ ({len(set(present) - set(kept))} pruned)")


def _gate(root: Path, rows: list[dict[str, Any]], promote: Promote, say: Say) -> None:
    measured = [row for row in rows if row[promote.metric] is not None and math.isfinite(row[promote.metric])]
    card_path = root / layout.PRODUCTION / "model.json"
    if not measured:
        if not card_path.exists():
            raise Refused(f"no run has a value of {promote.metric}, so there is no first model for production")
        say(f"production: kept; no new run has a value of {promote.metric}")
        return
    challenger = measured[0]
    value = challenger[promote.metric]
    if not card_path.exists():
        _put_into_production(root, challenger, None, f"first model of the project, {promote.metric}={value:.4f}", say)
        return
    incumbent = json.loads(card_path.read_text(encoding="utf-8"))
    if incumbent["track_id"] == challenger["track_id"]:
        say(f"production: {incumbent['track_id']} stays; it is the best of the newest runs")
        return
    if promote.strategy == "merge":
        say(f"production: {incumbent['track_id']} stays (promote.strategy: merge keeps new models as candidates only)")
        return
    before = _incumbent_value(root, incumbent, challenger, promote)
    gain = value - before if promote.mode == "max" else before - value
    comparison = f"{promote.metric} {value:.4f} against {before:.4f}"
    if math.isnan(before) or (gain > 0 and gain >= promote.min_improvement):
        _put_into_production(root, challenger, incumbent["track_id"], f"better: {comparison}", say)
    else:
        need = f" by at least {promote.min_improvement}" if promote.min_improvement else ""
        say(f"production: {incumbent['track_id']} stays; {challenger['track_id']} does not beat it{need}: {comparison}")


def _incumbent_value(root: Path, incumbent: dict[str, Any], challenger: dict[str, Any], promote: Promote) -> float:
    """The incumbent's metric on the challenger's test data; it is evaluated again when its own were others."""
    value = incumbent["metrics"].get(promote.metric)
    if incumbent["test_hash"] == challenger["test_hash"] and value is not None:
        return float(value)
    experiment = load_experiment(root)
    try:
        model = experiment.load_model(root / layout.PRODUCTION / "model.bin")
        metrics, _ = experiment.evaluate(model, experiment.load_data(root / layout.TEST_DATA))
    except Exception as error:
        raise Refused(
            f"the model in production cannot be measured on the new test data: {type(error).__name__}: {error}",
            "set promote.strategy: merge to keep it, or read “Your own task in a project that has run already” in docs/use-cases.md",
        ) from error
    return float(metrics.get(promote.metric, math.nan))


def _put_into_production(root: Path, row: dict[str, Any], replaced: str | None, reason: str, say: Say) -> None:
    source = root / layout.TRAINED_MODELS / f"{row['track_id']}{MODEL_SUFFIX}"
    card = ModelCard(
        track_id=row["track_id"],
        version=row["version"],
        git_commit=row["git_commit"],
        data_hash=row["data_hash"],
        test_hash=row["test_hash"],
        model_hash=row["model_hash"],
        params={name: value for name, value in row.items() if name.startswith("model_") and name != "model_hash"},
        metrics={name: row[name] for name in metric_names(root / layout.DATABASE)},
        promoted_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        replaced=replaced,
        reason=reason,
    )
    folder = root / layout.PRODUCTION
    if folder.exists():
        keep_recoverable(root, layout.PRODUCTION)

    def build(new_folder: Path) -> None:
        shutil.copyfile(source, new_folder / "model.bin")
        (new_folder / "model.json").write_text(json.dumps(asdict(card), indent=2) + os.linesep, encoding="utf-8")

    replace_folder(folder, build)
    say(f"production: {row['track_id']} ({row['version']}) promoted — {reason}")
