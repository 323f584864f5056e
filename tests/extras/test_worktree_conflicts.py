"""An experiment comes home whose rows main changed too: cell by cell, and what nobody can decide is shown until somebody does."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from baked_projects import Project
from worktrees_project import conflicts, correct, metric_rows, remedies, run_ids, sh, traces, work_in, worktree

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("taken", ["base", "incoming"])
def test_a_cell_that_main_and_an_experiment_changed_waits_for_a_decision(light_trained: Project, taken: str) -> None:
    main = light_trained
    [run] = run_ids(main)
    before = metric_rows(main)[run]
    for name in ("a", "b"):
        sh(main, "setup", name)
    correct(worktree(main, "a"), run, accuracy=0.25)
    correct(worktree(main, "b"), run, f1_score=0.5)
    for name, version in (("a", "e0.2.0"), ("b", "e0.3.0")):
        work_in(main, name, version, C=0.5)
    [second, third] = (set(run_ids(worktree(main, name))) - {run} for name in ("a", "b"))
    correct(main, run, f1_score=0.75, log_loss=0.125)
    main.repro()
    main.commit("corrected")

    sh(main, "finish", "a", "--collect")
    merged = {**before, "f1_score": 0.75, "log_loss": 0.125, "accuracy": 0.25}
    found = metric_rows(main)
    assert found[run] == merged and found.keys() == {run} | second, "different cells of one row, of both"

    head = main.git("rev-parse", "HEAD")
    said = sh(main, "finish", "b", "--collect", code=1)
    problem, cell, show, choose = said[said.index("error: ") :].splitlines()
    assert problem == "error: cells with two values, 1 in all (base | ours | theirs):"
    assert f" — f1_score: {before['f1_score']!r} | 0.75 | 0.5" in cell
    assert show == "  → python scripts/experiment_explorer.py conflicts   # shows all of them"
    assert "f1_score" in main.run("sh", "-c", show.removeprefix("  → ")).stdout
    for _ in range(2):
        [one] = conflicts(main)
        assert one.pop("key").startswith(f"track_id={run}, timestamp=")
        assert one == {
            "table": "metrics", "column": "f1_score", "base": before["f1_score"], "ours": 0.75, "theirs": 0.5
        }  # fmt: skip
        main.git("status")
    assert main.git("rev-parse", "HEAD") == head and main.git("status", "--porcelain") == ""
    assert metric_rows(main) == found and "up to date" in main.dvc("status")
    assert run_ids(worktree(main, "b")) == sorted({run} | third), "the experiment is as it was, too"

    main.run("sh", "-c", choose.removeprefix("  → ").replace("on-conflict base", f"on-conflict {taken}"))
    assert "removed " in sh(main, "finish", "b", "--collect")
    theirs = {**before, "f1_score": 0.5}
    assert metric_rows(main)[run] == (merged if taken == "base" else theirs)
    assert metric_rows(main).keys() == {run} | second | third
    assert conflicts(main) == [] and traces(main) == ([], "", [])
    assert main.git("status", "--porcelain") == "" and "up to date" in main.dvc("status")
    assert (main.path / f"results/predictions/{third.pop()}.parquet").is_file()


def test_an_experiment_that_only_corrected_a_row_of_main_brings_the_correction_home(light_trained: Project) -> None:
    main = light_trained
    [run] = run_ids(main)
    before = metric_rows(main)[run]
    sh(main, "setup", "fix")
    experiment = worktree(main, "fix")
    correct(experiment, run, accuracy=0.25)
    experiment.repro()
    experiment.commit("The accuracy of the first run was mistyped")
    experiment.git("tag", "--annotate", "e0.1.1", "--message", "e0.1.1 | accuracy corrected")
    experiment.dvc("push")

    said = sh(main, "finish", "fix", code=1)
    assert "✗ runs    rows of runs that main has were corrected here" in said
    [remedy] = [each for each in remedies(said) if each.startswith("./")]
    assert remedy == "./scripts/finish_worktree.sh fix --collect"
    assert "error: exp/fix is not home yet: runs" in said and metric_rows(main) == {run: before}

    assert "removed " in main.run("sh", "-c", remedy).stdout
    assert metric_rows(main) == {run: {**before, "accuracy": 0.25}}
    assert main.git("log", "-1", "--format=%s") == "Collect exp/fix: 0 runs, 0 batches, corrected rows"
    assert traces(main) == ([], "", [])
    assert main.git("status", "--porcelain") == "" and "up to date" in main.dvc("status")


def test_corrected_rows_that_are_home_are_not_asked_for_again(light_trained: Project) -> None:
    main = light_trained
    [run] = run_ids(main)
    sh(main, "setup", "fix")
    experiment = worktree(main, "fix")
    correct(experiment, run, accuracy=0.25)
    work_in(main, "fix", "e0.2.0", C=0.5)
    experiment.dvc("push")
    main.git("checkout", "-b", "other")
    correct(main, run, log_loss=0.125)
    main.repro()
    main.commit("main corrects another cell")
    # the branch is kept, so that it can be looked at again
    other = main.path.parent / "keeper"
    main.git("worktree", "add", "--force", str(other), "exp/fix")
    assert "git branch failed: error: Cannot delete branch 'exp/fix' checked out at" in sh(
        main, "finish", "fix", "--collect", code=1
    )
    merged = metric_rows(main)[run]
    assert (merged["accuracy"], merged["log_loss"]) == (0.25, 0.125)
    head = main.git("rev-parse", "HEAD")
    main.git("-C", str(other), "switch", "--detach")
    said = sh(main, "finish", "fix")
    assert "✓ runs    1 of its own, all in main's database" in said
    assert main.git("rev-parse", "HEAD") == head and metric_rows(main)[run] == merged


def test_training_data_that_an_experiment_merged_by_hand_are_not_left_behind(
    light_trained: Project, tmp_path: Path
) -> None:
    main = light_trained
    sh(main, "setup", "fix")
    experiment = worktree(main, "fix")
    rows = pd.read_parquet(experiment.path / "data/train.parquet")
    corrected = rows.iloc[[3]].assign(label=7)
    corrected.to_parquet(tmp_path / "labels.parquet")
    experiment.script(
        "merge_artifacts", "--strategy", "rebase", "--key-columns", "id", "--yes",
        "--base-data", "data/train.parquet", "--exp-data", f"{tmp_path}/labels.parquet", "--output-data", "data/train.parquet",
    )  # fmt: skip
    experiment.dvc("commit", "--force", "merge_data")
    work_in(main, "fix", "e0.2.0", C=0.5)
    said = sh(main, "finish", "fix", "--collect", code=1)
    line = "✗ data    data/train.parquet has ../labels.parquet, which main has not merged"
    assert line in said and "error: exp/fix is not home yet: data" in said, said
    main.git("checkout", "params.yaml")
    remedy = said[said.index(line) :].splitlines()[1].strip()
    assert remedy == "→ git merge exp/fix   # or: --decline-data"
    main.run("sh", "-c", remedy.removeprefix("→ "))
    main.dvc("checkout")
    assert "removed " in sh(main, "finish", "fix")
    found = pd.read_parquet(main.path / "data/train.parquet").set_index("id")["label"]
    expected = rows.set_index("id")["label"]
    expected[corrected["id"].iloc[0]] = 7
    assert found.to_dict() == expected.to_dict()
