"""Experiments side by side: started with everything present, and nothing left behind where they cannot be."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from baked_projects import Project
from dvc.config import Config
from worktrees_project import DATABASE, kill_after, remedies, run_ids, sh, traces, worktree, worktrees

from lineage.extras.worktrees.start import ADDING
from lineage.tracked import recorded as records


@pytest.fixture
def trained(light_trained: Project) -> Project:
    return light_trained


def remote_url(project: Project) -> str:
    """Where DVC would push to."""
    return os.path.normpath(Config(dvc_dir=str(project.path / ".dvc"))["remote"]["storage"]["url"])


def test_an_experiment_starts_with_everything_linked_from_the_cache(trained: Project) -> None:
    trained.run("python", "scripts/setup_project.py")
    trained.dvc("config", "--local", "cache.type", "hardlink")  # root is given copies
    (trained.path / ".venv").mkdir()
    said = sh(trained, "setup", "ada/deeper")
    experiment = worktree(trained, "ada/deeper")
    assert f"{experiment.path} is ready, on branch exp/ada/deeper; cache: {trained.path.parent}/cache\n" in said
    assert experiment.git("symbolic-ref", "--short", "HEAD") == "exp/ada/deeper"
    trained.dvc("checkout", "--relink")
    for name in ("data/train.parquet", DATABASE, "data/incoming/batch_001.parquet"):
        assert (experiment.path / name).samefile(trained.path / name), "one file on the disk, not a copy"
    assert "up to date" in experiment.dvc("status")
    assert experiment.git("status", "--porcelain") == "", "the environment is ignored too"
    assert (experiment.path / ".venv").resolve() == trained.path / ".venv"
    assert remote_url(experiment) == str(trained.path.parent / "digit-experiments-remote")
    (experiment.path / "notes.txt").write_text("AWS key AKIA" + "ABCDEFGHIJKLMNOP", encoding="utf-8")
    experiment.git("add", "notes.txt")
    refused = experiment.run("git", "commit", "--quiet", "--message", "notes", code=1)
    assert "no AWS key ID, not even in a comment" in refused.stderr, "Git's hooks work there"


def test_credentials_and_relative_places_of_main_are_kept(trained: Project) -> None:
    trained.dvc("remote", "modify", "storage", "url", "build/remote")
    trained.dvc("remote", "add", "--local", "other", "s3://bucket/place")
    trained.dvc("remote", "modify", "--local", "other", "secret_access_key", "s3cret")
    trained.commit("a remote inside the project")
    trained.dvc("push")
    (trained.path / ".dvc/config.local").chmod(0o600)
    sh(trained, "setup", "a")
    experiment = worktree(trained, "a")
    assert remote_url(experiment) == str(trained.path / "build/remote")
    local = experiment.path / ".dvc/config.local"
    assert "secret_access_key = s3cret" in local.read_text(encoding="utf-8") and local.stat().st_mode & 0o777 == 0o600
    assert "Cache and remote 'storage' are in sync" in experiment.dvc("status", "--cloud")


def test_what_the_cache_lacks_is_fetched_and_what_is_nowhere_is_said(trained: Project) -> None:
    train = records.recorded_outputs(trained.path)["data/train.parquet"]
    (trained.path.parent / "cache/files/md5" / train[:2] / train[2:]).unlink()
    assert f"error: object {train} is not in the cache and not in the remote" in sh(trained, "setup", "a", code=1)
    assert traces(trained) == ([], "", [])
    trained.dvc("commit", "--force", "merge_data")
    trained.dvc("push")
    shutil.rmtree(trained.path.parent / "cache")
    sh(trained, "setup", "a")
    assert "up to date" in worktree(trained, "a").dvc("status")


def test_another_cache_is_refused(trained: Project, tmp_path: Path) -> None:
    cache = trained.path.parent / "cache"
    said = sh(trained, "setup", "a", str(tmp_path / "mine"), code=1)
    assert f"error: main uses the cache {cache}; with {tmp_path / 'mine'} the experiment would share nothing" in said
    assert traces(trained) == ([], "", [])
    sh(trained, "setup", "a", str(cache))
    assert worktrees(trained) == ["digit-experiments", "exp-a"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["../up", "a b", "a/..", "..", ".", "a.lock", "/a", "a/", "", "a\nb", "@{-1}", "a;b", "-"]
)
def test_a_name_that_is_no_branch_or_folder_is_refused(baked: Project, name: str) -> None:
    said = sh(baked, "setup", "--", name, code=2)
    assert said.startswith(f"error: {name!r} cannot be the name of a branch and a folder\n  → use letters, digits")


def test_where_no_experiment_can_start(trained: Project, tmp_path: Path) -> None:
    assert "No such option: -x" in sh(trained, "setup", "-x", code=2)
    (trained.path.parent / "exp-a").mkdir()
    assert f"error: {trained.path.parent}/exp-a exists already\n" in sh(trained, "setup", "a", code=1)
    trained.git("branch", "exp/b")
    assert "error: the branch exp/b exists already\n" in sh(trained, "setup", "b", code=1)
    assert "error: git worktree failed: " in sh(trained, "setup", "b/c", code=1), "Git cannot hold exp/b and exp/b/c"
    sh(trained, "setup", "d")
    assert f"this is another worktree\n  → cd {trained.path}\n" in sh(worktree(trained, "d"), "setup", "e", code=1)
    assert traces(trained)[0] == ["exp-a", "exp-d"]
    bare = Project(tmp_path / "bare.git", trained.environment)
    trained.git("clone", "--quiet", "--bare", str(trained.path), str(bare.path))
    bare.git("worktree", "add", "--quiet", str(tmp_path / "tree"), "main")
    tree = Project(tmp_path / "tree", trained.environment)
    shutil.copyfile(trained.path / ".dvc/config.local", tree.path / ".dvc/config.local")
    make_by_hand(tree, "", sh(tree, "setup", "e", code=2))


@pytest.mark.slow
def test_no_commit_yet_and_no_repository_of_its_own(baked: Project, tmp_path: Path) -> None:
    copy = Project(tmp_path / "copy", baked.environment)
    shutil.copytree(baked.path, copy.path, ignore=shutil.ignore_patterns(".git"))
    copy.git("init", "--quiet")
    assert "error: the project has no commit yet" in sh(copy, "setup", "a", code=1)
    shutil.rmtree(copy.path / ".git")
    assert f"error: {copy.path} is in no Git repository" in sh(copy, "setup", "a", code=2)
    around = Project(tmp_path, baked.environment)
    around.git("init", "--quiet")
    around.commit("a monorepo")
    make_by_hand(copy, "/copy", sh(copy, "setup", "e", code=2))


def make_by_hand(project: Project, prefix: str, said: str) -> None:
    """What setup_worktree.sh advises where there is no main working tree makes a worktree, ready to work in."""
    problem, _, remedy = said.partition("\n  → ")
    assert problem.endswith(f"{project.path} has no main working tree of its own, to which results come home")
    made = project.run("sh", "-c", f"{remedy.rstrip()} >&2 && pwd").stdout.splitlines()[-1]
    assert made.endswith(f"/exp-e{prefix}") and all(
        (Path(made) / name).exists() for name in records.recorded_outputs(Path(made))
    )


def test_a_failure_half_way_leaves_nothing_behind(trained: Project) -> None:
    before = traces(trained)
    pipeline = trained.path / "dvc.yaml"
    pipeline.write_text(
        pipeline.read_text(encoding="utf-8").replace("    desc: Train", "    oops: Train"), encoding="utf-8"
    )
    trained.commit("DVC cannot read this")
    said = sh(trained, "setup", "a", code=1)
    assert "is not as dvc.lock records it: " in said and traces(trained) == before
    shown = trained.run(*remedies(said)[0].split(), f"VENV={sys.prefix}", code=2).stdout
    assert "✗ stages  DVC cannot read them: './dvc.yaml' validation failed\n    → dvc status   # says where\n" in shown
    assert "extra keys not allowed, in stages -> train -> oops" in trained.dvc("status", code=1)
    trained.git("revert", "--no-edit", "HEAD")
    sh(trained, "setup", "a")


@pytest.mark.slow
def test_three_setups_and_a_run_at_once(trained: Project) -> None:
    trained.set_param("model.C", 0.1)
    trained.commit("main goes on")
    commands = [["dvc", "repro"], *(["scripts/setup_worktree.sh", name] for name in "abc")]
    running = [
        subprocess.Popen(command, cwd=trained.path, env=trained.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for command in commands
    ]  # fmt: skip
    for process in running:
        output = process.communicate()[0].decode()
        assert process.returncode == 0, output
    assert worktrees(trained) == ["digit-experiments", "exp-a", "exp-b", "exp-c"]
    assert len(run_ids(trained)) == 2 and len(run_ids(worktree(trained, "a"))) == 1


def test_a_setup_killed_while_git_deletes_is_completed_and_the_lock_is_named(trained: Project) -> None:
    """A Git that was killed leaves its lock; what it stops says which file, and how to go on."""
    journal = trained.path / ".dvc/tmp/lineage/exp-a.setup"
    journal.parent.mkdir(parents=True, exist_ok=True)
    journal.write_text(ADDING, encoding="utf-8")
    trained.git("branch", "exp/a")
    (trained.path / ".git/packed-refs.lock").touch()
    assert "is ready, on branch exp/a" in sh(trained, "setup", "a")
    said = sh(trained, "finish", "a", "--collect", code=1)
    assert "error: git branch failed: error: could not delete reference refs/heads/exp/a" in said
    [remedy] = remedies(said)
    assert remedy == f"rm '{trained.path}/.git/packed-refs.lock'"
    trained.run("sh", "-c", remedy)
    assert f"removed {trained.path.parent}/exp-a and the branch exp/a" in sh(trained, "finish", "a")
    assert traces(trained) == ([], "", [])


@pytest.mark.slow
def test_a_killed_setup_is_completed_or_undone_by_the_same_command(trained: Project) -> None:
    moments = random.Random(7)
    for _ in range(5):
        kill_after(trained, moments.uniform(0.1, 0.9), "scripts/setup_worktree.sh", "a")
    done = trained.run("sh", "-c", "scripts/setup_worktree.sh a 2>&1 || true").stdout
    assert "is ready" in done or "exp-a exists already" in done, done
    assert "locked" in trained.git("worktree", "list", "--porcelain"), done
    assert "up to date" in worktree(trained, "a").dvc("status")
    assert traces(trained)[0] == traces(trained)[2] == ["exp-a"]
    assert not list((trained.path / ".dvc/tmp/lineage").glob("*.setup"))
