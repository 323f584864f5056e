"""A tag closes its version: it gets no more runs, and every command that takes `--version` means those it has."""

from __future__ import annotations

import hashlib
import json
import socket
import sqlite3
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from baked_projects import Project, copy_project, stages_run
from models_project import rows, stand_inside
from versions_project import proof, run

import lineage
from lineage.core.errors import BadInput
from lineage.core.params import with_version

START = "python scripts/version_tag.py --start"


def tag(project: Project, *arguments: str, code: int = 0) -> str:
    return run(project, "version_tag", *arguments, code=code)


def versions_of_rows(project: Project) -> list[tuple[str, int]]:
    """Version and `git_dirty` of each row, in the order of the runs."""
    with sqlite3.connect(f"file:{project.path}/results/experiments.db?mode=ro", uri=True) as connection:
        return list(connection.execute("SELECT version, git_dirty FROM metrics ORDER BY timestamp"))


def runs_of(project: Project) -> list[str]:
    return sorted(path.stem for path in (project.path / "results/runs").glob("*.db"))


# --- Train -----------------------------------------------------------------------------------------------------------


def test_a_tagged_version_gets_no_new_runs_and_the_command_of_the_message_starts_the_next(tagged: Project) -> None:
    assert stages_run(tagged.repro()) == [], "with nothing to do, a closed version is no error"
    before = (tagged.path / "params.yaml").read_text(encoding="utf-8")
    changed = before.replace("  C: 1.0 ", "  C: 0.1 ")
    (tagged.path / "params.yaml").write_text(changed, encoding="utf-8")
    head = tagged.git("rev-parse", "--short=7", "HEAD")
    day = tagged.git("for-each-ref", "--format=%(creatordate:short)", "refs/tags/e0.1.0")
    said = tagged.repro(code=255)
    problem = f"error: e0.1.0 is tagged (by Ada Lovelace, {day}, commit {head}), so it takes no new runs\n"
    assert f"{problem}  → {START}   # or --start patch, minor, major; then: dvc repro\n" in said
    assert versions_of_rows(tagged) == [("e0.1.0", 0)]

    tagged.run("sh", "-c", f"{START}   # or --start patch, minor, major; then: dvc repro")
    started = (tagged.path / "params.yaml").read_text(encoding="utf-8")
    assert started == changed.replace("version: e0.1.0 ", "version: e0.2.0 "), "comments and layout stay"
    said = tag(tagged, "--start")
    assert said.splitlines()[0] == "params.yaml says e0.2.0; no tag has closed it", "twice is once"
    tagged.run("sh", "-c", said.splitlines()[1].removeprefix("  → "))
    assert versions_of_rows(tagged) == [("e0.1.0", 0), ("e0.2.0", 0)], "what ran was committed"


def test_a_sweep_that_stopped_goes_on_under_a_version_that_is_free_only(tagged: Project) -> None:
    tagged.set_param("sweep.grid", {"model.C": [0.5, -1.0]})
    tag(tagged, "--start")
    assert "1 of 2 runs failed" in tagged.repro(code=255)
    tagged.git("tag", "e0.2.0")  # as a fetch from a colleague brings one
    assert "error: e0.2.0 is tagged (by Ada Lovelace" in tagged.repro(code=255)
    assert len(list((tagged.path / "results/unfinished").rglob("*.db"))) == 2, "what has run waits"
    tagged.git("tag", "--delete", "e0.2.0")
    tagged.set_param("sweep.on_error", "keep")
    assert "1 of 2 runs are there already" in tagged.repro()


def test_an_experiment_of_dvc_knows_the_tags_too(tagged: Project) -> None:
    for place in ([], ["--temp"]):
        said = tagged.dvc("exp", "run", *place, "-S", "model.C=5.0", code=255)
        assert "error: e0.1.0 is tagged (by Ada Lovelace" in said
        tagged.git("checkout", "--", "params.yaml")
    done = tagged.dvc("exp", "run", "--name", "wide", "-S", "model.C=5.0", "-S", "experiment.version=e0.2.0")
    assert "Ran experiment(s): wide" in done
    assert [version for version, _ in versions_of_rows(tagged)] == ["e0.1.0", "e0.2.0"]


# --- Start -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "before",
    [
        "# e0.1.0\nexperiment:\n  version: e0.1.0     # of e0.1.0\n",
        'x: e0.1.0\r\nexperiment: {d: e0.1.0,   version: "e0.1.0"} # e0.1.0\r\n',
        "experiment:\n    'version':\n      'e0.1.0'\n    d: é\n",
        "experiment:\n  version: |-\n    e0.1.0\n",
    ],
)
def test_a_new_version_changes_no_other_byte_of_the_params(before: str) -> None:
    changed = with_version(before, "e0.10.0")
    assert len(changed) == len(before) + 1 and changed.replace("e0.10.0", "e0.1.0") == before
    old = yaml.safe_load(before)
    assert yaml.safe_load(changed) == {**old, "experiment": {**old["experiment"], "version": "e0.10.0"}}


def test_a_version_that_is_an_alias_is_left_to_its_writer() -> None:
    params = "x: &v e0.1.0\nexperiment:\n  version: *v\ny: *v\n"
    with pytest.raises(BadInput, match=r"does not stand there as text\n  → write in params.yaml: ") as caught:
        with_version(params, "e0.2.0")
    line = str(caught.value.remedy).removeprefix("write in params.yaml: ")
    assert line == "version: e0.2.0"
    written = params.replace("version: *v", line)
    assert with_version(written, "e0.3.0") == written.replace(line, "version: e0.3.0")


@pytest.mark.slow
def test_start_counts_from_this_history_and_passes_over_what_is_taken_anywhere(baked: Project, tmp_path: Path) -> None:
    project = copy_project(baked, tmp_path)
    project.git("tag", "-a", "-m", "first", "e0.1.0")
    project.git("commit", "--quiet", "--allow-empty", "--no-verify", "-m", "of another branch")
    project.git("tag", "-a", "-m", "side", "e0.2.0")
    project.git("tag", "-a", "-m", "side", "e3.0.0")
    project.git("reset", "--quiet", "--hard", "HEAD~1")
    project.run("git", "clone", "--quiet", "--bare", ".", str(tmp_path / "origin.git"))
    project.run("git", "tag", "-a", "-m", "a colleague's", "e0.3.0", cwd=tmp_path / "origin.git")
    project.git("remote", "add", "origin", str(tmp_path / "origin.git"))

    def started(*part: str) -> str:
        return tag(project, "--start", *part).split(";")[0].removeprefix("params.yaml says ")

    assert started("minor") == "e0.4.0"
    assert [started(part) for part in ("patch", "major", "minor")] == ["e0.1.1", "e1.0.0", "e0.4.0"]
    assert tag(project, "--suggest").splitlines()[0] == "e0.4.0   patch since e0.1.0"
    usage = "error: give one of --suggest, --start, --version, --next, --renumber, --list"
    assert usage in tag(project, "patch", code=2)
    assert usage in tag(project, "--version", "e0.4.0", "patch", code=2)


@pytest.mark.slow
def test_a_git_remote_that_does_not_answer_holds_nobody_up(baked: Project, tmp_path: Path) -> None:
    project = copy_project(baked, tmp_path)
    project.git("tag", "e0.1.0")
    silent = "warning: Git's remote origin does not answer; only the tags that are here are known\n"
    project.git("remote", "add", "origin", str(tmp_path / "nowhere.git"))
    assert silent in project.run("python", "scripts/version_tag.py", "--start", "minor").stderr
    with socket.create_server(("127.0.0.1", 0)) as server:  # takes connections, and says nothing
        project.git("remote", "set-url", "origin", f"git://127.0.0.1:{server.getsockname()[1]}/x")
        began = time.monotonic()
        done = project.run("python", "scripts/version_tag.py", "--start", "minor")
        assert silent in done.stderr and "params.yaml says e0.2.0" in done.stdout
        assert time.monotonic() - began < 30


# --- Two meanings of a version ---------------------------------------------------------------------------------------


def test_every_command_means_the_runs_of_the_tag_whatever_rows_say(
    tagged: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of an earlier template: a later run under the number of a tag."""
    [first] = runs_of(tagged)
    wanted = hashlib.md5((tagged.path / "models/production/model.bin").read_bytes()).hexdigest()
    tagged.git("tag", "kept", "e0.1.0^{}")
    tagged.git("tag", "--delete", "e0.1.0")
    tagged.set_param("model.C", 0.1)
    tagged.set_param("promote.confidence", None)  # it is better, if within noise, and goes into production
    tagged.commit("another C")
    tagged.repro()
    tagged.commit("a later run of the same number")
    tagged.git("tag", "-a", "-m", "the first", "e0.1.0", "kept")
    [later] = runs_of(tagged)
    assert later != first and [version for version, _ in versions_of_rows(tagged)] == ["e0.1.0", "e0.1.0"]

    shown = json.loads(tagged.script("experiment_explorer", "show", "--version", "e0.1.0", "--format", "json"))
    assert {row["value"] for row in shown if row["name"] == "track_id"} == {first}
    own = "results/experiments.db"
    words = ("show", "--version", "e0.1.0", "--db", own, "--format", "json")
    shown = json.loads(tagged.script("experiment_explorer", *words))
    assert {row["value"] for row in shown if row["name"] == "track_id"} == {first}, "from another database, too"
    assert {row["value"] for row in shown if row["name"] == "runs"} == {1}
    for script, *arguments in (
        ("model_manager", "download", "--output", str(tmp_path / "m.bin")),
        (
            "experiment_explorer",
            "get",
            "--artifact",
            "models/production/model.bin",
            "--output",
            str(tmp_path / "g.bin"),
        ),
    ):
        tagged.script(script, *arguments, "--version", "e0.1.0")
    assert {hashlib.md5((tmp_path / name).read_bytes()).hexdigest() for name in ("m.bin", "g.bin")} == {wanted}
    recorded = {row["track_id"]: row for row in rows(tagged)}
    tagged.git("tag", "-a", "-m", "the later one", "e0.9.0")
    words = ("--v1", "e0.1.0", "--v2", "e0.9.0", "--format", "json")
    found = {row["name"]: row for row in json.loads(tagged.script("experiment_explorer", "diff", *words))}
    tagged.git("tag", "--delete", "e0.9.0")
    assert (found["C"]["v1"], found["C"]["v2"]) == (1.0, 0.1)
    assert [found["f1_score"][side] for side in ("v1", "v2")] == [recorded[run]["f1_score"] for run in (first, later)]
    words = ("evaluate", "--version", "e0.1.0", "--format", "json")
    found = {row["name"]: row for row in json.loads(tagged.script("experiment_explorer", *words))}
    assert recorded[first]["f1_score"] != recorded[later]["f1_score"]
    assert found["f1_score"]["recorded"] == recorded[first]["f1_score"] == pytest.approx(found["f1_score"]["now"])
    stand_inside(tagged, monkeypatch)
    assert lineage.sql("SELECT track_id, model_C FROM metrics", "e0.1.0").fetchall() == [(first, 1.0)]
    assert len(lineage.sql("FROM metrics", [".", "e0.1.0"]).fetchall()) == 3, "both of this state, and the tag's"
    predicted = lineage.predictions("e0.1.0").set_index("item_id")["predicted"]
    assert set(lineage.predictions("e0.1.0")["track_id"]) == {first} and len(predicted) == 360
    pixels = pd.read_parquet(tagged.path / "data/test.parquet").set_index("id").drop(columns="label")
    assert list(lineage.load_model("e0.1.0").predict(pixels.loc[predicted.index])) == list(predicted)
    with sqlite3.connect(tagged.path / "results/experiments.db") as connection:
        assert not connection.execute("SELECT * FROM sqlite_master WHERE name = 'events'").fetchall()
    assert len(lineage.events("e0.1.0")) == 0 and len(lineage.data("e0.1.0")) == 537

    said = tagged.script("model_manager", "promote", "--version", "e0.1.0")
    assert f"production: {first} (e0.1.0) promoted — by hand (--version e0.1.0): f1_score" in said
    card = json.loads((tagged.path / "models/production/model.json").read_text(encoding="utf-8"))
    assert (card["track_id"], card["model_hash"]) == (first, wanted)
    tagged.git("commit", "--quiet", "--all", "--no-verify", "-m", "back to it")

    assert (
        tag(tagged, "--next", "minor", code=1)
        .splitlines()[0]
        .endswith("and holds other runs than those of the last dvc repro")
    )
    said = tag(tagged, "--renumber")
    assert "1 runs said e0.1.0, and say e0.2.0 now\n" in said and "tagged e0.2.0: " in said
    assert [version for version, _ in versions_of_rows(tagged)] == ["e0.1.0", "e0.2.0"]
    shown = json.loads(tagged.script("experiment_explorer", "show", "--version", "e0.2.0", "--format", "json"))
    assert {row["value"] for row in shown if row["name"] == "track_id"} == {later}


def test_the_name_of_a_tag_that_gives_old_runs_a_new_number_works_everywhere(tagged: Project, tmp_path: Path) -> None:
    """`--next` names the same rows once more, which say the number before."""
    [first] = runs_of(tagged)
    with (tagged.path / "README.md").open("a", encoding="utf-8") as file:
        file.write("better words\n")
    tag(tagged, "--next", "patch", "--commit", "better words")
    said = tagged.script("model_manager", "download", "--version", "e0.1.1", "--output", str(tmp_path / "m.bin"))
    assert f"run {first} (e0.1.0)" in said
    assert tag(tagged, "--renumber", code=1).startswith("error: the newest runs are e0.1.0 by right\n")


def test_a_run_of_another_branch_is_promoted_from_its_tag_alone(tagged: Project) -> None:
    """Main has never seen its row."""
    tagged.git("-c", "core.hooksPath=/dev/null", "switch", "--quiet", "--create", "side")
    tagged.set_param("model.C", 0.1)
    tag(tagged, "--start")
    tagged.commit("C=0.1")
    tagged.repro()
    tag(tagged, "--version", "e0.2.0", "--commit", "results")
    [side] = runs_of(tagged)
    tagged.git("-c", "core.hooksPath=/dev/null", "switch", "--quiet", "main")
    tagged.dvc("checkout")
    assert side not in runs_of(tagged)
    assert f"production: {side} (e0.2.0) promoted" in tagged.script("model_manager", "promote", "--version", "e0.2.0")


# --- Verify ----------------------------------------------------------------------------------------------------------


def test_a_description_that_lies_is_found(tagged: Project) -> None:
    tagged.dvc("push")
    assert proof(tagged, "e0.1.0", code=0)["row"] == "yes"
    data = tagged.git("for-each-ref", "--format=%(contents:subject)", "refs/tags/e0.1.0").split("data=")[1][:6]
    honest = (
        f"model=logistic_regression | C=1.0, as before | f1_score=0.923 | data={data} | C=7 is next",
        "by hand",
        f"max_iter=1000 | data={data[:4]}",
        "e0.1.9 | {'C': 0.5}",
    )
    lies = {
        "model=ridge | C=1.0": "model=ridge, and its best run logistic_regression",
        "C=10": "C=10, and its best run 1",
        "f1_score=0.9900 | good": "f1_score=0.9900, and its best run 0.9229",
        "good | data=000000": f"data=000000, and its best run {data}",
        "max_iter=100": "max_iter=100, and its best run 1000",
    }
    for number, text in enumerate([*honest, *lies], start=1):
        tagged.git("tag", "-a", "-m", text, f"e0.1.{number}")
    proofs = tagged.run("python", "scripts/experiment_explorer.py", "verify", "--all", "--format", "json", code=1)
    found = {row["version"]: row["problem"] for row in json.loads(proofs.stdout)}
    said = [f"row: the tag says {problem}" for problem in lies.values()]
    assert list(found.values()) == [None] * (1 + len(honest)) + said
