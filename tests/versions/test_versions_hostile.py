"""Versions among damaged objects, odd tags, hiding configurations and stale locks: nothing false is handed out or certified."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from baked_projects import Project, copy_project
from versions_project import VERSIONS, Versions, explore, in_remote, proof, run, spoil, tag_by_hand

from lineage.extras.compare.data import compare_data
from lineage.extras.show.listing import print_rows
from lineage.tracked.cache import object_path, read_listing
from lineage.tracked.recorded import recorded_outputs

pytestmark = pytest.mark.slow
MODEL = "models/production/model.bin"


@pytest.fixture
def project(versions: Versions, tmp_path: Path) -> Project:
    """A project of this test's own with twelve versions; its remote lies in `tmp_path`."""
    return copy_project(versions.project, tmp_path)


def get(project: Project, artifact: str, output: Path, *more: str, code: int = 0) -> str:
    words = ("get", "--version", "e0.1.0", "--artifact", artifact, "--output", str(output), *more)
    return explore(project, *words, code=code)


# --- Get -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("artifact", [MODEL, "models/production", "models"])
@pytest.mark.parametrize("strategy", ["auto", "cache", "dvc-get", "worktree"])
def test_a_damaged_file_inside_a_folder_is_never_handed_out(
    project: Project, tmp_path: Path, strategy: str, artifact: str
) -> None:
    outputs = recorded_outputs(project.path, "e0.1.0")
    inside = read_listing(object_path(project.path, outputs["models/production"]))["model.bin"]
    spoil(object_path(project.path, inside))
    in_remote(project, inside).unlink()
    said = get(project, artifact, tmp_path / "out", "--strategy", strategy, code=1)
    assert inside in said and "\nerror: " in f"\n{said}"
    assert not (tmp_path / "out").exists() and list(tmp_path.glob(".get.*")) == []


def test_a_mistyped_artifact_is_refused_although_a_listing_is_nowhere(project: Project, tmp_path: Path) -> None:
    md5 = recorded_outputs(project.path, "e0.1.0")["models/production"]
    there = object_path(project.path, md5)
    elsewhere = there.rename(tmp_path / "cache of the machine that made it")
    in_remote(project, md5).unlink()
    said = get(project, "typo", tmp_path / "out", code=1)
    assert "typo is not in e0.1.0, as far as its listings can be read" in said and not (tmp_path / "out").exists()
    get(project, "data/train.parquet", tmp_path / "out")
    assert "object" in get(project, "models", tmp_path / "all", code=1) and not (tmp_path / "all").exists()
    elsewhere.rename(there)
    sent = project.run("bash", "-c", f"{said.partition('→ ')[2].partition('   #')[0]} || true").stdout
    assert sent.startswith("sent 1 objects of version tags"), sent  # this copy has no merge driver, which doctor says
    there.unlink()
    assert "typo is not in e0.1.0\n" in get(project, "typo", tmp_path / "no", code=1)
    get(project, "models", tmp_path / "all")


@pytest.mark.parametrize("strategy", ["auto", "cache", "worktree"])
def test_links_in_a_folder_come_back_as_links(project: Project, tmp_path: Path, strategy: str) -> None:
    (project.path / "notes").mkdir()
    (project.path / "notes/a.txt").write_text("a", encoding="utf-8")
    (project.path / "notes/here").symlink_to("a.txt")
    (project.path / "notes/host").symlink_to("/etc/hostname")
    project.commit("links")
    project.git("tag", "-a", "-m", "x", "e5.0.0")
    words = ("get", "--version", "e5.0.0", "--artifact", "notes", "--output", str(tmp_path / "out"))
    explore(project, *words, "--strategy", strategy)
    found = {path.name: str(path.readlink()) for path in (tmp_path / "out").iterdir() if path.is_symlink()}
    assert found == {"here": "a.txt", "host": "/etc/hostname"}
    explore(project, *words, "--force", "--strategy", "dvc-get", code=1)  # it writes the text of a link as a file
    assert (tmp_path / "out/host").is_symlink(), "a refusal leaves what was there"


def test_force_replaces_files_and_folders_and_nothing_else(project: Project, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("a file", encoding="utf-8")
    get(project, "models/production", out, "--force")
    assert sorted(path.name for path in out.iterdir()) == ["model.bin", "model.json"]
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "is neither a file nor a folder" in get(project, MODEL, pipe, "--force", code=2)
    assert pipe.is_fifo()


# --- Verify ----------------------------------------------------------------------------------------------------------


def test_params_commands_and_data_of_a_tag_must_be_those_that_ran(project: Project) -> None:
    project.set_param("model.max_iter", 5)
    tag_by_hand(project, "e2.0.0")
    row = proof(project, "e2.0.0", code=1)
    assert row["code"] == "no" and "'max_iter': 1000}, and params.yaml says" in row["problem"]
    project.git("reset", "--quiet", "--hard", "HEAD~1")

    pipeline = project.path / "dvc.yaml"
    pipeline.write_text(pipeline.read_text().replace("python scripts/train.py", "python scripts/train.py --debug"))
    tag_by_hand(project, "e2.1.0")
    row = proof(project, "e2.1.0", code=1)
    assert row["code"] == "no" and "stage train ran 'python scripts/train.py', and dvc.yaml says" in row["problem"]
    project.git("reset", "--quiet", "--hard", "HEAD~1")

    shutil.copyfile(project.path / "examples/batches/batch_003.parquet", project.path / "data/incoming/more.parquet")
    project.dvc("add", "data/incoming")
    tag_by_hand(project, "e2.2.0")
    row = proof(project, "e2.2.0", code=1)
    assert row["data"] == "no" and "data: merge_data ran with another data/incoming" in row["problem"]


def test_rows_that_name_another_model_or_other_data_are_found(project: Project) -> None:
    database = project.path / "results/experiments.db"
    for version, statement, link, words in (
        ("e3.0.0", "UPDATE metrics SET model_hash = 'x'", "model", "recorded another model"),
        ("e3.1.0", "UPDATE metrics SET data_hash = 'x'", "data", "the rows name other data"),
        ("e3.2.0", "UPDATE metrics SET code_hash = 'x'", "code", "had other code"),
        ("e3.3.0", "UPDATE metrics SET git_dirty = 1, code_hash = NULL", "code", ""),
    ):
        copy = database.with_name("copy.db")
        shutil.copyfile(database, copy)
        copy.chmod(0o644)
        with closing(sqlite3.connect(copy)) as connection, connection:
            connection.execute(statement)
        copy.replace(database)
        project.dvc("commit", "--force")
        tag_by_hand(project, version)
        project.script("doctor", "--send", code=1)  # this copy has no merge driver
        row = proof(project, version, code=1 if words else 0)
        assert (row[link] == "no" and words in row["problem"]) if words else row[link] is None, row
        project.git("reset", "--quiet", "--hard", "HEAD~1")
        project.dvc("checkout", "--force")


def test_a_whole_remote_object_is_not_missing_because_the_cached_one_is_cut_off(project: Project) -> None:
    place = object_path(project.path, recorded_outputs(project.path, "e0.1.0")["data/train.parquet"])
    spoil(place, place.read_bytes()[:-9])
    row = proof(project, "e0.1.0", code=1)
    assert (row["md5"], row["remote"], row["cache"]) == ("no", "yes", "yes")
    said = explore(project, "verify", "--version", "e0.1.0", code=1)
    assert "→ python scripts/experiment_explorer.py checkout --version e0.1.0" in said


LOCKS = {"marks": "<<<<<<< ours\na: 1\n=======\n", "text": "nothing\n", "a list": "- 1\n", "stages": "stages: [1]\n"}


@pytest.mark.parametrize("content", LOCKS.values(), ids=LOCKS)
def test_one_tag_with_a_broken_lock_hides_no_other(project: Project, content: str, tmp_path: Path) -> None:
    (project.path / "dvc.lock").write_text(content, encoding="utf-8")
    tag_by_hand(project, "e9.0.0")
    words = ("python", "scripts/experiment_explorer.py", "verify", "--all", "--format", "json")
    rows = {row["version"]: row for row in json.loads(project.run(*words, code=1).stdout)}
    assert [name for name, row in rows.items() if row["problem"]] == ["e9.0.0"] and len(rows) == len(VERSIONS) + 1
    assert rows["e9.0.0"]["dvc.lock"] == "no" and "dvc.lock" in rows["e9.0.0"]["problem"]
    for command in ("show", "checkout"):
        explore(project, command, "--version", "e9.0.0", code=2)
    assert not (project.path.parent / "explore-e9.0.0").exists()


def test_a_git_that_does_not_answer_is_no_proof(project: Project) -> None:
    owner = {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}  # as on a machine with another user's clone
    assert "dubious ownership" in explore(project, "verify", "--all", code=1, **owner)
    assert "dubious ownership" in run(project, "version_tag", "--list", code=1, **owner)
    for version in VERSIONS:
        project.git("tag", "--delete", version)
    assert explore(project, "verify", "--all", code=1).startswith("error: there is no version yet")


def test_remotes_that_cannot_be_used_are_named(project: Project) -> None:
    project.dvc("config", "--local", "core.remote", "nobody")
    assert "the remote cannot be used: " in explore(project, "verify", "--version", "e0.1.0", code=1)
    explore(project, "show", "--version", f"e{'1' * 5000}.0.0", code=2)


# --- Checkout and tags -----------------------------------------------------------------------------------------------


def test_cleanup_sees_what_the_users_configuration_hides(project: Project) -> None:
    project.git("config", "status.showUntrackedFiles", "no")
    explore(project, "checkout", "--version", "e0.1.0")
    work = project.path.parent / "explore-e0.1.0/work/model.py"
    work.parent.mkdir()
    work.write_text("precious", encoding="utf-8")
    assert "has changes: work/model.py" in explore(project, "cleanup", code=1)
    assert work.read_text() == "precious"
    (project.path / "helper.py").write_text("x = 1\n", encoding="utf-8")
    project.set_param("experiment.version", "e2.0.0")
    project.commit("set up")
    assert "helper.py" in project.git("ls-files")
    project.repro()
    (project.path / "other.py").write_text("y = 1\n", encoding="utf-8")
    project.git("add", "--update")
    project.git("add", "dvc.lock", "results/metrics.json")
    project.git("commit", "--quiet", "--no-verify", "-m", "results")
    assert "the tree is not clean: other.py" in run(project, "version_tag", "--version", "e2.0.0", code=1)


def test_a_commit_older_than_dvc_can_be_looked_at(project: Project) -> None:
    project.git("checkout", "--quiet", "--orphan", "old")
    project.git("rm", "-rfq", "--cached", ".")
    (project.path / "old.txt").write_text("before DVC\n", encoding="utf-8")
    project.git("add", "old.txt")
    project.git("commit", "--quiet", "--no-verify", "-m", "old")
    project.git("tag", "-a", "-m", "x", "e0.0.1")
    project.git("checkout", "--quiet", "--force", "main")
    explore(project, "checkout", "--version", "e0.0.1")
    assert (project.path.parent / "explore-e0.0.1/old.txt").read_text() == "before DVC\n"
    assert "explore-e0.0.1" in explore(project, "cleanup")


def test_a_tag_is_pushed_with_its_own_branch_and_moves_no_other(project: Project, tmp_path: Path) -> None:
    project.git("init", "--quiet", "--bare", str(tmp_path / "origin.git"))
    project.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    project.git("push", "--quiet", "--set-upstream", "origin", "main")
    main = project.git("rev-parse", "origin/main")
    project.git("-c", "core.hooksPath=/dev/null", "checkout", "--quiet", "-b", "feature", "--track", "origin/main")
    (project.path / "README.md").write_text("better\n", encoding="utf-8")
    said = run(project, "version_tag", "--next", "patch", "--commit", "better", "--push")
    assert "pushed refs/tags/e1.10.2, HEAD:refs/heads/feature to origin" in said
    assert project.git("ls-remote", "origin", "refs/heads/main").split()[0] == main


def test_a_hook_that_says_no_leaves_the_index_as_it_was(project: Project) -> None:
    hook = project.path / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n", encoding="utf-8")
    hook.chmod(0o755)
    (project.path / "README.md").write_text("better\n", encoding="utf-8")
    before = project.git("status", "--porcelain")
    said = run(project, "version_tag", "--next", "patch", "--commit", "x", code=1)
    assert said == "error: git commit failed: not today\n", "what helps, the hook knows"
    assert project.git("status", "--porcelain") == before == " M README.md"
    hook.unlink()
    assert "tagged e1.10.2: " in run(project, "version_tag", "--next", "patch", "--commit", "x")


def test_who_commits_is_asked_for_by_the_command_that_says_it(project: Project, tmp_path: Path) -> None:
    project.git("config", "--remove-section", "user")
    project.git("config", "user.useConfigOnly", "true")  # else Git may guess from the name of the machine
    known = {
        name: value for name, value in project.environment.items() if not name.startswith(("GIT_AUTHOR", "GIT_COMM"))
    }
    nobody = Project(project.path, {**known, "HOME": str(tmp_path)})
    (project.path / "README.md").write_text("better\n", encoding="utf-8")
    said = run(nobody, "version_tag", "--next", "patch", "--commit", "better", code=1)
    assert "git commit failed: Author identity unknown" in said
    [remedy] = re.findall("→ (.*)", said)
    nobody.run("sh", "-c", remedy.replace("…", "Eve", 1).replace("…", "eve@example.com", 1))
    run(nobody, "version_tag", "--next", "patch", "--commit", "better")
    assert nobody.git("log", "-1", "--format=%an <%ae>") == "Eve <eve@example.com>"
    assert nobody.git("for-each-ref", "--format=%(taggername)", "refs/tags/e1.10.2") == "Eve"


def test_other_code_other_columns_and_a_list_of_runs_are_more_than_a_rerun(project: Project) -> None:
    project.set_param("sweep.grid", {})
    project.set_param("sweep.runs", [{"model.C": 0.5}])
    (project.path / "features.py").write_text("x = 1\n", encoding="utf-8")
    project.git("add", "features.py")
    project.set_param("experiment.version", "e2.0.0")
    project.repro()
    said = run(project, "version_tag", "--suggest").splitlines()
    assert said[0].split() == ["e2.0.0", "major", "since", "e1.10.1"]
    assert "  features.py changed" in said and any(line.startswith("  sweep.runs: []") for line in said)


# --- Compare ---------------------------------------------------------------------------------------------------------


def test_rows_that_stand_twice_are_counted_twice(tmp_path: Path) -> None:
    left, right = tmp_path / "l.parquet", tmp_path / "r.parquet"

    def changes(before: list[int], after: list[int], keys: list[str]) -> list[Any]:
        pd.DataFrame({"id": 1, "x": before}).to_parquet(left)
        pd.DataFrame({"id": 1, "x": after}).to_parquet(right)
        found = compare_data(left, right, keys)
        return [found[f"rows {what}"][1] for what in ("added", "removed", "changed")]

    assert changes([1, 1, 2], [1, 2], []) == [0, 1, 0]
    assert changes([1, 2], [1, 1], ["id"]) == [0, 0, 1]
    assert changes([1], [1, 1], ["id"]) == [1, 0, 0]


def test_values_do_not_steer_the_terminal_or_break_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [["\x1b[2J\x9b2J\rgone", "one\ntwo | three"], ["\u3000é\t", None]]
    print_rows(["name", "note"], rows, "md")
    assert capsys.readouterr().out.splitlines()[2:] == ["| ?[2J?2J?gone | one two \\| three |", "| \u3000é\t | – |"]
    print_rows(["name", "note"], rows, "table")
    assert not set("\x1b\x9b\r") & set(printed := capsys.readouterr().out) and "?[2J?2J?gone" in printed
    print_rows(["name", "note"], rows, "json")
    assert [list(row.values()) for row in json.loads(capsys.readouterr().out)] == rows


def test_conditions_on_a_column_without_a_type(project: Project, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "untyped.db")) as connection, connection:
        connection.execute("CREATE TABLE metrics (track_id, timestamp, version, model_C, f1_score)")
        connection.executemany(
            "INSERT INTO metrics VALUES (?, 't', 'e0.1.0', ?, 0.5)", [("a", 1.0), ("b", "1.0"), ("c", 3)]
        )
    words = ("list", "--db", str(tmp_path / "untyped.db"), "--sort", "f1_score", "--mode", "max", "--format", "json")
    for condition, ids in (("model_C=1.0", {"a", "b"}), ("model_C>=3", {"c"}), ("version=e0.1.0", {"a", "b", "c"})):
        assert {row["track_id"] for row in json.loads(explore(project, *words, "--where", condition))} == ids


# --- Push ------------------------------------------------------------------------------------------------------------


def test_what_is_marked_not_to_be_pushed_stays_here(project: Project, tmp_path: Path) -> None:
    (project.path / "secret.bin").write_bytes(b"ours alone")
    project.dvc("add", "secret.bin")
    with (project.path / "secret.bin.dvc").open("a", encoding="utf-8") as file:
        file.write("  push: false\n")
    project.git("init", "--quiet", "--bare", str(tmp_path / "origin.git"))
    project.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    project.commit("a secret")
    run(project, "version_tag", "--next", "patch", "--push")
    md5 = recorded_outputs(project.path, "e1.10.2")["secret.bin"]
    assert not in_remote(project, md5).exists()
    assert proof(project, "e1.10.2", code=0)["remote"] == "yes"
    assert get(project, "experiment.py", tmp_path / "out") and (tmp_path / "out").is_file()
