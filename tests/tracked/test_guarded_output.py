"""Nothing is lost by the mistakes that people make with DVC, and the message names the command that helps."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
from baked_projects import Project, copy_project
from clones_project import DATABASE, clone, md5, next_version, versions
from inbox_project import command_in, type_it

pytestmark = pytest.mark.slow
TRAIN = "data/train.parquet"


@pytest.fixture
def trained(light_trained: Project) -> Project:
    return light_trained


@pytest.fixture(scope="module")
def cloned_original(light_original: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A colleague's clone of a project that was pushed; nothing is pulled yet."""
    project = copy_project(light_original, tmp_path_factory.mktemp("cloned"))
    return clone(project, project.path.parent / "colleague")


@pytest.fixture(scope="module")
def pulled_original(cloned_original: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A colleague's clone with all data."""
    colleague = copy_project(cloned_original, tmp_path_factory.mktemp("pulled"))
    colleague.dvc("pull")
    return colleague


@pytest.fixture(scope="module")
def second_original(light_original: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with two versions, of which the first is tagged, on the second."""
    project = copy_project(light_original, tmp_path_factory.mktemp("second"))
    project.git("tag", "e0.1.0")
    next_version(project)
    project.repro()
    project.commit("second")
    return project


@pytest.fixture
def second(second_original: Project, tmp_path: Path) -> Project:
    return copy_project(second_original, tmp_path)


def test_fresh_clone_without_pull_refuses_to_start_over(cloned_original: Project, tmp_path: Path) -> None:
    colleague = copy_project(cloned_original, tmp_path)
    lock = (colleague.path / "dvc.lock").read_bytes()
    next_version(colleague)
    said = colleague.repro(code=255)  # DVC's own words, before any stage
    [named] = re.findall(r"failed to reproduce '(.*?)': missing data 'source'", said)
    assert "In a fresh clone: make setup" in (colleague.path / named).read_text()
    output = colleague.run("make", "repro", code=2).stdout
    assert output == "error: data/incoming is missing; is this a fresh clone?\n  → make setup   # or: dvc pull\n"
    colleague.dvc("pull", "data/incoming.dvc", "data/test.parquet.dvc", "results/incoming.dvc")  # the obvious half
    output = colleague.repro(code=255)
    assert (
        "error: data/train.parquet is missing although dvc.lock records it; going on would start its history over"
        "\n  → dvc pull data/train.parquet" in output
    )
    assert (colleague.path / "dvc.lock").read_bytes() == lock
    assert not (colleague.path / DATABASE).exists()
    colleague.dvc("pull")
    colleague.repro()
    assert versions(colleague) == ["e0.1.0", "e0.2.0"]


@pytest.mark.parametrize("missing", [TRAIN, DATABASE, "models/production", "models/candidates"])
def test_clone_that_pulled_only_a_part_refuses_to_start_over(
    pulled_original: Project, tmp_path: Path, missing: str
) -> None:
    colleague = copy_project(pulled_original, tmp_path)
    target = colleague.path / missing
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    shutil.rmtree(colleague.path / ".dvc/cache", ignore_errors=True)
    next_version(colleague)
    if missing == TRAIN:
        colleague.drop_batch(2)
    output = colleague.repro(code=255)
    assert (
        f"error: {missing} is missing although dvc.lock records it; going on would start its history over\n"
        f"  → dvc pull {missing}" in output
    )
    assert not target.exists()
    type_it(colleague, command_in(output, "→ "))
    colleague.repro()
    assert versions(colleague) == ["e0.1.0", "e0.2.0"]


def test_setup_of_a_clone_elsewhere_does_not_make_an_empty_remote(trained: Project, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    trained.git("clone", "--quiet", str(trained.path), str(folder / "digit-experiments"))
    colleague = Project(folder / "digit-experiments", trained.environment)
    done = colleague.run("python", "scripts/setup_project.py", code=1)
    remote = folder / "digit-experiments-remote"
    assert (
        f"✗ remote  {remote} does not exist here\n    → dvc remote modify --local storage url FOLDER && make setup"
        in done.stdout
    )
    assert not remote.exists()


def test_a_missing_output_that_the_cache_has_needs_only_a_checkout(trained: Project) -> None:
    (trained.path / DATABASE).unlink()
    next_version(trained)
    output = trained.repro(code=255)
    assert f"error: {DATABASE} is missing although dvc.lock records it" in output
    assert f"  → dvc checkout {DATABASE}" in output
    type_it(trained, command_in(output, "→ "))
    trained.repro()
    assert versions(trained) == ["e0.1.0", "e0.2.0"]


def test_training_does_not_start_when_its_results_could_not_be_merged(trained: Project) -> None:
    (trained.path / DATABASE).unlink()
    next_version(trained)
    output = trained.repro(code=255)
    assert "failed to reproduce 'train'" in output and "f1_score=" not in output


def test_old_tag_without_checkout_refuses_to_build_on_newer_results(second: Project) -> None:
    newer = md5(second.path / DATABASE)
    second.git("checkout", "--quiet", "e0.1.0")
    next_version(second, "e0.9.0")
    output = second.repro(code=255)
    assert (
        f"error: {DATABASE} is not the version that dvc.lock records but another one, left behind by a git"
        " checkout\n  → dvc checkout\n" in output
    )
    assert md5(second.path / DATABASE) == newer
    type_it(second, command_in(output, "→ "))
    second.repro()
    assert versions(second) == ["e0.1.0", "e0.9.0"]
    second.git("checkout", "--quiet", "--force", "main")
    second.dvc("checkout", "--force")
    assert versions(second) == ["e0.1.0", "e0.2.0"]


def test_the_remedy_for_an_old_tag_takes_the_batches_of_main_out_again(grown: Project) -> None:
    """`dvc repro` writes what lies in data/incoming into its pointer before any stage can refuse."""
    grown.git("checkout", "--quiet", "e0.1.0")
    next_version(grown, "e0.9.0")
    output = grown.repro(code=255)
    assert (
        f"error: {TRAIN} is not the version that dvc.lock records but another one, left behind by a git checkout\n"
        "  → git checkout -- data/incoming.dvc && dvc checkout\n" in output
    )
    grown.run("sh", "-c", "git checkout -- data/incoming.dvc && dvc checkout")
    grown.repro()
    assert versions(grown) == ["e0.1.0", "e0.9.0"]
    assert len(pd.read_parquet(grown.path / TRAIN)) == 537


def test_back_on_main_without_checkout_refuses_to_build_on_older_results(second: Project) -> None:
    second.git("checkout", "--quiet", "e0.1.0")
    second.dvc("checkout")
    second.git("checkout", "--quiet", "main")
    next_version(second, "e0.3.0")
    output = second.repro(code=255)
    assert "another one, left behind by a git checkout\n  → dvc checkout\n" in output
    second.dvc("checkout")
    second.repro()
    assert versions(second) == ["e0.1.0", "e0.2.0", "e0.3.0"]


def edit_database(project: Project, statement: str) -> None:
    path = project.path / DATABASE
    content = path.read_bytes()
    path.unlink()  # it is a read-only link into the cache
    path.write_bytes(content)
    with sqlite3.connect(path) as connection:
        connection.execute(statement)


def test_results_edited_by_hand_are_not_built_on(trained: Project) -> None:
    edit_database(trained, "UPDATE metrics SET f1_score = 0.99")
    edited = md5(trained.path / DATABASE)
    next_version(trained)
    output = trained.repro(code=255)
    assert (
        f"error: {DATABASE} lacks rows or files that dvc.lock records; it was edited, or belongs to another commit"
        in output
    )
    assert (
        f"  → cp -r {DATABASE} {DATABASE}.mine   # if you want to keep it\n  → dvc checkout --force {DATABASE}"
        in output
    )
    assert md5(trained.path / DATABASE) == edited
    type_it(trained, output.partition("  → ")[2].replace("  → ", "").partition("ERROR")[0])
    assert md5(trained.path / f"{DATABASE}.mine") == edited
    trained.repro()
    assert versions(trained) == ["e0.1.0", "e0.2.0"]


def test_rows_added_by_hand_are_kept(trained: Project) -> None:
    edit_database(trained, "INSERT INTO metrics (track_id, timestamp, version) VALUES ('mine', 'now', 'e0.1.5')")
    next_version(trained)
    trained.repro()
    assert versions(trained) == ["e0.1.0", "e0.1.5", "e0.2.0"]


def test_training_data_edited_by_hand_is_not_built_on(trained: Project) -> None:
    path = trained.path / TRAIN
    frame = pd.read_parquet(path)
    path.unlink()
    frame[:-1].to_parquet(path)
    trained.drop_batch(2)
    output = trained.repro(code=255)
    assert f"  → dvc checkout --force {TRAIN}" in output
    trained.dvc("checkout", "--force", TRAIN)
    trained.repro()
    assert len(pd.read_parquet(path)) == 537 + 450


def test_production_edited_by_hand_is_not_built_on(trained: Project) -> None:
    model = trained.path / "models/production/model.bin"
    model.unlink()
    model.write_bytes(b"mine")
    next_version(trained)
    output = trained.repro(code=255)
    assert "error: models/production lacks rows or files that dvc.lock records" in output
    assert model.read_bytes() == b"mine"
    trained.set_param("promote.pinned", True)
    assert "lacks rows or files that dvc.lock records" in trained.repro(code=255), "also where nothing would replace it"
    trained.set_param("promote.pinned", False)
    trained.dvc("checkout", "--force", "models/production")
    trained.repro()
    assert versions(trained) == ["e0.1.0", "e0.2.0"]


@pytest.mark.parametrize("link", ["symlink", "hardlink"])
def test_a_linked_cache_is_never_written_through(trained: Project, link: str) -> None:
    """As root, who may write read-only files, a write through the link would change an old version's object."""
    trained.dvc("config", "--local", "cache.type", link)
    for name in (TRAIN, DATABASE, "models/production", "models/candidates"):
        target = trained.path / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    trained.dvc("checkout", "--relink")
    assert (trained.path / DATABASE).is_symlink() == (link == "symlink")
    assert (trained.path / DATABASE).stat().st_nlink > 1 or link == "symlink"
    objects = {path: md5(path) for path in (trained.path.parent / "cache/files/md5").glob("*/*")}
    next_version(trained)
    trained.drop_batch(2)
    trained.repro()
    assert versions(trained) == ["e0.1.0", "e0.2.0"]
    assert {path: md5(path) for path in objects} == objects


@pytest.mark.parametrize("stage", ["merge_data", "merge_results"])
def test_killed_between_rename_and_lock_file_goes_on(trained: Project, stage: str) -> None:
    next_version(trained)
    trained.drop_batch(2)
    if stage == "merge_results":
        trained.repro("train")
    lock = (trained.path / "dvc.lock").read_bytes()
    trained.script(stage)  # as the stage does it, without DVC writing dvc.lock
    assert (trained.path / "dvc.lock").read_bytes() == lock
    trained.repro()
    assert versions(trained) == ["e0.1.0", "e0.2.0"]
    train = pd.read_parquet(trained.path / TRAIN)
    assert len(train) == 987 and train["id"].is_unique


def test_killed_while_it_runs_leaves_whole_files(trained: Project) -> None:
    next_version(trained)
    trained.drop_batch(2)
    objects = {path: md5(path) for path in (trained.path.parent / "cache/files/md5").glob("*/*")}
    for delay in (0.6, 1.2, 1.8, 2.6, 3.5, 4.5):
        process = subprocess.Popen(
            ["dvc", "repro"], cwd=trained.path, env=trained.environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(delay)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if (trained.path / DATABASE).exists():
            assert versions(trained)[0] == "e0.1.0"
    for name in (TRAIN, DATABASE, "models/production", "models/candidates"):
        if not (trained.path / name).exists():
            trained.dvc("checkout", name)
    output = trained.run("sh", "-c", "dvc repro 2>&1 || true").stdout
    if "RWLock-file" in output:  # DVC was killed while it wrote that file: docs/troubleshooting.md
        trained.run("rm", ".dvc/tmp/rwlock")
        output = trained.run("sh", "-c", "dvc repro 2>&1 || true").stdout
    if "'./dvc.lock'" in output:  # DVC was killed while it wrote that file: docs/troubleshooting.md
        trained.git("checkout", "dvc.lock")
    if "'./dvc.lock'" in output or "→ dvc checkout" in output:  # … or before it wrote it: what the message says
        trained.dvc("checkout")
    trained.repro()
    assert set(versions(trained)) == {"e0.1.0", "e0.2.0"}
    assert len(pd.read_parquet(trained.path / TRAIN)) == 987
    assert {path: md5(path) for path in objects if path.exists()} == objects
    assert not [path for path in trained.path.rglob(".*.tmp*") if ".dvc" not in path.parts]


def test_rebase_refuses_to_drop_rows_that_are_recorded_nowhere(trained: Project) -> None:
    edit_database(trained, "INSERT INTO metrics (track_id, timestamp, version) VALUES ('mine', 'now', 'e0.2.0')")
    next_version(trained)
    trained.set_param("merge.strategy", "rebase")
    output = trained.repro(code=255)
    assert f"error: {DATABASE} would lose rows or files, and its present bytes are recorded nowhere" in output
    assert versions(trained) == ["e0.1.0", "e0.2.0"]
    with sqlite3.connect(trained.path / DATABASE) as connection:
        assert connection.execute("SELECT count(*) FROM metrics WHERE track_id = 'mine'").fetchone() == (1,)


def test_two_merges_at_once_lose_nothing(trained: Project, tmp_path: Path) -> None:
    next_version(trained)
    trained.script("train")
    databases = []
    for number in range(6):
        copy = tmp_path / f"run_{number}.db"
        [run] = (trained.path / "results/runs").glob("*.db")
        shutil.copyfile(run, copy)
        with sqlite3.connect(copy) as connection:
            connection.execute("UPDATE metrics SET track_id = ?", (f"run {number}",))
        databases.append(copy)
    command = [
        "python",
        "scripts/merge_artifacts.py",
        "--strategy",
        "merge",
        "--base-db",
        DATABASE,
        "--output-db",
        DATABASE,
    ]
    processes = [
        subprocess.Popen(
            [*command, "--exp-db", str(path)], cwd=trained.path, env=trained.environment, stderr=subprocess.PIPE
        )
        for path in databases
    ]
    for process in processes:
        assert process.wait() == 0, process.stderr and process.stderr.read()
    with sqlite3.connect(f"file:{trained.path}/{DATABASE}?mode=ro", uri=True) as connection:
        found = connection.execute("SELECT track_id, count(*) FROM metrics GROUP BY 1 ORDER BY 1 DESC").fetchall()
    assert [row for row in found if row[0].startswith("run ")] == [(f"run {n}", 1) for n in (5, 4, 3, 2, 1, 0)]
    assert len(found) == 7
