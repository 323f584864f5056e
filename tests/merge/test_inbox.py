"""A file in an inbox is merged once: what came in is recorded in the accumulated file itself."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from baked_projects import Project, copy_project, stages_run
from inbox_project import MERGE, REBASE, UNDO, command_in, drop, edit, labels, md5, merged_data, merged_results, type_it

FIRST = "data/incoming/batch_001.parquet"


@pytest.fixture
def trained(light_trained: Project) -> Project:
    return light_trained


@pytest.mark.slow
def test_what_came_in_is_recorded_in_order_of_arrival(fresh: Project) -> None:
    batch = pd.read_parquet(fresh.path / FIRST)
    assert "; 1 new file, 0 already merged; 537 rows now" in fresh.script("merge_data")
    first = [md5(fresh.path / FIRST), FIRST, 537, MERGE]
    assert merged_data(fresh) == [first]
    before = md5(fresh.path / "data/train.parquet")
    assert "+0 ~0 =0 !0; 0 new files, 1 already merged; 537 rows now" in fresh.script("merge_data")
    assert md5(fresh.path / "data/train.parquet") == before
    later = fresh.path / "data/incoming/a/early name.parquet"
    later.parent.mkdir()
    batch.head(10).assign(id=range(10_000, 10_010)).to_parquet(later)
    assert "+10 ~0 =0 !0; 1 new file, 1 already merged; 547 rows now" in fresh.script("merge_data")
    assert merged_data(fresh) == [first, [md5(later), "data/incoming/a/early name.parquet", 10, MERGE]]
    assert pd.read_parquet(fresh.path / "data/train.parquet")["id"].tolist()[-10:] == list(range(10_000, 10_010))


def test_files_that_arrive_together_come_in_the_natural_order_of_their_names(fresh: Project) -> None:
    fresh.set_param("merge.data_strategy", "rebase")
    (fresh.path / FIRST).unlink()
    tenth = drop(fresh, "batch_10.parquet", shift=5)
    drop(fresh, "batch_9.parquet", shift=1)
    assert "2 new files, 0 already merged; 3 rows now" in fresh.script("merge_data")
    assert labels(fresh) == tenth
    assert [Path(name).stem for _, name, *_ in merged_data(fresh)] == ["batch_9", "batch_10"]


@pytest.mark.slow
def test_the_record_holds_no_time_and_no_path_of_this_machine(fresh: Project, tmp_path: Path) -> None:
    other = copy_project(fresh, tmp_path / "elsewhere")
    for project in (fresh, other):
        project.script("merge_data")
        project.drop_batch(2)
        project.script("merge_data")
    assert md5(fresh.path / "data/train.parquet") == md5(other.path / "data/train.parquet")


def test_the_same_content_twice_is_one_file(fresh: Project) -> None:
    shutil.copyfile(fresh.path / FIRST, fresh.path / "data/incoming/twin.parquet")
    assert "+537 ~0 =0 !0; 1 new file, 1 already merged" in fresh.script("merge_data")


@pytest.mark.slow
def test_a_file_that_cannot_be_merged_is_named_and_the_remedy_works(fresh: Project) -> None:
    fresh.script("merge_data")
    (fresh.path / "data/incoming/.gitignore").touch()
    (fresh.path / "data/incoming/README.md").touch()
    name = "data/incoming/my notes.txt"
    (fresh.path / name).write_text("a,b\n", encoding="utf-8")
    said = fresh.script("merge_data", code=2)
    assert f"error: {name} cannot be merged: it is none of .parquet, .pq, .csv, " in said
    type_it(fresh, command_in(said, "→ "))
    assert "0 new files, 1 already merged" in fresh.script("merge_data")


@pytest.mark.slow
def arrives_during_the_merge(project: Project, script: str, file: str, folder: str) -> None:
    """Let a file come after the stage has looked through its inbox, as a colleague's or a cron job's does."""
    path = project.path / f"scripts/{script}.py"
    text = path.read_text(encoding="utf-8")
    looked = next(line for line in text.splitlines(keepends=True) if "new_files(" in line)
    comes = f"        __import__('shutil').copy({file!r}, {folder!r})\n"
    path.write_text(text.replace(looked, looked + comes), encoding="utf-8")


@pytest.mark.slow
def test_a_batch_that_comes_during_the_merge_is_not_recorded_as_merged(fresh: Project) -> None:
    """DVC records the inbox as it is when the stage ends; without the refusal the batch would never be merged."""
    original = (fresh.path / "scripts/merge_data.py").read_bytes()
    late = "examples/batches/batch_002.parquet"
    arrives_during_the_merge(fresh, "merge_data", late, "data/incoming")
    said = fresh.run("dvc", "repro", "merge_data", code=255)
    assert (
        f"error: {fresh.path}/data/incoming was changed while it was merged\n  → dvc repro" in said.stdout + said.stderr
    )
    (fresh.path / "scripts/merge_data.py").write_bytes(original)
    assert "+450 ~0 =0 !0; 1 new file, 1 already merged; 987 rows now" in fresh.repro("merge_data")
    assert [name for _, name, *_ in merged_data(fresh)] == [
        "data/incoming/batch_001.parquet",
        "data/incoming/batch_002.parquet",
    ]


def test_results_that_come_during_the_merge_are_not_recorded_as_merged(trained: Project, tmp_path: Path) -> None:
    [run] = (trained.path / "results/runs").glob("*.db")
    other = tmp_path / "other.db"
    shutil.copy(run, other)
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("UPDATE metrics SET track_id = 'another'")
        connection.commit()
    original = (trained.path / "scripts/merge_results.py").read_bytes()
    arrives_during_the_merge(trained, "merge_results", str(other), "results/incoming")
    said = trained.run("dvc", "repro", "merge_results", code=255)
    assert "results/incoming was changed while it was merged" in said.stdout + said.stderr
    (trained.path / "scripts/merge_results.py").write_bytes(original)
    assert "merge metrics: +1 ~0" in trained.repro("merge_results")


def test_columns_that_are_new_and_such_that_are_missing_are_announced(fresh: Project) -> None:
    fresh.script("merge_data")
    frame = pd.read_parquet(fresh.path / FIRST).head(2).assign(id=[9001, 9002])
    missing = [name for name in frame.columns if name not in ("id", "label")][3:5]
    frame.assign(source="lab").drop(columns=missing).to_parquet(fresh.path / "data/incoming/b.parquet")
    said = fresh.script("merge_data")
    assert f"+2 ~0 =0 !0, new columns: source, missing columns: {', '.join(missing)}; 1 new file" in said


@pytest.mark.slow
def test_corrections_stay_when_their_file_is_tidied_up_or_renamed(trained: Project, tmp_path: Path) -> None:
    trained.set_param("merge.data_strategy", "rebase")
    ids = list(labels(trained))[:3]
    frame = pd.read_parquet(trained.path / FIRST)
    frame = frame[frame["id"].isin(ids)]
    frame["label"] = (frame["label"] + 1) % 10
    frame.to_parquet(tmp_path / "c.parquet", index=False)
    right = {**labels(trained), **dict(zip(frame["id"], frame["label"], strict=True))}
    dropped = trained.path / "data/incoming/corrections.parquet"
    shutil.copyfile(tmp_path / "c.parquet", dropped)
    said = trained.repro("merge_data")
    assert "+3 ~3 =0 !0; 1 new file, 1 already merged; 537 rows now" in said, said
    assert labels(trained) == right
    before = md5(trained.path / "data/train.parquet")
    dropped.unlink()
    assert "+0 ~0 =0 !0; 0 new files, 1 already merged; 537 rows now" in trained.repro("merge_data")
    shutil.copyfile(tmp_path / "c.parquet", trained.path / "data/incoming/a_fix.parquet")
    assert "+0 ~0 =0 !0; 0 new files, 2 already merged; 537 rows now" in trained.repro("merge_data")
    assert md5(trained.path / "data/train.parquet") == before
    assert labels(trained) == right
    assert stages_run(trained.repro("merge_data")) == []


@pytest.mark.slow
def test_a_later_arrival_wins_whatever_its_name_and_a_changed_file_is_new(trained: Project) -> None:
    trained.set_param("merge.data_strategy", "rebase")
    trained.dvc("repro", "merge_data")
    expected = labels(trained) | drop(trained, "z.parquet", shift=1)
    trained.repro("merge_data")
    expected |= drop(trained, "a.parquet", rows=1, shift=5)
    trained.repro("merge_data")
    assert labels(trained) == expected
    expected |= drop(trained, "z.parquet", rows=2, shift=3)
    assert "1 new file, 2 already merged" in trained.repro("merge_data")
    assert labels(trained) == expected
    assert [Path(name).name for _, name, *_ in merged_data(trained)] == [
        "batch_001.parquet", "z.parquet", "a.parquet", "z.parquet",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_file_merged_by_another_rule_is_merged_again_by_the_command_that_is_named(trained: Project) -> None:
    corrected = drop(trained, "my fix.parquet")
    trained.set_param("merge.data_on_conflict", "base")
    trained.repro("merge_data")  # rows that are new come in
    changed = drop(trained, "my fix.parquet", shift=4)
    trained.repro("merge_data")
    assert corrected.items() <= labels(trained).items(), "base: what is there stays"
    trained.set_param("merge.data_on_conflict", "fail")
    trained.set_param("merge.data_strategy", "rebase")
    said = trained.repro("merge_data")
    assert "+0 ~0 =0 !0; 0 new files, 2 already merged" in said
    assert "2 of them by another rule, which stands; by this one, type:\n" in said
    assert corrected.items() <= labels(trained).items()
    command = command_in(said, "→ ")
    assert f"{REBASE} --base-data data/train.parquet" in command
    done = type_it(trained, f"{command} --yes")
    assert changed.items() <= labels(trained).items()
    assert {rule for *_, rule in merged_data(trained) if rule == REBASE} == {REBASE}
    before = md5(trained.path / "data/train.parquet")
    type_it(trained, command_in(done, "next: ") + " --quiet --no-verify --message again")
    assert stages_run(trained.repro("merge_data")) == []
    assert md5(trained.path / "data/train.parquet") == before
    type_it(trained, f"{command} --yes")
    assert md5(trained.path / "data/train.parquet") == before, "the same by hand once more changes no byte"


@pytest.mark.slow
def test_a_merge_by_hand_can_be_taken_back(trained: Project) -> None:
    before = md5(trained.path / "data/train.parquet")
    words = "--strategy merge --key-columns id --exp-data examples/batches/batch_002.parquet"
    place = "--base-data data/train.parquet --output-data data/train.parquet"
    said = type_it(trained, f"python scripts/merge_artifacts.py {words} {place}")
    assert len(labels(trained)) == 987
    type_it(trained, command_in(said, UNDO))
    assert md5(trained.path / "data/train.parquet") == before
    assert stages_run(trained.repro()) == []


@pytest.mark.slow
def test_what_dvc_repro_merged_can_be_taken_back_before_and_after_the_commit(trained: Project) -> None:
    files = ("data/train.parquet", "results/experiments.db", "results/metrics.json", "dvc.lock")
    before = [md5(trained.path / name) for name in files]
    for stages, is_committed in ((["merge_data"], False), ([], True)):
        trained.drop_batch(2)
        said = trained.repro(*stages)
        assert len(labels(trained)) == 987
        if is_committed:
            trained.commit("second batch")
        type_it(trained, command_in(said, UNDO))
        assert [md5(trained.path / name) for name in files] == before
        assert [path.name for path in (trained.path / "data/incoming").iterdir()] == ["batch_001.parquet"]
        assert stages_run(trained.repro()) == []


@pytest.mark.slow
def test_a_project_from_before_the_record_is_not_trained_anew(trained: Project) -> None:
    """Its training data has no record; an update of the template runs the merge again."""
    path = trained.path / "data/train.parquet"
    frame = pd.read_parquet(path)
    path.unlink()
    frame.to_parquet(path)
    trained.dvc("commit", "--force", "merge_data", "train")
    before = md5(path)
    with (trained.path / "scripts/lineage/merge/rules.py").open("a", encoding="utf-8") as file:
        file.write("# updated\n")
    said = trained.repro("merge_data")
    assert "+0 ~0 =537 !0; 1 new file, 0 already merged; 537 rows now" in said
    assert md5(path) == before and merged_data(trained) == []
    trained.drop_batch(2)
    assert "+450 ~0 =537 !0; 2 new files, 0 already merged; 987 rows now" in trained.repro("merge_data")
    assert [rows for _, _, rows, _ in merged_data(trained)] == [537, 450]


def test_the_results_record_their_runs_and_files_and_xetrack_reads_them(trained: Project) -> None:
    database = trained.path / "results/experiments.db"
    [run] = (trained.path / "results/runs").glob("*.db")  # merged once, too
    rule = "--strategy merge --on-conflict fail --table metrics events"
    first = (md5(run), f"results/runs/{run.name}", 1, rule)
    assert merged_results(database) == [first]
    theirs = trained.path / "results/incoming/theirs.db"
    shutil.copyfile(run, theirs)
    with closing(sqlite3.connect(theirs)) as connection, connection:
        connection.execute("UPDATE metrics SET track_id = 'theirs'")
    said = trained.script("merge_results")
    assert "merge metrics: +1 ~0 =0 !0\n" in said
    assert "results/experiments.db: 1 new file, 1 already merged\n" in said
    assert merged_results(database) == [first, (md5(theirs), "results/incoming/theirs.db", 1, rule)]
    before = md5(database)
    assert "results/experiments.db: 0 new files, 2 already merged\n" in trained.script("merge_results")
    assert md5(database) == before
    code = "from xetrack import Reader; print(*sorted(Reader('seen.db', engine='sqlite', table='metrics').to_df()['track_id']))"
    shutil.copyfile(database, trained.path / "seen.db")
    assert trained.run("python", "-c", code).stdout.split() == sorted([run.stem, "theirs"])
    shown = trained.script("experiment_explorer", "show", "--version", "e0.1.0", "--format", "csv")
    assert f"merged,{FIRST},537 rows {MERGE}" in shown
    assert f"merged,results/incoming/theirs.db,1 rows {rule}" in shown


@pytest.mark.slow
def test_a_damaged_file_is_named_without_a_traceback(fresh: Project) -> None:
    fresh.script("merge_data")
    whole = (fresh.path / FIRST).read_bytes()
    (fresh.path / "data/incoming/b.parquet").write_bytes(whole[:-40])
    assert "b.parquet is not a readable parquet file" in fresh.script("merge_data", code=2)
    place = ("--base-data", "data/train.parquet", "--output-data", "data/train.parquet")
    words = ("--strategy", "merge", "--exp-data", "data/incoming/b.parquet", *place)
    assert "b.parquet is not a readable parquet file" in fresh.script("merge_artifacts", *words, code=2)
    (fresh.path / "data/incoming/b.parquet").unlink()
    (fresh.path / "data/train.parquet").write_bytes(whole[:-40])
    assert "train.parquet is not a readable parquet file" in fresh.script("merge_data", code=2)


def test_a_database_of_which_nothing_is_merged_is_named_and_the_remedy_works(trained: Project) -> None:
    """xetrack calls a table `default` where it is told no other name."""
    theirs = trained.path / "results/incoming/theirs.db"
    [run] = (trained.path / "results/runs").glob("*.db")
    shutil.copyfile(run, theirs)
    edit(theirs, "UPDATE metrics SET track_id = 'theirs'")
    edit(theirs, 'ALTER TABLE metrics RENAME TO "default"')
    before = md5(trained.path / "results/experiments.db")
    said = trained.script("merge_results", code=2)
    assert f"error: {theirs} has no table of those that are merged: events, metrics\n" in said
    assert md5(trained.path / "results/experiments.db") == before
    type_it(trained, command_in(said, "→ "))
    edit(theirs, "CREATE TABLE notes (text)")
    said = trained.script("merge_results")
    assert f"warning: {theirs}: not merged: notes\n" in said and "merge metrics: +1 ~0 =0 !0\n" in said


@pytest.mark.slow
@pytest.mark.parametrize("name", ["b.pq", "b.PARQUET", "site=north/part-0.parquet"])
def test_a_batch_comes_whatever_its_ending_and_its_folder_is_a_column(name: str, fresh: Project) -> None:
    rows = pd.read_parquet(fresh.path / FIRST).head(3).assign(id=[9001, 9002, 9003])
    batch = fresh.path / "data/incoming" / name
    batch.parent.mkdir(exist_ok=True)
    rows.to_parquet(batch)
    assert "+540 ~0 =0 !0" in fresh.script("merge_data")
    merged = pd.read_parquet(fresh.path / "data/train.parquet")
    assert merged["id"].tolist()[-3:] == [9001, 9002, 9003]
    assert merged["label"].tolist()[-3:] == rows["label"].tolist()
    sites = merged["site"].fillna("").tolist()[-4:] if "site" in merged else None
    assert sites == (["", "north", "north", "north"] if "site" in name else None)


@pytest.mark.parametrize("ending", ["sqlite", "sqlite3", "DB", "duckdb"])
def test_a_database_comes_whatever_its_ending(ending: str, trained: Project) -> None:
    theirs = trained.path / f"results/incoming/theirs.{ending}"
    [run] = (trained.path / "results/runs").glob("*.db")
    if ending == "duckdb":
        with duckdb.connect(str(theirs)) as connection:
            key = "PRIMARY KEY (track_id, timestamp)"
            connection.execute(f"CREATE TABLE metrics (track_id VARCHAR, timestamp VARCHAR, version VARCHAR, {key})")
            connection.execute("INSERT INTO metrics VALUES ('theirs', '2024', 'e0.1.0')")
    else:
        shutil.copyfile(run, theirs)
        edit(theirs, "UPDATE metrics SET track_id = 'theirs'")
    assert "merge metrics: +1 ~0 =0 !0" in trained.script("merge_results")
    with closing(sqlite3.connect(trained.path / "results/experiments.db")) as connection:
        found = connection.execute("SELECT track_id, version FROM metrics").fetchall()
    assert sorted(found) == sorted([(run.stem, "e0.1.0"), ("theirs", "e0.1.0")])


def test_a_log_beside_a_database_is_refused_until_both_are_one_file(trained: Project) -> None:
    """As a killed program leaves them: the run is in the log alone."""
    [run] = (trained.path / "results/runs").glob("*.db")
    live = trained.path / "live.db"
    shutil.copyfile(run, live)
    edit(live, "DELETE FROM metrics")
    theirs = trained.path / "results/incoming/theirs.db"
    with closing(sqlite3.connect(live)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"ATTACH '{run}' AS run")
        connection.execute("INSERT INTO metrics SELECT * FROM run.metrics")
        connection.execute("UPDATE metrics SET track_id = 'theirs'")
        connection.commit()
        for ending in ("", "-wal"):
            shutil.copyfile(f"{live}{ending}", f"{theirs}{ending}")
    said = trained.script("merge_results", code=2)
    assert "error: results/incoming/theirs.db-wal cannot be merged: it is none of .db, .sqlite," in said
    assert command_in(said, "→ ") == "sqlite3 results/incoming/theirs.db 'PRAGMA journal_mode = DELETE'"
    assert sorted(path.name for path in theirs.parent.glob("theirs*")) == ["theirs.db", "theirs.db-wal"]
    type_it(trained, command_in(said, "→ "))
    assert "merge metrics: +1 ~0 =0 !0" in trained.script("merge_results")
    assert [path.name for path in theirs.parent.glob("theirs*")] == ["theirs.db"]


def test_the_remedy_of_a_conflict_sets_the_key_of_the_stage_and_no_other(trained: Project) -> None:
    corrected = drop(trained, "b.parquet")
    said = trained.script("merge_data", code=1)
    type_it(trained, command_in(said, "→ "))
    assert "+3 ~1 =0 !1" in trained.script("merge_data")
    assert corrected.items() <= labels(trained).items()
    theirs = trained.path / "results/incoming/theirs.db"
    [run] = (trained.path / "results/runs").glob("*.db")
    shutil.copyfile(run, theirs)
    edit(theirs, "UPDATE metrics SET version = 'e0.0.9'")
    said = trained.script("merge_results", code=1)
    type_it(trained, command_in(said, "→ "))
    assert "merge metrics: +1 ~1 =0 !1" in trained.script("merge_results")
    section = (trained.path / "params.yaml").read_text(encoding="utf-8").partition("\nmerge:")[2]
    assert "\n  on_conflict: incoming" in section and "\n  data_on_conflict: incoming" in section
