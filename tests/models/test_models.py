"""Models: what becomes a candidate, what goes into production and comes back, and what is never lost."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from conftest import SOURCE, Project, stages_run

from lineage.core.errors import BadInput, LineageError, Refused
from lineage.models import gate as promotion
from lineage.models import production
from lineage.tracked.cache import cache_folder
from lineage.tracked.hashes import path_md5
from lineage.tracked.whole_file import recover_folder

pytestmark = pytest.mark.slow
Rows = list[dict[str, Any]]


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def rows(project: Project, order: str = "timestamp") -> Rows:
    with sqlite3.connect(f"file:{project.path}/results/experiments.db?mode=ro", uri=True) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"SELECT * FROM metrics ORDER BY {order}")]


def add_rows(project: Project, *changes: dict[str, Any]) -> None:
    """Copy the first run's row under other ids, as a merge of a colleague's database would leave it."""
    path = project.path / "results/experiments.db"
    first = rows(project)[0]
    content = path.read_bytes()
    path.unlink()  # it is a link into the cache
    path.write_bytes(content)
    with sqlite3.connect(path) as connection:
        for change in changes:
            row = {**first, **change}
            names = ", ".join(f'"{name}"' for name in row)
            connection.execute(f"INSERT INTO metrics ({names}) VALUES ({', '.join('?' * len(row))})", [*row.values()])


def card(project: Project) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((project.path / "models/production/model.json").read_text())
    return content


def candidates(project: Project) -> set[str]:
    return {path.name.removesuffix("_model.bin") for path in (project.path / "models/candidates").iterdir()}


def models(project: Project, *arguments: str, code: int = 0, cwd: Path | None = None) -> str:
    script = str(project.path / "scripts/model_manager.py")
    done = project.run("python", script, *arguments, code=code, cwd=cwd)
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def object_of(project: Project, digest: str) -> Path:
    [found] = project.path.parent.glob(f"cache/files/md5/{digest[:2]}/{digest[2:]}")
    return found


@pytest.fixture
def inside(trained: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A trained project in which this process stands, as one that calls the library does."""
    monkeypatch.chdir(trained.path)
    monkeypatch.setenv("HOME", trained.environment["HOME"])
    cache_folder.cache_clear()
    return trained


def refusal(work: Callable[[], object], kind: type[LineageError]) -> str:
    with pytest.raises(kind) as caught:
        work()
    return str(caught.value)


def test_merge_then_rebase_then_rollback(trained: Project) -> None:
    first = card(trained)
    trained.dvc("push")
    trained.set_param("promote.strategy", "merge")
    trained.set_param("promote.keep", 1)
    trained.set_param("experiment.version", "e0.2.0")
    trained.set_param("model.C", 0.1)
    said = trained.repro()
    assert (
        f"production: {first['track_id']} stays (promote.strategy: merge keeps new models as candidates only)" in said
    )
    assert card(trained) == first
    second = rows(trained)[1]
    assert second["f1_score"] > rows(trained)[0]["f1_score"]
    assert candidates(trained) == {first["track_id"], second["track_id"]}, "the best one, and production"

    trained.set_param("promote.strategy", "rebase")
    assert stages_run(trained.repro()) == ["promote_model"]
    better = card(trained)
    assert (better["track_id"], better["replaced"]) == (second["track_id"], first["track_id"])
    assert better["reason"].startswith("better: f1_score 0.9") and better["model_hash"] == second["model_hash"]
    trained.commit("second")
    trained.set_param("experiment.version", "e0.3.0")
    trained.set_param("model.C", 1e-6)
    trained.repro()
    trained.commit("a bad third")
    assert card(trained) == better and candidates(trained) == {second["track_id"]}

    object_of(trained, first["model_hash"]).unlink()  # now it is in the remote only
    head = trained.git("rev-parse", "HEAD")
    *said_lines, last = models(trained, "promote", "--version", "e0.1.0", cwd=trained.path / "docs").splitlines()
    said_lines.remove("Updating lock file '../dvc.lock'")  # DVC's own word
    assert last == "next: git add dvc.lock && git commit -m 'Change the models'"
    reason = (
        f"by hand (--version e0.1.0): f1_score {first['metrics']['f1_score']:.4f} replaces {second['f1_score']:.4f}"
    )
    assert said_lines[-1] == f"production: {first['track_id']} (e0.1.0) promoted — {reason}"
    back = card(trained)
    assert {name: back[name] for name in ("track_id", "replaced", "reason")} == {
        "track_id": first["track_id"],
        "replaced": second["track_id"],
        "reason": reason,
    }
    assert md5(trained.path / "models/production/model.bin") == first["model_hash"] == back["model_hash"]
    assert trained.git("rev-parse", "HEAD") == head
    assert trained.git("status", "--porcelain").split() == ["M", "dvc.lock"]
    assert "up to date" in trained.dvc("status") and stages_run(trained.repro()) == []
    assert "is there already" in models(trained, "promote", "--version", "e0.1.0")

    trained.set_param("promote.keep", 2)
    said = trained.repro()
    assert stages_run(said) == ["promote_model"] and "it was chosen by hand when these runs were there already" in said
    assert card(trained) == back
    trained.set_param("model.C", 0.01)
    said = trained.repro()
    assert f"against {back['metrics']['f1_score']:.4f}" in said, "new runs challenge the model that was rolled back to"


def test_a_model_says_where_it_comes_from_and_what_it_takes(trained: Project) -> None:
    import sklearn

    model, [run] = card(trained), rows(trained)
    for name in ("track_id", "version", "git_commit", "git_dirty", "data_hash", "test_hash", "model_hash"):
        assert model[name] == run[name], name
    assert model["params"] == {name: run[name] for name in ("model_name", "model_C", "model_max_iter")}
    assert model["metrics"] == {name: run[name] for name in ("f1_score", "accuracy", "log_loss")}
    assert model["environment"]["packages"]["scikit-learn"] == sklearn.__version__
    assert model["environment"]["python"].startswith("3.")
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
    assert (
        "models/production/model.json is damaged: " in message and "dvc checkout --force models/production" in message
    )
    assert "model.json is damaged: " in models(trained, "promote", "--version", "e0.1.0", code=1)
    clone = Project(trained.path.parent / "clone", trained.environment)
    trained.git("clone", "--quiet", str(trained.path), str(clone.path))
    assert "models/production is missing although dvc.lock records it\n  → dvc pull" in models(clone, "info", code=2)
    assert "in a fresh clone: dvc pull" in models(clone, "promote", "--version", "e0.1.0", code=2)


def test_a_sweep_of_thirty_keeps_the_five_with_the_smallest_loss(trained: Project) -> None:
    trained.set_param("promote.metric", "log_loss")
    trained.set_param("promote.mode", "min")
    grid = {"model.C": [10.0**-power for power in range(1, 7)], "model.max_iter": [10, 20, 40, 80, 160]}
    trained.set_param("sweep.grid", grid)
    said = trained.repro()
    best = [row["track_id"] for row in rows(trained, "log_loss, timestamp, track_id")]
    assert len(best) == 31 and "candidates: 5 kept in models/candidates/" in said
    incumbent = card(trained)["track_id"]
    assert candidates(trained) - {incumbent} == set(best[:5]) - {incumbent}

    # their bytes are in models/trained, the cache and a dvc.lock that no commit names yet
    state = sorted(candidates(trained))
    message = models(trained, "prune", "--keep", "2", code=1)
    assert "3 models could not be brought back, so nothing is pruned: " in message
    assert "git add dvc.lock && git commit" in message and "dvc push" in message
    assert sorted(candidates(trained)) == state
    trained.commit("sweep")
    assert "(3 pruned)" in models(trained, "prune", "--keep", "2")
    assert candidates(trained) == {*best[:2], incumbent}
    assert "up to date" in trained.dvc("status")
    target = trained.path / "build"
    gone = next(row for row in rows(trained) if row["track_id"] == best[4])
    target.mkdir()
    assert gone["model_hash"] in models(trained, "download", "--run-id", best[4], "--output", str(target))
    assert md5(target / f"{best[4]}_model.bin") == gone["model_hash"]
    (target / "mine.bin").write_text("mine")
    message = models(trained, "download", "--version", "e0.1.0", "--output", str(target / "mine.bin"), code=1)
    assert "exists; it is not overwritten" in message and (target / "mine.bin").read_text() == "mine"


def test_a_model_in_the_remote_only_can_be_pruned(inside: Project) -> None:
    other = inside.path / "other.bin"
    other.write_bytes(b"a model that only this file holds")
    add_rows(inside, {"track_id": "theirs", "f1_score": 0.1, "model_hash": md5(other)})
    said: list[str] = []
    promotion.add_candidate(other, "theirs", said.append)
    assert said[0] == "candidates: theirs (e0.1.0) added, f1_score 0.1000"
    assert said[-1].startswith("next: git add dvc.lock")
    assert object_of(inside, md5(other)).read_bytes() == other.read_bytes(), "recorded by DVC, too"
    assert "nothing is pruned: theirs" in refusal(lambda: promotion.prune(1, said.append), Refused)
    inside.dvc("push", "models/candidates")
    promotion.prune(1, said.append)
    assert "theirs" not in candidates(inside)


def test_candidates_from_elsewhere_never_overwrite(inside: Project) -> None:
    theirs = inside.path.parent / "theirs.bin"
    theirs.write_bytes(b"their model")
    add = promotion.add_candidate
    message = refusal(lambda: add(theirs, "theirs", print), BadInput)
    assert message.startswith("run theirs has no row in experiments.db\n  → cp THEIR.db results/incoming/ && dvc repro")
    add_rows(inside, {"track_id": "theirs", "model_hash": md5(theirs)}, {"track_id": "failed", "model_hash": None})
    (inside.path / "models/candidates/notes.txt").write_text("mine")
    add(theirs, "theirs", print)
    assert (inside.path / "models/candidates/theirs_model.bin").read_bytes() == b"their model"
    assert (inside.path / "models/candidates/notes.txt").read_text() == "mine"
    said: list[str] = []
    add(theirs, "theirs", said.append)
    assert said == ["candidates: theirs is there already"]
    theirs.write_bytes(b"another model")
    assert "is not the model that run theirs recorded" in refusal(lambda: add(theirs, "theirs", print), Refused)
    assert "run failed has no model" in refusal(lambda: add(theirs, "failed", print), Refused)
    assert (inside.path / "models/candidates/theirs_model.bin").read_bytes() == b"their model"


def test_what_cannot_be_a_model_or_a_run_is_refused(inside: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside.bin"
    outside.write_bytes(b"secret")
    link, empty = tmp_path / "link.bin", tmp_path / "empty.bin"
    link.symlink_to(outside)
    empty.touch()
    ids = ("../../evil", "/etc/passwd", "it's", 'a"b', "", ".hidden", "x" * 200)
    add_rows(inside, *({"track_id": name, "model_hash": md5(outside)} for name in ids))
    add_rows(inside, {"track_id": "sly", "model_hash": "../../../../etc/passwd"})
    add_rows(inside, {"track_id": "gone", "model_hash": "0" * 32})
    before = {path: md5(path) for path in (inside.path / "models").rglob("*") if path.is_file()}
    for name in ids:
        expected = f"run id {name!r} cannot be part of a file name\n  → use letters"
        assert refusal(lambda name=name: promotion.add_candidate(outside, name, print), BadInput).startswith(expected)
        by_hand = refusal(lambda name=name: promotion.promote_by_hand(None, name, None, None, None, print), BadInput)
        assert by_hand.startswith(expected)
    kept = inside.path / "models/candidates/linked_model.bin"
    kept.symlink_to(outside)
    assert "is a link to" in refusal(lambda: promotion.prune(1, print), BadInput)
    kept.unlink()
    first = card(inside)["track_id"]
    for path, words in (
        (link, f"{link} is a link to {outside}, outside the DVC cache"),
        (empty, f"{empty} is empty, not a model"),
        (tmp_path, f"{tmp_path} is not a file"),
        (tmp_path / "none", f"{tmp_path / 'none'} does not exist"),
    ):
        assert words in refusal(lambda path=path: promotion.add_candidate(path, first, print), BadInput)
    promote = promotion.promote_by_hand
    assert "is '../../../../etc/passwd', not an md5" in refusal(
        lambda: promote(None, "sly", None, None, None, print), BadInput
    )
    message = refusal(lambda: promote(None, "gone", None, None, None, print), Refused)
    assert message.startswith("the model of run gone (e0.1.0): object 000") and "not in the remote" in message
    assert "give either --run-id or --version" in models(inside, "download", "--output", "x", code=2)
    assert "version e9.9.9 has no row" in refusal(lambda: promote(None, None, "e9.9.9", None, None, print), BadInput)
    assert {path: md5(path) for path in (inside.path / "models").rglob("*") if path.is_file()} == before


def test_every_kind_of_metric_is_compared_or_said(inside: Project) -> None:
    incumbent = card(inside)
    value, digest = incumbent["metrics"]["f1_score"], incumbent["model_hash"]
    said: list[str] = []

    def challenge(mode: str = "max") -> str:
        said.clear()
        promotion.promote_by_hand(None, None, None, "f1_score", mode, said.append)
        return "\n".join(said)

    odd = {"text": "n/a", "null": None, "infinite": float("inf"), "tie": value, "later tie": value}
    changes = [{"track_id": name, "f1_score": odd[name], "timestamp": f"2020-01-0{n}"} for n, name in enumerate(odd, 1)]
    add_rows(inside, *changes[:3])
    text = challenge()
    for name, shown in (("text", "'n/a'"), ("null", "NULL"), ("infinite", "inf")):
        assert f"run {name} does not take part: its f1_score is {shown}, no number to compare" in text
    assert f"production: {incumbent['track_id']} stays; it is the best" in text
    add_rows(inside, *changes[3:])
    text = challenge()
    assert f"3 runs tie at f1_score {value:.4f}; the earliest, tie, stands for them" in text
    assert f"stays; tie does not beat it: f1_score {value:.4f} against {value:.4f} (a tie)" in text
    inside.set_param("promote.min_improvement", 0.01)
    add_rows(inside, {"track_id": "little", "f1_score": value + 0.009}, {"track_id": "no-model", "model_hash": None})
    assert "little does not beat it by at least 0.01" in challenge()
    assert card(inside) == incumbent
    add_rows(inside, {"track_id": "better", "f1_score": value + 0.01, "model_hash": digest})
    assert f"better (e0.1.0) promoted — better: f1_score {value + 0.01:.4f} against {value:.4f}" in challenge()
    add_rows(inside, {"track_id": "smaller", "f1_score": 0.1})
    assert "smaller (e0.1.0) promoted — better: f1_score 0.1000" in challenge("min")


def test_only_runs_on_the_present_test_data_take_part(inside: Project) -> None:
    add_rows(inside, {"track_id": "elsewhere", "f1_score": 1.0, "test_hash": "0" * 32})
    said: list[str] = []
    promotion.promote_by_hand(None, None, None, None, None, said.append)
    assert "stays; it is the best" in said[-1] and not any("elsewhere" in line for line in said)
    promotion.promote_by_hand(None, "elsewhere", None, None, None, said.append)
    assert ", measured on other test data" in said[-2] and card(inside)["track_id"] == "elsewhere"


def test_links_of_every_cache_type_are_models(trained: Project) -> None:
    first = card(trained)
    for kind in ("symlink", "hardlink"):
        trained.dvc("config", "--local", "cache.type", kind)
        trained.dvc("checkout", "--relink")
        assert (trained.path / "models/production/model.bin").is_symlink() == (kind == "symlink")
        inode = object_of(trained, first["model_hash"]).stat().st_ino
        said = models(trained, "promote", "--metric", "log_loss", "--mode", "min")
        assert "stays; it is the best of the newest runs" in said
        trained.repro("--force", "--single-item", "promote_model")
        assert card(trained) == first and object_of(trained, first["model_hash"]).stat().st_ino == inode
        assert md5(object_of(trained, first["model_hash"])) == first["model_hash"]


def test_a_promotion_that_dvc_did_not_record_says_how_to_go_on(inside: Project) -> None:
    from dvc.repo import Repo

    add_rows(inside, {"track_id": "again", "version": "e1.0.0"}, {"track_id": "third", "version": "e2.0.0"})
    said: list[str] = []
    with Repo(str(inside.path)).lock:  # another dvc command runs
        promotion.promote_by_hand(None, "again", None, None, None, said.append)
    assert said[-2].startswith("dvc.lock does not name this yet: Unable to acquire lock")
    assert said[-2].endswith("\n  → dvc commit --force promote_model") and card(inside)["track_id"] == "again"
    message = refusal(lambda: promotion.promote_by_hand(None, "third", None, None, None, print), Refused)
    assert "models/production would lose rows or files, and its present bytes are recorded nowhere" in message
    assert "dvc checkout --force models/production" in message and card(inside)["track_id"] == "again"
    inside.dvc("commit", "--force", "promote_model")
    promotion.promote_by_hand(None, "third", None, None, None, said.append)
    assert card(inside)["replaced"] == "again" and "changed outs" not in inside.dvc("status", "promote_model")


def test_params_changed_before_a_promotion_by_hand_still_rerun_the_stage(inside: Project) -> None:
    inside.set_param("promote.keep", 3)
    add_rows(inside, {"track_id": "chosen"})
    promotion.promote_by_hand(None, "chosen", None, None, None, print)
    status = inside.dvc("status", "promote_model")
    assert "promote.keep" in status or "params.yaml" in status
    assert "changed outs" not in status


def test_runs_that_failed_change_nothing(inside: Project) -> None:
    """Every run of a session failed: their rows have no metric and no model, and models/trained is empty."""
    before = card(inside)
    add_rows(inside, {"track_id": "failed", "f1_score": None, "model_hash": None})
    for path in (inside.path / "models/trained").iterdir():
        path.unlink()
    said: list[str] = []
    promotion.promote_stage(said.append)
    assert said == [f"production: {before['track_id']} stays; no new run has a model and a value of f1_score"]
    assert card(inside) == before and candidates(inside) == {before["track_id"]}


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
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from lineage.tracked.guarded_output import locked
from lineage.tracked.cache import store_object
from lineage.models.model_card import ModelCard
from lineage.models.production import put_into_production
from lineage.tracked.hashes import file_md5

root = Path(sys.argv[1])
card = ModelCard("", "e0.1.0", None, None, None, "", {}, {}, "", None, "")
cards = [(root / name, replace(card, track_id=name, model_hash=file_md5(root / name))) for name in ("a", "b")]
for source, chosen in cards:  # what promotion records with DVC afterwards
    text = source.with_suffix(".json")
    text.write_text(chosen.to_json())
    store_object(root, source, chosen.model_hash)
    store_object(root, text, file_md5(text))
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
        time.sleep(chance.uniform(0.005, 0.03))
        os.kill(child, signal.SIGKILL)
        assert server.stdout.readline() == "dead\n"
        cut += any(path.name.startswith(".") for path in folder.parent.iterdir())
        assert sorted(path.name for path in folder.iterdir()) == ["model.bin", "model.json"]
        content = json.loads((folder / "model.json").read_text())
        assert content["model_hash"] == md5(folder / "model.bin")
        seen.add(content["track_id"])
    server.stdin.close()
    assert server.wait() == 0
    recover_folder(folder)  # what every command does first
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
    production.check_folders(trained.path)
    card.update(replaced="another")
    card_path.write_text(json.dumps(card))
    with pytest.raises(Refused, match="models/production lacks rows or files"):
        production.check_folders(trained.path)
