"""Experiments are brought home with nothing lost, or not removed."""

from __future__ import annotations

import json
import random
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
from baked_projects import Project, copy_project
from inbox_project import merged_results
from small_disk import small_disk
from worktrees_project import (
    DATABASE,
    kill_after,
    metric_rows,
    remedies,
    run_ids,
    sh,
    traces,
    work_in,
    worktree,
)

from lineage.extras.worktrees.experiment_work import compare_with_main
from lineage.extras.worktrees.finish import checklist, own_state
from lineage.extras.worktrees.start import Experiment
from lineage.tracked import recorded as records
from lineage.tracked.cache import cache_folder


@pytest.fixture(scope="module")
def branched_original(weak_original: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project and its experiment `a`: a run with a new batch, committed, tagged; nothing is home yet."""
    project = copy_project(weak_original, tmp_path_factory.mktemp("branched"))
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


def lines(project: Project, *, decline_data: bool = False) -> dict[str, str]:
    experiment = Experiment(project.path, "a")
    steps = [*own_state(experiment), *checklist(experiment, compare_with_main(experiment), decline_data=decline_data)]
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
    remedy = f"\n{go}python scripts/version_tag.py --suggest   # says how; then add --push"
    assert lines(branched)["tag"] == tag + remedy
    suggested = branched.run("sh", "-c", remedy.partition("→ ")[2]).stdout
    assert "\n  → python scripts/version_tag.py --version e0.2.0\n" in suggested
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
        assert "would be lost or left behind: remote, runs, model, data (each ✗ above)\n" in done.stdout
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
    merged = [Path(name).stem for _, name, *_ in merged_results(project.path / DATABASE)]
    assert sorted(merged) == after and merged[0] in before, "the record of what was merged came along, ours first"
    assert project.git("status", "--porcelain") == ""
    assert "up to date" in project.dvc("status")
    assert traces(project) == ([], "", [])


def links_break(project: Project, cache: Path) -> None:
    """Move the cache to another disk, as somebody does who forgets that links of some types do not lead there."""
    shutil.copytree(project.path.parent / "cache", cache)
    project.dvc("cache", "dir", "--local", str(cache))
    project.dvc("config", "--local", "cache.type", "reflink")
    shutil.copyfile(project.path / ".dvc/config.local", project.path.parent / "exp-a/.dvc/config.local")


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
    with small_disk(branched.path.parent / "other disk", "size=99m") as disk:
        links_break(branched, disk / "cache")
        problem, _, remedy = sh(branched, "finish", "a", "--collect", code=1).rpartition("\n  → ")
        assert "error: dvc checkout fails in main: " in problem
        shown = branched.run("sh", "-c", remedy.replace("make doctor", f"make doctor VENV={sys.prefix}"), code=2).stdout
        [links] = [each for each in remedies(shown) if each.startswith("dvc config --local cache.type")]
        branched.run("sh", "-c", f"{links} && dvc checkout")
        said = sh(branched, "finish", "a", "--collect")
        assert f"removed {experiment.path} and the branch exp/a" in said
        collected_once(branched, before, own)
    assert branched.git("log", "-1", "--format=%s") == "Collect exp/a: 1 runs, 1 batches"
    [run] = own
    assert (branched.path / f"models/candidates/{run}_model.bin").is_file()


@pytest.mark.slow
def test_the_better_model_wins_when_it_comes_home(branched: Project) -> None:
    """Main has no new run of its own: the model that was brought home is compared with the one in production."""
    first = json.loads((branched.path / "models/production/model.json").read_text())
    [run] = set(run_ids(worktree(branched, "a"))) - {first["track_id"]}
    said = sh(branched, "finish", "a", "--collect", "--decline-data")
    assert f"production: {run} (e0.2.0) promoted — better: f1_score 0.9" in said
    assert f" against {first['metrics']['f1_score']:.4f} of {first['track_id']} (e0.1.0), a gain between +0.0" in said
    card = json.loads((branched.path / "models/production/model.json").read_text())
    assert (card["track_id"], card["replaced"], card["by_hand"]) == (run, first["track_id"], False)
    assert branched.git("status", "--porcelain") == "" and "up to date" in branched.dvc("status")


@pytest.mark.slow
def test_collecting_takes_nothing_from_main(branched: Project) -> None:
    """Neither the runs that a rebase in the experiment dropped, nor a batch of the same name."""
    experiment = worktree(branched, "a")
    experiment.set_param("merge.strategy", "rebase")
    work_in(branched, "a", "e0.1.0", C=0.7)
    batch = branched.path / "data/incoming/batch_002.parquet"
    shutil.copyfile(branched.path / "examples/batches/batch_003.parquet", batch)
    mine = batch.read_bytes()
    branched.set_param("experiment.version", "e0.5.0")
    branched.repro()
    branched.commit("another batch 2")
    before = metric_rows(branched)
    own = set(run_ids(experiment)) - set(before)
    assert len(own) == 2 and not set(run_ids(experiment)) & set(before), "its rebase dropped main's first run"
    sh(branched, "finish", "a", "--collect")
    after = metric_rows(branched)
    assert set(before) | own <= set(after)
    assert {run: {key: after[run][key] for key in row} for run, row in before.items()} == before
    assert batch.read_bytes() == mine
    theirs = branched.path / "examples/batches/batch_002.parquet"
    [copy] = (branched.path / "data/incoming").glob("batch_002-exp-a-*.parquet")
    assert copy.read_bytes() == theirs.read_bytes()
    assert set(pd.read_parquet(theirs)["id"]) <= set(pd.read_parquet(branched.path / "data/train.parquet")["id"])
    assert branched.git("status", "--porcelain") == "" and "up to date" in branched.dvc("status")


@pytest.mark.slow
def test_what_main_has_to_do_first_is_typed_as_it_is_printed(branched: Project) -> None:
    def type_what_helps() -> str:
        remedy = remedies(sh(branched, "finish", "a", "--collect", code=1))[-1]
        branched.run("sh", "-euc", remedy)
        return remedy.replace(str(branched.path), "MAIN")

    with (branched.path / "README.md").open("a") as readme:
        readme.write("an idea\n")
    assert type_what_helps() == 'cd MAIN && git commit --all -m "…"'
    branched.set_param("promote.confidence", None)
    branched.commit("what dvc repro has not seen")
    assert type_what_helps() == 'cd MAIN && dvc repro && git commit --all -m "…"'
    experiment = worktree(branched, "a")
    [name] = [path.name for path in (branched.path / "results/predictions").iterdir()]
    for side in (branched, experiment):  # both write other predictions of the run that both have
        path = side.path / "results/predictions" / name
        frame = pd.read_parquet(path)
        path.unlink()
        frame.assign(note=side.path.name).to_parquet(path)
        side.dvc("commit", "--force")
        side.commit("notes")
    assert f"both sides changed {name}\n  → delete or rename it on one side" in sh(
        branched, "finish", "a", "--collect", code=1
    )
    (experiment.path / "results/predictions" / name).unlink()
    experiment.dvc("commit", "--force")
    experiment.commit("without it")
    hook = branched.path / ".git/hooks/prepare-commit-msg"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    [remedy] = remedies(sh(branched, "finish", "a", "--collect", code=1))
    hook.unlink()
    assert remedy == f'cd {branched.path} && git commit --no-verify --all -m "Collect exp/a"'
    branched.run("sh", "-euc", remedy)
    experiment.git("tag", "--force", "--annotate", "e0.2.0", "--message", "e0.2.0 | without it")
    sh(branched, "finish", "a", "--collect")
    assert not experiment.path.exists() and len(run_ids(branched)) == 3
    assert not list((branched.path / ".dvc/tmp/lineage").glob("*.collect")), "the next one of this name begins anew"


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
    *_, remedy = remedies(said)  # the conflict has one of its own
    assert remedy == "./scripts/finish_worktree.sh a --collect --decline-data"
    assert "✓ data    declined: batch_002.parquet" in branched.run("sh", "-c", remedy).stdout
    assert not experiment.path.exists() and len(run_ids(branched)) == 3


@pytest.mark.slow
def test_a_killed_collect_and_finish_is_completed_by_the_same_command(branched: Project) -> None:
    before = run_ids(branched)
    own = set(run_ids(worktree(branched, "a"))) - set(before)
    moments, command = random.Random(11), ("scripts/finish_worktree.sh", "a", "--collect")
    for longest in (1.5, 3.0, 4.5, 6.0):
        kill_after(branched, moments.uniform(longest - 1.2, longest), *command)
        for file in branched.path.glob(".git/*.lock"):  # as Git asks for after a crash of its own
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
