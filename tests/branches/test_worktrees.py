"""Experiments side by side: started with everything present, brought home with nothing lost."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
from conftest import Project, copy_project
from dvc.config import Config

from lineage.branches.collect import look_at
from lineage.branches.finish import checklist, own_state
from lineage.branches.start import Experiment
from lineage.tracked import recorded as records
from lineage.tracked.cache import cache_folder
from lineage.tracked.dvc import run_dvc
from lineage.tracked.hashes import path_md5

DATABASE = "results/experiments.db"


def sh(project: Project, script: str, *arguments: str, code: int = 0) -> str:
    done = project.run(f"scripts/{script}_worktree.sh", *arguments, code=code)
    return done.stdout + done.stderr


def worktree(project: Project, name: str) -> Project:
    return Project(project.path.parent / f"exp-{name.replace('/', '-')}", project.environment)


def run_ids(project: Project) -> list[str]:
    with sqlite3.connect(f"file:{project.path}/{DATABASE}?mode=ro", uri=True) as connection:
        return [row[0] for row in connection.execute("SELECT track_id FROM metrics ORDER BY track_id")]


def worktrees(project: Project) -> list[str]:
    listed = project.git("worktree", "list", "--porcelain").splitlines()
    return [Path(line.split(" ", 1)[1]).name for line in listed if line.startswith("worktree ")]


def traces(project: Project) -> tuple[list[str], str, list[str]]:
    """Everything that worktrees leave: folders beside main, refs, and Git's own records."""
    folders = sorted(path.name for path in project.path.parent.glob("exp-*"))
    return folders, project.git("for-each-ref", "refs/heads/exp", "refs/lineage"), worktrees(project)[1:]


def kill_after(project: Project, seconds: float, *command: str) -> bool:
    """Start a command, and kill it with everything that it started; tell whether it was still at work."""
    process = subprocess.Popen(
        command, cwd=project.path, env=project.environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(seconds)
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return alive


def work_in(project: Project, name: str, version: str, **params: object) -> Project:
    """Run an experiment in its worktree, commit it, and tag the version."""
    experiment = worktree(project, name)
    experiment.set_param("experiment.version", version)
    for key, value in params.items():
        experiment.set_param(f"model.{key}", value)
    experiment.repro()
    experiment.commit(f"{version}: {params}")
    experiment.git("tag", "--annotate", version, "--message", f"{version} | {params}")
    return experiment


@pytest.fixture(scope="module")
def branched_original(trained_original: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project and its experiment `a`: a run with a new batch, committed, tagged; nothing is home yet."""
    project = copy_project(trained_original, tmp_path_factory.mktemp("branched"))
    sh(project, "setup", "a")
    worktree(project, "a").drop_batch(2)
    work_in(project, "a", "e0.2.0", C=0.5)
    return project


@pytest.fixture
def branched(branched_original: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    project = copy_project(branched_original, tmp_path)
    (tmp_path / "exp-a/.git").write_text(f"gitdir: {project.path}/.git/worktrees/exp-a\n", encoding="utf-8")
    (project.path / ".git/worktrees/exp-a/gitdir").write_text(f"{tmp_path}/exp-a/.git\n", encoding="utf-8")
    shutil.copyfile(project.path / ".dvc/config.local", tmp_path / "exp-a/.dvc/config.local")
    monkeypatch.setenv("HOME", project.environment["HOME"])
    cache_folder.cache_clear()
    return project


def remote_url(project: Project) -> str:
    """Where DVC would push to."""
    return os.path.normpath(Config(dvc_dir=str(project.path / ".dvc"))["remote"]["storage"]["url"])


# --- start


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
    assert "no secret in the DVC configuration, no AWS key" in refused.stderr, "Git's hooks work there"


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
    said = sh(Project(tmp_path / "tree", trained.environment), "setup", "e", code=2)
    assert f"error: {bare.path} is a bare repository: it has no main working tree" in said


def test_no_commit_yet_and_no_repository_of_its_own(baked: Project, tmp_path: Path) -> None:
    copy = Project(tmp_path / "copy", baked.environment)
    shutil.copytree(baked.path, copy.path, ignore=shutil.ignore_patterns(".git"))
    copy.git("init", "--quiet")
    assert "error: the project has no commit yet" in sh(copy, "setup", "a", code=1)
    shutil.rmtree(copy.path / ".git")
    Project(tmp_path, baked.environment).git("init", "--quiet")
    assert f"error: {copy.path} is not the top of a Git repository" in sh(copy, "setup", "a", code=2)


def test_a_failure_half_way_leaves_nothing_behind(trained: Project) -> None:
    before = traces(trained)
    pipeline = trained.path / "dvc.yaml"
    pipeline.write_text(
        pipeline.read_text(encoding="utf-8").replace("    desc: Train", "    oops: Train"), encoding="utf-8"
    )
    trained.commit("DVC cannot read this")
    said = sh(trained, "setup", "a", code=1)
    assert "is not as dvc.lock records it: " in said and "→ make doctor" in said
    assert traces(trained) == before
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


@pytest.mark.slow
def test_a_killed_setup_is_completed_or_undone_by_the_same_command(trained: Project) -> None:
    moments = random.Random(7)
    for _ in range(5):
        kill_after(trained, moments.uniform(0.1, 0.9), "scripts/setup_worktree.sh", "a")
    if "is ready" not in trained.run("sh", "-c", "scripts/setup_worktree.sh a || test -d ../exp-a").stdout:
        assert "locked" in trained.git("worktree", "list", "--porcelain")
    assert "up to date" in worktree(trained, "a").dvc("status")
    assert traces(trained)[0] == traces(trained)[2] == ["exp-a"]
    assert not list((trained.path / ".dvc/tmp/lineage").glob("*.setup"))


# --- finish


def lines(project: Project, *, decline_data: bool = False) -> dict[str, str]:
    experiment = Experiment(project.path, "a")
    steps = [*own_state(experiment), *checklist(experiment, look_at(experiment), decline_data=decline_data)]
    return {step.name: step.line() for step in steps}


@pytest.mark.slow
def test_each_line_of_the_checklist_fails_for_its_own_reason(branched: Project) -> None:
    experiment = worktree(branched, "a")
    go = "    → cd ../exp-a && "
    found = lines(branched)
    assert found["tree"] == "✓ tree    everything is committed"
    assert found["dvc"] == "✓ dvc     dvc status is clean"
    assert found["tag"] == "✓ tag     e0.2.0: e0.2.0 | {'C': 0.5}"
    [run] = set(run_ids(experiment)) - set(run_ids(branched))
    assert found["runs"].startswith("✗ runs    1 of 1 runs are not in main's committed database\n")
    assert found["model"].startswith(f"✗ model   the best, of run {run}, is neither in production nor a candidate")
    assert found["data"].startswith("✗ data    new batches that main lacks: batch_002.parquet\n")
    assert lines(branched, decline_data=True)["data"] == "✓ data    declined: batch_002.parquet"
    wanted = found["remote"].split(" of ")[1].split()[0]
    assert found["remote"] == f"✗ remote  lacks {wanted} of {wanted} objects\n{go}dvc push"

    experiment.dvc("push")
    assert lines(branched)["remote"] == f"✓ remote  has all {wanted} objects"
    gone = records.recorded_outputs(experiment.path)[DATABASE]
    (branched.path.parent / "digit-experiments-remote/files/md5" / gone[:2] / gone[2:]).unlink()
    assert lines(branched)["remote"].startswith(f"✗ remote  lacks 1 of {wanted} objects"), "listed, not believed"
    branched.dvc("remote", "modify", "--local", "storage", "url", "s3://nobody/here")
    branched.dvc("remote", "modify", "--local", "storage", "endpointurl", "http://127.0.0.1:9")
    assert "the remote does not answer" in lines(branched)["remote"]
    branched.dvc("config", "--unset", "core.remote")
    none = f"✓ remote  none configured: {wanted} objects are in the shared cache, pinned by the tag"
    assert lines(branched)["remote"] == none

    (experiment.path / "notes.md").write_text("an idea", encoding="utf-8")
    assert lines(branched)["tree"] == f'✗ tree    1 not committed: notes.md\n{go}git add --all && git commit -m "…"'
    (experiment.path / "notes.md").rename(experiment.path / ".env")
    assert lines(branched)["tree"].startswith("✗ tree    1 ignored by Git and unknown to DVC: .env\n")
    (experiment.path / ".env").unlink()
    experiment.git("switch", "--quiet", "--detach")
    assert lines(branched)["tree"].startswith("✗ tree    exp-a is on no branch, not on exp/a\n")
    experiment.git("switch", "--quiet", "exp/a")
    experiment.drop_batch(3)
    changed = lines(branched)
    assert changed["dvc"].startswith("✗ dvc     not recorded: ") and "data/incoming.dvc" in changed["dvc"]
    (experiment.path / "data/incoming/batch_003.parquet").unlink()

    experiment.git("tag", "--delete", "e0.2.0")
    tag = "✗ tag     1 commits, and no version tag with a description on the last one"
    remedy = f"\n{go}python scripts/version_tag.py --next minor --push"
    assert lines(branched)["tag"] == tag + remedy
    experiment.git("tag", "e0.2.0")
    assert lines(branched)["tag"] == f"{tag} (e0.2.0 is no version with a description){remedy}"

    said = sh(branched, "finish", "a", code=1)
    assert "error: exp/a is not home yet: tag, runs, model, data\n  → do what each ✗ says; --collect does" in said
    assert "error: exp/a is not home yet" in sh(experiment, "finish", "a", code=1), "from its own folder too"
    assert "error: there is no experiment b (branch exp/b); there are: a" in sh(branched, "finish", "b", code=2)
    assert experiment.path.is_dir() and branched.git("branch", "--list", "exp/a")


def test_git_itself_refuses_to_remove_an_experiment(branched: Project) -> None:
    for options in ([], ["--force"]):
        refused = branched.run("git", "worktree", "remove", *options, "../exp-a", code=128).stderr
        assert "an experiment is in it; bring it home with ./scripts/finish_worktree.sh a" in refused
    assert "checked out at" in branched.run("git", "branch", "-D", "exp/a", code=1).stderr


def test_force_names_the_loss_and_wants_the_name_typed(branched: Project) -> None:
    for typed in ("", "y\n", "exp/a\n"):
        command = f"printf '{typed}' | scripts/finish_worktree.sh a --force"
        done = branched.run("sh", "-c", command, code=1)
        assert "This would be lost or left behind: remote, runs, model, data (each ✗ above)." in done.stdout
        assert done.stderr == "error: not confirmed; nothing was removed\n"
    assert worktree(branched, "a").path.is_dir()
    branched.run("sh", "-c", "echo a | scripts/finish_worktree.sh a --force")
    assert traces(branched) == ([], "", [])
    assert branched.git("tag") == "e0.2.0"


def collected_once(project: Project, before: list[str], own: set[str]) -> None:
    """Main has its own runs and the experiment's, each once, and everything is committed."""
    after = run_ids(project)
    assert set(before) | own <= set(after) and len(set(after)) == len(after)
    assert len(after) == len(before) + len(own) + 1, "and one run of main's own, on the new data"
    assert len(pd.read_parquet(project.path / "data/train.parquet")) == 987
    assert project.git("status", "--porcelain") == ""
    assert "up to date" in project.dvc("status")
    assert traces(project) == ([], "", [])


@pytest.mark.slow
def test_collect_brings_everything_home_and_finishes(branched: Project) -> None:
    before, experiment = run_ids(branched), worktree(branched, "a")
    own = set(run_ids(experiment)) - set(before)
    branched.drop_batch(3)
    assert "error: main has changes that dvc repro has not seen" in sh(branched, "finish", "a", "--collect", code=1)
    (branched.path / "data/incoming/batch_003.parquet").unlink()
    branched.set_param("model.C", 9)
    assert "error: main has changes that are not committed: params.yaml" in sh(
        branched, "finish", "a", "--collect", code=1
    )
    branched.git("checkout", "params.yaml")
    said = sh(branched, "finish", "a", "--collect")
    assert f"removed {experiment.path} and the branch exp/a" in said
    collected_once(branched, before, own)
    assert branched.git("log", "-1", "--format=%s") == "Collect exp/a: 1 runs, 1 batches"
    [run] = own
    assert (branched.path / f"models/candidates/{run}_model.bin").is_file()


@pytest.mark.slow
def test_what_main_cannot_take_leaves_main_as_it_was(branched: Project) -> None:
    experiment = worktree(branched, "a")
    for number in (2, 3):  # the same rows with other labels, in another batch
        frame = pd.read_parquet(branched.path / f"examples/batches/batch_00{number}.parquet")
        frame["label"] = (frame["label"] + (number == 2)) % 10
        frame.to_parquet(branched.path / f"data/incoming/main_{number}.parquet")
    branched.repro()
    branched.commit("main has labels of its own")
    files = {
        path: path.read_bytes()
        for path in branched.path.rglob("*")
        if path.is_file() and path.parts[-3] in ("data", "results", "models")
    }
    said = sh(branched, "finish", "a", "--collect", code=1)
    assert "incoming rows have the identity of another row and different contents" in said
    assert "error: dvc repro fails in main with what the experiment brings; main is as it was" in said
    assert branched.git("status", "--porcelain") == "" and "up to date" in branched.dvc("status")
    assert {path: path.read_bytes() for path in files} == files
    said = sh(branched, "finish", "a", "--collect", "--decline-data")
    assert "✓ data    declined: batch_002.parquet" in said
    assert not experiment.path.exists() and len(run_ids(branched)) == 3


@pytest.mark.slow
def test_a_killed_collect_and_finish_is_completed_by_the_same_command(branched: Project) -> None:
    before = run_ids(branched)
    own = set(run_ids(worktree(branched, "a"))) - set(before)
    moments, command = random.Random(11), ("scripts/finish_worktree.sh", "a", "--collect")
    for longest in (1.5, 3.0, 4.5, 6.0):
        kill_after(branched, moments.uniform(longest - 1.2, longest), *command)
        for file in branched.path.glob(".git/index.lock"):  # as Git asks for after a crash of its own
            file.unlink()
    branched.run("sh", "-c", " ".join(command) + " || ! git show-ref --verify --quiet refs/heads/exp/a")
    after = run_ids(branched)
    assert set(before) | own <= set(after) and len(set(after)) == len(after)
    assert len(pd.read_parquet(branched.path / "data/train.parquet")) == 987
    assert branched.git("status", "--porcelain") == "" and "up to date" in branched.dvc("status")
    assert traces(branched) == ([], "", [])


def test_a_killed_removal_is_completed(branched: Project) -> None:
    experiment = Experiment(branched.path, "a")
    worktree(branched, "a").dvc("push")
    branched.git("merge", "--quiet", "--no-edit", "exp/a")  # nothing is missing in main
    experiment.folder.rename(experiment.folder.with_name(".exp-a.removed.tmp"))  # the first thing that a removal does
    sh(branched, "finish", "a")
    assert traces(branched) == ([], "", [])
    assert not list(branched.path.parent.glob(".exp-*"))


@pytest.mark.slow
def test_three_experiments_at_once_all_come_home(trained: Project, tmp_path: Path) -> None:
    for name in ("code", "data", "params"):
        sh(trained, "setup", name)
    code, data, params = (worktree(trained, name) for name in ("code", "data", "params"))
    source = code.path / "experiment.py"
    source.write_text(source.read_text(encoding="utf-8").replace('"log_loss":', '"loss":'), encoding="utf-8")
    code.run("sed", "-i", "s/version: e0.1.0/version: e0.2.0/", "params.yaml")
    frame = pd.read_parquet(data.path / "examples/batches/batch_002.parquet")
    frame["scanner"] = 4.0
    frame.to_parquet(data.path / "data/incoming/scanned.parquet")
    fit = data.path / "experiment.py"
    fit.write_text(
        fit.read_text(encoding="utf-8").replace(
            "return pd.read_parquet(path)", 'return pd.read_parquet(path).drop(columns="scanner", errors="ignore")'
        ),
        encoding="utf-8",
    )
    data.run("sed", "-i", "s/version: e0.1.0/version: e0.3.0/", "params.yaml")
    params.set_param("experiment.version", "e0.4.0")
    params.set_param("sweep.grid", {"model.C": [0.1, 0.3]})
    running = [
        subprocess.Popen(["dvc", "repro"], cwd=each.path, env=each.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for each in (code, data, params)
    ]  # fmt: skip
    for process in running:
        output = process.communicate()[0].decode()
        assert process.returncode == 0 and "lock" not in output.replace("lock file 'dvc.lock'", "").replace(
            "dvc.lock", ""
        ), output
    first, own = set(run_ids(trained)), {}
    for number, each in enumerate((code, data, params), start=2):
        each.commit("done")
        each.git("tag", "--annotate", f"e0.{number}.0", "--message", f"model=logistic | {each.path.name}")
        own[each.path.name] = set(run_ids(each)) - first
    assert [len(runs) for runs in own.values()] == [1, 1, 2]
    shutil.copyfile(fit, trained.path / "experiment.py")  # main needs code that reads the new column
    trained.repro()
    trained.commit("read scanned batches")
    rows = metric_rows(trained)
    for name in ("params", "data", "code"):
        sh(trained, "finish", name, "--collect")
    home = metric_rows(trained)
    assert set().union(*own.values()) <= set(home)
    assert {run: {key: home[run][key] for key in row} for run, row in rows.items()} == rows, (
        "main's own rows are as they were"
    )
    assert len(run_ids(trained)) == len(set(run_ids(trained))) == len(rows) + 4 + 1
    train = pd.read_parquet(trained.path / "data/train.parquet")
    assert len(train) == 987 and train["scanner"].notna().sum() == 450
    assert traces(trained) == ([], "", [])
    check_restorable(trained, tmp_path / "elsewhere")


# --- six classical accidents; the others: a forgotten push and an unshared cache (above, and test_doctor.py),
# --- SQLite in parallel (test_guard.py, two merges at once)


@pytest.mark.slow
def test_an_output_without_persist_does_not_start_the_history_over(trained: Project) -> None:
    pipeline = trained.path / "dvc.yaml"
    text = pipeline.read_text(encoding="utf-8")
    kept = "results/experiments.db:\n          persist: true"
    assert kept in text
    pipeline.write_text(text.replace(kept, "results/experiments.db:\n          persist: false"), encoding="utf-8")
    trained.set_param("model.C", 0.2)
    before = run_ids(trained)
    assert "error: results/experiments.db is missing although dvc.lock records it" in trained.repro(code=255)
    pipeline.write_text(text, encoding="utf-8")
    trained.dvc("checkout", DATABASE)
    trained.repro()
    assert set(before) < set(run_ids(trained))


def test_a_rebase_by_hand_that_nobody_confirms_changes_nothing(branched: Project) -> None:
    before = (branched.path / DATABASE).read_bytes()
    changed = branched.path.parent / "changed.db"
    changed.write_bytes(before)
    with sqlite3.connect(changed) as connection:
        connection.execute("UPDATE metrics SET f1_score = 1.0")
    options = ["--base-db", DATABASE, "--exp-db", str(changed), "--output-db", DATABASE, "--key-columns", "version"]
    said = branched.script("merge_artifacts", "--strategy", "rebase", *options, code=1)
    assert "Replace 1 rows of results/experiments.db? [y/N]: Aborted!" in said
    assert (branched.path / DATABASE).read_bytes() == before


def test_a_lock_of_dvc_is_waited_for(trained: Project) -> None:
    holder = "import time; from dvc.repo import Repo\nwith Repo().lock: print('held', flush=True); time.sleep(5)"
    process = subprocess.Popen(
        ["python", "-c", holder], cwd=trained.path, env=trained.environment, stdout=subprocess.PIPE
    )
    assert process.stdout is not None and process.stdout.readline() == b"held\n"
    alone = trained.dvc("status", code=255)
    assert "Unable to acquire lock" in alone or "lock" in alone
    done = run_dvc(trained.path, "status")
    assert done.returncode == 0 and "up to date" in done.stdout
    process.wait()


def metric_rows(project: Project) -> dict[str, dict[str, object]]:
    with sqlite3.connect(f"file:{project.path}/{DATABASE}?mode=ro", uri=True) as connection:
        connection.row_factory = sqlite3.Row
        return {row["track_id"]: dict(row) for row in connection.execute("SELECT * FROM metrics")}


def check_restorable(project: Project, folder: Path) -> None:
    """Every tag comes back whole from a clean clone that has nothing but the remote."""
    remote = project.path.parent / "digit-experiments-remote"
    clone = Project(folder / "clone", {**project.environment, "HOME": str(folder)})
    project.git("clone", "--quiet", str(project.path), str(clone.path))
    clone.dvc("remote", "modify", "--local", "storage", "url", str(remote))
    for tag in project.git("tag").splitlines():
        clone.git("checkout", "--quiet", tag)
        clone.dvc("pull")
        for path, md5 in records.recorded_outputs(clone.path).items():
            assert path_md5(clone.path / path) == md5, (tag, path)
