"""A version is proved to have the code that ran, also where a stage depends on a folder of the package."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from baked_projects import Project, copy_project, stages_run
from dvc.utils.serialize import load_yaml
from versions_project import in_remote, proof, spoil, tag_by_hand

from lineage.extras.verify.what_ran import md5_in_git
from lineage.tracked.cache import object_path
from lineage.tracked.hashes import path_md5
from lineage.tracked.recorded import recorded_outputs

MERGE = "scripts/lineage/merge"


def test_a_folder_in_git_has_the_hash_that_dvc_gives_it(baked: Project, tmp_path: Path) -> None:
    project = copy_project(baked, tmp_path)
    folder = project.path / MERGE
    (folder / "__pycache__").mkdir(exist_ok=True)
    (folder / "__pycache__/rules.pyc").write_bytes(b"0")
    (folder / "deep/er").mkdir(parents=True)
    (folder / "deep/er/ünïcode name.txt").write_text("x", encoding="utf-8")
    project.commit("a file in a folder")
    head = project.git("rev-parse", "HEAD")
    known = path_md5(folder)
    assert md5_in_git(project.path, head, MERGE) == known and known.endswith(".dir")
    assert md5_in_git(project.path, head, "experiment.py") == path_md5(project.path / "experiment.py")
    assert md5_in_git(project.path, head, "nowhere") is None
    assert md5_in_git(project.path, head, "results/runs") is None, "of DVC, not of Git"

    (folder / ".DS_Store").write_bytes(b"0")
    (folder / "deep/.rules.py.1.tmp").write_bytes(b"0")
    project.git("add", "--force", MERGE)
    project.commit("what .dvcignore leaves out")
    assert md5_in_git(project.path, project.git("rev-parse", "HEAD"), MERGE) == known


def append(project: Project, name: str, text: str = "\n# changed\n") -> None:
    with (project.path / name).open("a", encoding="utf-8") as file:
        file.write(text)


@pytest.mark.slow
def test_a_file_of_the_package_that_was_changed_after_the_run_is_named(tagged: Project) -> None:
    tagged.dvc("push")
    assert proof(tagged, "e0.1.0", code=0)["code"] == "yes"
    append(tagged, f"{MERGE}/rules.py")
    tag_by_hand(tagged, "e0.1.1")
    row = proof(tagged, "e0.1.1", code=1)
    assert row["code"] == "no"
    assert row["problem"] == "code: scripts/lineage/merge/rules.py is not what dvc.lock says ran"

    (tagged.path / MERGE / "more.py").write_text("", encoding="utf-8")
    tagged.git("checkout", "e0.1.0", "--", f"{MERGE}/rules.py")
    tag_by_hand(tagged, "e0.1.2")
    assert "code: scripts/lineage/merge/more.py is not" in proof(tagged, "e0.1.2", code=1)["problem"]

    (tagged.path / MERGE / "more.py").unlink()
    append(
        tagged, "scripts/lineage/extras/doctor/examine.py"
    )  # no stage depends on it, and it is no part of an experiment
    tag_by_hand(tagged, "e0.1.3")
    assert proof(tagged, "e0.1.3", code=0)["code"] == "yes"


@pytest.mark.slow
def test_a_folder_that_ran_as_no_commit_has_it_is_named(tagged: Project) -> None:
    append(tagged, f"{MERGE}/rules.py")
    tagged.repro()
    tagged.git("checkout", "--", MERGE)
    tag_by_hand(tagged, "e0.1.1")
    assert "code: scripts/lineage/merge is not what dvc.lock" in proof(tagged, "e0.1.1", code=1)["problem"]


@pytest.mark.slow
def test_other_merge_rules_run_the_merges_again_and_the_version_holds(tagged: Project) -> None:
    """The runs keep the commit that trained them; the code of the merges is the one that `dvc.lock` names."""
    append(tagged, f"{MERGE}/rules.py")
    params = tagged.path / "params.yaml"  # DVC records 10 and 0.0001, whatever YAML 1.1 makes of the words
    text = params.read_text(encoding="utf-8").replace("  keep: 5", "  keep: 010")
    params.write_text(text.replace("min_improvement: 0.0", "min_improvement: 1e-4"), encoding="utf-8")
    tagged.commit("better rules")
    assert "merge_results" in (ran := stages_run(tagged.repro())) and "train" not in ran
    tagged.script("version_tag", "--next", "patch", "--commit", "results of better rules")
    tagged.dvc("push")
    row = proof(tagged, "e0.1.1", code=0)
    assert row["code"] == "yes" and row["problem"] is None


@pytest.mark.slow
def test_a_number_with_a_leading_zero_is_one_value_in_the_row_in_the_lock_and_in_the_proof(
    light_trained: Project,
) -> None:
    project = light_trained
    params = project.path / "params.yaml"
    text = params.read_text(encoding="utf-8").replace("  C: 1.0 ", "  C: 010 ").replace("e0.1.0", "e0.9.0")
    params.write_text(text, encoding="utf-8")
    project.repro()
    project.commit("ten")
    lock = load_yaml(project.path / "dvc.lock")
    with closing(sqlite3.connect(project.path / "results/experiments.db")) as connection:
        [(value,)] = connection.execute("SELECT model_C FROM metrics WHERE version = 'e0.9.0'")
    assert value == lock["stages"]["train"]["params"]["params.yaml"]["model"]["C"] == 10
    project.script("version_tag", "--version", "e0.9.0")
    project.dvc("push")
    row = proof(project, "e0.9.0", code=0)
    assert row["code"] == "yes" and row["problem"] is None


@pytest.mark.slow
def test_what_verify_advises_is_typed_and_then_the_version_holds(tagged: Project) -> None:
    def type_what_helps(version: str = "e0.1.0") -> str:
        said = tagged.script("experiment_explorer", "verify", "--version", version, code=1)
        remedy = said.rpartition("→ ")[2].partition("   #")[0]
        tagged.run("sh", "-c", remedy)
        if version == "e0.1.0":
            tagged.script("experiment_explorer", "verify", "--version", version)
        return remedy

    tagged.git("init", "--quiet", "--bare", "../origin.git")
    tagged.git("remote", "add", "origin", "../origin.git")
    send = "python scripts/version_tag.py --version e0.1.0 --push"
    assert type_what_helps() == send, "nothing was pushed yet"
    md5 = recorded_outputs(tagged.path, "e0.1.0")["data/train.parquet"]
    there = object_path(tagged.path, md5)
    content = there.read_bytes()
    spoil(there)
    assert type_what_helps() == "python scripts/experiment_explorer.py checkout --version e0.1.0"
    in_remote(tagged, md5).unlink()
    there.unlink()
    lost = tagged.script("experiment_explorer", "verify", "--version", "e0.1.0", code=1)
    assert f"→ {send}   # on the machine that made it" in lost
    there.write_bytes(content)  # there
    assert type_what_helps() == send

    append(tagged, f"{MERGE}/rules.py")
    tag_by_hand(tagged, "e0.1.1")
    assert type_what_helps("e0.1.1") == "python scripts/version_tag.py --start patch && dvc repro"
    tagged.script("version_tag", "--version", "e0.1.2", "--commit", "the rules that ran")
    tagged.dvc("push")
    assert proof(tagged, "e0.1.2", code=0)["code"] == "yes"
