"""Production: what its card says, how a promotion is recorded, and that it is whole at every moment."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from baked_projects import SOURCE, Project
from models_project import add_rows, card, md5, models, object_of, refusal, rows, stand_inside

from lineage.core.errors import Refused
from lineage.extras.model_manager.change_models import promote_by_hand
from lineage.models.production import locked_folders
from lineage.tracked.hashes import path_md5
from lineage.tracked.whole_file import recover

pytestmark = pytest.mark.slow


@pytest.fixture
def inside(trained: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A trained project in which this process stands."""
    return stand_inside(trained, monkeypatch)


def test_a_model_says_where_it_comes_from_and_what_it_takes(trained: Project) -> None:
    import sklearn

    model, [run] = card(trained), rows(trained)
    for name in (
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
    ):
        assert model[name] == run[name], name
    assert model["params"] == {name: run[name] for name in ("model_name", "model_C", "model_max_iter")}
    assert model["metrics"] == {name: run[name] for name in ("f1_score", "accuracy", "log_loss")}
    assert model["packages"]["scikit-learn"] == sklearn.__version__
    loaded = model["packages"].keys()
    assert {"numpy", "pandas", "scipy", "skops", "threadpoolctl"} <= loaded
    assert not {"mypy", "ruff"} & loaded, "they were there, and not loaded"
    train = pd.read_parquet(trained.path / "data/train.parquet")
    assert model["input_signature"] == {name: str(kind) for name, kind in train.dtypes.items()}
    assert (model["replaced"], model["reason"][:26]) == (None, "first model of the project")
    assert json.loads(models(trained, "info", "--format", "json")) == model
    assert json.loads(models(trained, "info", "--run-id", run["track_id"], "--format", "json")) == run
    [listed] = json.loads(models(trained, "list", "--format", "json", cwd=trained.path / "data"))
    assert listed == {
        "kept as": "production + candidate",
        **{name: run[name] for name in ("version", "track_id", "f1_score", *model["params"])},
    }


def test_a_damaged_card_or_a_clone_without_data_is_said(trained: Project) -> None:
    path = trained.path / "models/production/model.json"
    text = path.read_text()
    path.unlink()  # it is a link into the cache
    path.write_text(text[:100])
    message = models(trained, "info", code=1)
    assert "models/production/model.json is damaged: " in message
    assert "model.json is damaged: " in models(trained, "promote", "--version", "e0.1.0", code=1)
    remedy = message.partition("  → ")[2]
    assert remedy == "dvc checkout --force models/production\n"
    trained.run("bash", "-ec", remedy)
    assert "is damaged" not in models(trained, "info") and path.read_text() == text
    clone = Project(trained.path.parent / "clone", trained.environment)
    trained.git("clone", "--quiet", str(trained.path), str(clone.path))
    assert "in a fresh clone: dvc pull" in models(clone, "promote", "--version", "e0.1.0", code=2)
    trained.dvc("push", "models/production", "models/candidates")
    clone.dvc("cache", "dir", "--local", "../cache of the clone")
    problem, _, remedy = models(clone, "info", code=2).partition("\n  → ")
    assert problem == "error: models/production is missing although dvc.lock records it"
    assert remedy == "dvc pull models/production models/candidates\n"
    clone.run("sh", "-c", remedy)
    assert "first model of the project" in models(clone, "info")


def test_a_card_is_written_without_the_code_of_the_experiment_and_says_what_it_lacks(trained: Project) -> None:
    add_rows(trained, {"track_id": "again", "predictions_hash": None})
    words = ("promote", "--run-id", "again")
    done = trained.run("python", "-X", "importtime", "scripts/model_manager.py", *words)
    assert "no input signature in model.json: its predictions name none, or are not here\n" in done.stdout
    written = card(trained)
    assert (written["track_id"], written["input_signature"], written["packages"]) == ("again", None, {})
    [kept] = (trained.path / "results/predictions").glob("*.parquet")
    kept.unlink()  # as a rebase does; the cache has it
    trained.script("model_manager", "promote", "--run-id", kept.stem)
    assert card(trained)["track_id"] == kept.stem and "id" in card(trained)["input_signature"]
    assert " lineage.models.production\n" in done.stderr and " sklearn\n" not in done.stderr


def test_links_of_every_cache_type_are_models(trained: Project) -> None:
    first = card(trained)
    for kind in ("symlink", "hardlink"):
        trained.dvc("config", "--local", "cache.type", kind)
        trained.dvc("checkout", "--relink")
        assert (trained.path / "models/production/model.bin").is_symlink() == (kind == "symlink")
        inode = object_of(trained, first["model_hash"]).stat().st_ino
        said = models(trained, "promote", "--metric", "log_loss", "--mode", "min")
        assert "stays; there is no new model" in said
        trained.repro("--force", "--single-item", "promote_model")
        assert card(trained) == first and object_of(trained, first["model_hash"]).stat().st_ino == inode
        assert md5(object_of(trained, first["model_hash"])) == first["model_hash"]


def test_a_promotion_that_dvc_did_not_record_says_how_to_go_on(inside: Project, said: list[str]) -> None:
    from dvc.repo import Repo

    add_rows(inside, {"track_id": "again", "version": "e1.0.0"}, {"track_id": "third", "version": "e2.0.0"})
    with Repo(str(inside.path)).lock:  # another dvc command runs
        promote_by_hand(None, "again", None, None, None)
    assert said[-2].startswith("dvc.lock does not name this yet: Unable to acquire lock")
    assert said[-2].endswith("\n  → dvc commit --force promote_model") and card(inside)["track_id"] == "again"
    message = refusal(lambda: promote_by_hand(None, "third", None, None, None), Refused)
    assert "models/production would lose rows or files, and its present bytes are recorded nowhere" in message
    assert "dvc checkout --force models/production" in message and card(inside)["track_id"] == "again"
    record, back = message.split("  → ")[1:]
    assert record.startswith("dvc commit --force   # ") and back.startswith("dvc checkout --force models/production ")
    inside.run("bash", "-ec", record)
    promote_by_hand(None, "third", None, None, None)
    assert card(inside)["replaced"] == "again" and "changed outs" not in inside.dvc("status", "promote_model")


def test_params_changed_before_a_promotion_by_hand_still_rerun_the_stage(inside: Project) -> None:
    inside.set_param("promote.keep", 3)
    add_rows(inside, {"track_id": "chosen"})
    promote_by_hand(None, "chosen", None, None, None)
    status = inside.dvc("status", "promote_model")
    assert "promote.keep" in status or "params.yaml" in status
    assert "changed outs" not in status


def test_two_promotions_at_once(trained: Project) -> None:
    add_rows(trained, *({"track_id": name, "version": version} for name, version in (("a", "e1.0.0"), ("b", "e2.0.0"))))
    command = [sys.executable, "scripts/model_manager.py", "promote", "--version"]
    both = [
        subprocess.Popen(
            [*command, version], cwd=trained.path, env=trained.environment, stdout=-1, stderr=-1, text=True
        )
        for version in ("e1.0.0", "e2.0.0")
    ]
    for process in both:
        out, error = process.communicate()
        assert process.returncode == 0 and "promoted — by hand" in out and "dvc.lock does not" not in out, out + error
    last = card(trained)
    assert {last["track_id"], last["replaced"]} == {"a", "b"}
    lock = yaml.safe_load((trained.path / "dvc.lock").read_text())
    recorded = {out["path"]: out["md5"] for out in lock["stages"]["promote_model"]["outs"]}
    assert recorded["models/production"] == path_md5(trained.path / "models/production")


KILLED = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from lineage.tracked.guarded_output import locked
from lineage.tracked.cache import store_object
from lineage.models.model_card import write_card
from lineage.models.production import put_into_production
from lineage.tracked.hashes import file_md5

root = Path(sys.argv[1])
cards = [(root / name, {"track_id": name, "model_hash": file_md5(root / name)}) for name in ("a", "b")]
for source, chosen in cards:  # what promotion records with DVC afterwards
    write_card(root / "cards", chosen)
    store_object(root, source, chosen["model_hash"])
    store_object(root, root / "cards/model.json", file_md5(root / "cards/model.json"))
def promote_both():
    for source, chosen in cards:
        with locked(root, "models/production"):
            put_into_production(root, source, chosen)

promote_both()
for _ in sys.stdin:
    child = os.fork()
    while not child:
        promote_both()
    print(child, flush=True)
    os.waitpid(child, 0)
    print("dead", flush=True)
"""


def test_killed_at_fifty_moments_production_is_always_whole(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(os.urandom(200_000))
    (tmp_path / ".dvc").mkdir()
    chance, folder, seen, cut = random.Random(5), tmp_path / "models/production", set(), 0
    server = subprocess.Popen(
        [sys.executable, "-c", KILLED, tmp_path, SOURCE / "scripts"], stdin=-1, stdout=-1, text=True, bufsize=1
    )
    assert server.stdin and server.stdout
    for _ in range(50):
        server.stdin.write("\n")
        child = int(server.stdout.readline())
        time.sleep(chance.uniform(0.005, 0.12))  # a promotion takes 4 to 45 ms, as the disk is
        os.kill(child, signal.SIGKILL)
        assert server.stdout.readline() == "dead\n"
        cut += any(path.name.startswith(".") for path in folder.parent.iterdir())
        assert sorted(path.name for path in folder.iterdir()) == ["model.bin", "model.json"]
        content = json.loads((folder / "model.json").read_text())
        assert content["model_hash"] == md5(folder / "model.bin")
        seen.add(content["track_id"])
    server.stdin.close()
    assert server.wait() == 0
    recover(folder)  # what every command does first
    assert [path.name for path in folder.parent.iterdir()] == ["production"]
    assert seen == {"a", "b"} and cut > 10, "the kills came in the middle of promotions"


def test_a_promotion_killed_before_dvc_lock_names_it_goes_on(trained: Project) -> None:
    """The folder was swapped, and then the process ended: nobody has to check anything out."""
    model, card_path = (trained.path / f"models/production/{name}" for name in ("model.bin", "model.json"))
    card = json.loads(card_path.read_text())
    changed = model.read_bytes() + b"\n"
    card.update(replaced=card["track_id"], track_id="next", model_hash=hashlib.md5(changed).hexdigest())
    for path, content in ((model, changed), (card_path, json.dumps(card).encode())):
        path.unlink()
        path.write_bytes(content)
    with locked_folders(trained.path):
        pass
    card.update(replaced="another")
    card_path.write_text(json.dumps(card))
    with pytest.raises(Refused, match="models/production lacks rows or files"), locked_folders(trained.path):
        pass
