"""Two people take one number: the first to push has it, and the second's runs get another one, with nothing lost."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest
from baked_projects import Project, stages_run
from clones_project import ada_and_bob
from versions_project import proof, run

REMOTE = "digit-experiments-remote"


def tag(project: Project, *arguments: str, code: int = 0) -> str:
    return run(project, "version_tag", *arguments, code=code)


def rows(database: Path) -> dict[str, dict[str, Any]]:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        connection.row_factory = sqlite3.Row
        return {row["track_id"]: dict(row) for row in connection.execute("SELECT * FROM metrics")}


def try_param(project: Project, value: float) -> None:
    """Run another C as e0.2.0, as its user does who has not heard of anybody else's."""
    text = (project.path / "params.yaml").read_text(encoding="utf-8")
    text = text.replace("version: e0.1.0 ", "version: e0.2.0 ").replace("  C: 1.0 ", f"  C: {value} ")
    text = text.replace("confidence: 0.95", "confidence: null")  # better, if within noise: it goes into production
    (project.path / "params.yaml").write_text(text, encoding="utf-8")
    project.git("commit", "--quiet", "--all", "--no-verify", "-m", f"C={value}")
    project.repro()


@pytest.fixture
def trained(light_trained: Project) -> Project:
    return light_trained


@pytest.fixture
def two(trained: Project, tmp_path: Path) -> tuple[Project, Project]:
    """Ada, who has pushed e0.1.0, and Bob, who cloned it."""
    return ada_and_bob(trained, tmp_path)


def test_the_second_to_push_a_number_gets_another_and_nothing_is_lost(
    two: tuple[Project, Project], tmp_path: Path
) -> None:
    ada, bob = two
    try_param(ada, 0.1)
    tag(ada, "--version", "e0.2.0", "--commit", "results", "--push")
    try_param(bob, 0.2)
    day = ada.git("for-each-ref", "--format=%(creatordate:short)", "refs/tags/e0.2.0")
    commit = ada.git("rev-parse", "--short=7", "HEAD")
    before = rows(bob.path / "results/experiments.db")
    model = (bob.path / "models/production/model.bin").read_bytes()

    said = tag(bob, "--version", "e0.2.0", "--commit", "Bob's", "--description", "it's Bob's", "--push", code=1)
    own = bob.git("rev-parse", "--short=7", "HEAD")
    problem, remedy = said.splitlines()
    assert problem == (
        f"error: on origin, e0.2.0 is tagged (by Ada Lovelace, {day}, commit {commit}); "
        f"yours (commit {own}) is taken back, and theirs is here now"
    )
    assert bob.git("rev-parse", "e0.2.0") == ada.git("rev-parse", "e0.2.0"), "nothing of Bob's is left behind"
    assert bob.git("ls-remote", "origin", "main").split()[0] == ada.git("rev-parse", "HEAD")
    shown = json.loads(bob.script("experiment_explorer", "show", "--version", "e0.2.0", "--format", "json"))
    assert {row["name"]: row["value"] for row in shown if row["section"] == "params"}["C"] == 0.1, "Ada's"
    assert "  → python scripts/version_tag.py --renumber" in tag(bob, "--suggest").splitlines()
    for words in (("--version", "e0.2.0"), ("--next", "minor")):
        [problem, other] = tag(bob, *words, code=1).splitlines()
        assert problem.endswith("and holds other runs than those of the last dvc repro")
        assert other.startswith("  → python scripts/version_tag.py --renumber ")

    said = bob.run("sh", "-c", remedy.removeprefix("  → ")).stdout
    assert "1 runs said e0.2.0, and say e0.3.0 now\n" in said
    assert said.splitlines()[-1].startswith("tagged e0.3.0: model=logistic_regression | C=0.2 | f1_score=")
    assert said.splitlines()[-1].endswith(" | it's Bob's")
    [track_id] = [name for name, row in before.items() if row["version"] == "e0.2.0"]
    wanted = {**before, track_id: {**before[track_id], "version": "e0.3.0"}}
    assert rows(bob.path / "results/experiments.db") == wanted
    assert rows(bob.path / f"results/runs/{track_id}.db") == {track_id: wanted[track_id]}
    assert [line[:7] for line in bob.git("diff", "HEAD~1", "--", "params.yaml").splitlines() if line[:2] == "+ "] == [
        "+  vers"
    ]
    assert (bob.path / "models/production/model.bin").read_bytes() == model
    assert json.loads((bob.path / "models/production/model.json").read_text(encoding="utf-8"))["version"] == "e0.3.0"
    assert (bob.path / "results/plots/versions.csv").read_text(encoding="utf-8").splitlines()[-1].startswith("e0.3.0,")
    assert bob.git("status", "--porcelain") == "" and stages_run(bob.repro()) == [], "nothing is trained anew"

    [problem, remedy] = tag(bob, "--version", "e0.3.0", "--push", code=1).splitlines()
    assert problem.startswith("error: git push failed: ")
    bob.git("config", "user.email", "bob@example.com")
    command, _, again = remedy.removeprefix("  → ").partition("   # then: ")
    assert command == "git pull --no-rebase origin main", "which needs no upstream"
    assert "CONFLICT" in bob.run("sh", "-c", command, code=1).stdout
    bob.git("checkout", "--quiet", "--ours", "--", ".")  # Bob decides
    bob.git("commit", "--quiet", "--all", "--no-edit", "--no-verify")
    said = bob.run("sh", "-c", again).stdout
    assert said.endswith("pushed refs/tags/e0.3.0 to origin\n")
    for version in ("e0.1.0", "e0.2.0", "e0.3.0"):
        assert proof(bob, version, code=0)["problem"] is None
    ada.git("fetch", "--quiet", "--tags")
    ada.script("model_manager", "download", "--version", "e0.3.0", "--output", str(tmp_path / "bobs.bin"))
    assert (tmp_path / "bobs.bin").read_bytes() == model


KILLED = """
import json, os, runpy, signal, sys

known = json.loads(sys.argv.pop())


def watch(event, arguments):
    if event == "os.rename":
        writes = str(arguments[1]).startswith(os.getcwd()) and "/.dvc/" not in str(arguments[1])
    else:
        words = [*map(str, arguments[1])] if event == "subprocess.Popen" else []
        writes = "commit" in words or ("tag" in words and any(word.startswith("--message=") for word in words))
    if writes and str(arguments[1]) not in known:
        print("killed before", arguments[1], flush=True)
        os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(watch)
sys.argv = ["scripts/version_tag.py", "--renumber"]
sys.path.insert(0, "scripts")
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Kills the command before a write that is new: a file that takes its place, a commit of DVC or Git, the tag."""


def test_a_renumbering_that_was_killed_at_any_write_is_completed_by_the_same_command(tagged: Project) -> None:
    tagged.git("tag", "kept", "e0.1.0^{}")
    tagged.git("tag", "--delete", "e0.1.0")
    tagged.set_param("model.C", 0.1)
    tagged.set_param("promote.confidence", None)  # so that the card of production has to change, too
    tagged.commit("another C")
    tagged.repro()
    tagged.commit("taken")
    tagged.git("tag", "-a", "-m", "somebody's", "e0.1.0", "kept")
    remedy = tag(tagged, "--next", "minor", code=1).partition("  → ")[2]
    assert remedy == "python scripts/version_tag.py --renumber   # gives these a number of their own\n"
    before = rows(tagged.path / "results/experiments.db")
    [run] = [path.stem for path in (tagged.path / "results/runs").glob("*.db")]
    wanted = {**before, run: {**before[run], "version": "e0.2.0"}}
    killed: list[str] = []
    while len(killed) < 20:
        done = subprocess.run(
            ["python", "-c", KILLED, json.dumps(killed)],
            cwd=tagged.path, env=tagged.environment, capture_output=True, text=True,
        )  # fmt: skip
        found = rows(tagged.path / "results/experiments.db")
        assert found in (before, wanted), "nothing but a version changes"
        if done.returncode != -signal.SIGKILL:
            break
        killed.append(done.stdout.rpartition("killed before ")[2].strip())
    assert done.returncode == 0, done.stderr
    for name in (
        "experiments.db", f"{run}.db", "model.json", "params.yaml", "versions.csv",
        "'dvc', 'commit'", "'git', 'commit'", "'git', 'tag'",
    ):  # fmt: skip
        assert any(name in each for each in killed), "\n".join([name, *killed])
    assert rows(tagged.path / "results/experiments.db") == wanted
    assert rows(tagged.path / f"results/runs/{run}.db") == {run: wanted[run]}
    assert json.loads((tagged.path / "models/production/model.json").read_text(encoding="utf-8"))["version"] == "e0.2.0"
    assert tagged.git("log", "-1", "--format=%s %D") == "Renumber e0.1.0 as e0.2.0 HEAD -> main, tag: e0.2.0"
    assert tagged.git("status", "--porcelain") == "" and stages_run(tagged.repro()) == []
    said = tag(tagged, "--renumber", code=1)
    problem, remedy = said.splitlines()
    assert problem == "error: the newest runs are e0.2.0 by right", "it is over"
    assert "e0.2.1   patch since e0.2.0\n" in tagged.run("sh", "-c", remedy.removeprefix("  → ")).stdout


def test_collect_gives_the_new_runs_of_main_the_next_version(trained: Project) -> None:
    """Its batches change main's data, so main trains; under e0.1.0, which is tagged, it may not."""
    tag(trained, "--version", "e0.1.0")
    [first] = rows(trained.path / "results/experiments.db")
    trained.run("scripts/setup_worktree.sh", "a")
    experiment = Project(trained.path.parent / "exp-a", trained.environment)
    experiment.drop_batch(2)
    experiment.set_param("model.C", 0.3)
    tag(experiment, "--start")
    experiment.git("commit", "--quiet", "--all", "--no-verify", "-m", "C=0.3")
    experiment.repro()
    tag(experiment, "--version", "e0.2.0", "--commit", "results")
    [theirs] = set(rows(experiment.path / "results/experiments.db")) - {first}

    bad = trained.path / "experiment.py"
    good = bad.read_text(encoding="utf-8")
    bad.write_text(good.replace("def fit(", "def fit(wrong, "), encoding="utf-8")
    trained.git("commit", "--quiet", "--all", "--no-verify", "-m", "broken")
    trained.dvc("commit", "--force")
    trained.git("commit", "--quiet", "--all", "--no-verify", "-m", "broken, and recorded")
    head = trained.git("rev-parse", "HEAD")
    done = trained.run("scripts/finish_worktree.sh", "a", "--collect", code=1)
    assert "main's new runs are e1.0.0, since a tag has closed e0.1.0" in done.stdout
    assert "error: dvc repro fails in main with what the experiment brings; main is as it was" in done.stderr
    assert trained.git("rev-parse", "HEAD") == head and trained.git("status", "--porcelain") == ""
    trained.git("reset", "--quiet", "--hard", "e0.1.0")
    trained.dvc("checkout")

    trained.run("scripts/finish_worktree.sh", "a", "--collect")
    found = rows(trained.path / "results/experiments.db")
    [own] = set(found) - {first, theirs}
    assert [found[name]["version"] for name in (first, theirs, own)] == ["e0.1.0", "e0.2.0", "e0.3.0"]
    assert found[own]["git_dirty"] == 0
    assert trained.git("log", "-2", "--format=%s").splitlines() == ["Collect exp/a: 1 runs, 1 batches", "Start e0.3.0"]
    assert trained.git("status", "--porcelain") == "" and stages_run(trained.repro()) == []
    tag(trained, "--version", "e0.3.0")
