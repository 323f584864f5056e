"""Merging beside Git's history: copies of main, tags to go back to, and processes that end in the middle."""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from baked_projects import SOURCE, Project
from waiting import wait_for

INSERT = "INSERT INTO metrics (track_id, timestamp, version, f1_score) VALUES (?, '2026-01-01 00:00:00.000000', ?, ?)"


@pytest.fixture
def trained(light_trained: Project) -> Project:
    return light_trained


def change(path: Path, statement: str, *values: Any) -> None:
    copy = path.with_name("copy.db")  # never through a link to the cache
    shutil.copyfile(path, copy)
    copy.chmod(0o644)
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute(statement, values)
    copy.replace(path)


def scores(project: Project) -> dict[str, float]:
    with closing(sqlite3.connect(project.path / "results/experiments.db")) as connection:
        return dict(connection.execute("SELECT track_id, f1_score FROM metrics").fetchall())


def first_run(project: Project) -> str:
    return next(iter(scores(project)))


def by_hand(project: Project, strategy: str, *words: str, code: int = 0) -> str:
    database = "results/experiments.db"
    options = ("--strategy", strategy, "--base-db", database, "--output-db", database, "--key-columns", "version")
    return project.script("merge_artifacts", *options, *words, code=code)


@pytest.mark.slow
def test_a_copy_in_incoming_never_reverts_newer_rows_of_main(trained: Project) -> None:
    """The copy was made at the first commit; since then main measured its run anew, and made another."""
    run = first_run(trained)
    copy = trained.path / "results/incoming/colleague.db"
    shutil.copyfile(trained.path / "results/experiments.db", copy)
    copy.chmod(0o644)
    change(copy, INSERT, "theirs", "e0.9.0", 0.5)
    change(trained.path / "results/experiments.db", "UPDATE metrics SET f1_score = 0.99")
    trained.dvc("commit", "--force", "merge_results")
    trained.commit("measured anew")
    trained.set_param("experiment.version", "e0.2.0")
    trained.set_param("merge.strategy", "rebase")  # by version: the whole copy would take e0.1.0 back
    trained.repro("merge_results")
    found = scores(trained)
    assert (found[run], found["theirs"], len(found)) == (0.99, 0.5, 3)


@pytest.mark.slow
def test_a_worktree_brings_in_what_changed_since_its_branch_point(trained: Project, tmp_path: Path) -> None:
    run = first_run(trained)
    other = tmp_path / "exp-other"
    trained.git("worktree", "add", "--quiet", "-b", "exp/other", str(other))
    (other / "results").mkdir(exist_ok=True)
    theirs = other / "results/experiments.db"
    shutil.copyfile(trained.path / "results/experiments.db", theirs)
    change(theirs, "DELETE FROM metrics")  # rebased there: no recorded version is contained in it any more
    change(theirs, INSERT, "theirs", "e0.1.0", 0.5)
    change(theirs, INSERT, run, "e0.1.0", 0.1)
    change(theirs, "UPDATE metrics SET timestamp = 'other' WHERE track_id = ?", run)
    out = by_hand(trained, "merge", "--exp-db", str(theirs))
    assert "metrics: +2 ~0 =0 !0" in out
    assert "predictions: +0 ~0 =0 !0" in out, "the branch point was found, and nothing else comes"


def test_a_rebase_names_the_tag_that_has_the_old_state(trained: Project) -> None:
    run, source = first_run(trained), trained.path / "other.db"
    shutil.copyfile(trained.path / "results/experiments.db", source)
    change(source, "UPDATE metrics SET track_id = 'other', f1_score = 0.5")
    trained.git("tag", "-a", "e0.1.0", "-m", "first")
    words = ("--exp-db", str(source), "--table", "metrics")
    asked = by_hand(trained, "rebase", *words, code=1)
    assert "is that of e0.1.0: dvc get . results/experiments.db --rev e0.1.0\n" in asked
    assert scores(trained).keys() == {run}
    by_hand(trained, "rebase", *words, "--yes")
    assert scores(trained) == {"other": 0.5}
    trained.dvc("get", ".", "results/experiments.db", "--rev", "e0.1.0", "--out", "old.db")
    with closing(sqlite3.connect(trained.path / "old.db")) as connection:
        assert connection.execute("SELECT track_id FROM metrics").fetchall() == [(run,)]


def test_a_backup_tag_pins_bytes_that_no_commit_records(trained: Project) -> None:
    run, source = first_run(trained), trained.path / "other.db"
    shutil.copyfile(trained.path / "results/experiments.db", source)
    change(source, "UPDATE metrics SET track_id = 'other', f1_score = 0.5")
    change(source, "DROP TABLE lineage_sources")  # a copy of ours would leave alone what came after it
    change(trained.path / "results/experiments.db", INSERT, "by-hand", "e0.1.0", 0.7)
    head, status = trained.git("rev-parse", "HEAD"), trained.git("status", "--porcelain")
    words = ("--exp-db", str(source), "--table", "metrics", "--yes")
    refused = by_hand(trained, "rebase", *words, code=1)
    assert "its present bytes are recorded nowhere" in refused
    assert "--backup-tag" in refused
    trained.git("tag", "taken")
    assert "--backup-tag 'taken': there is such a tag" in by_hand(
        trained, "rebase", *words, "--backup-tag", "taken", code=2
    )
    out = by_hand(trained, "rebase", *words, "--backup-tag", "before-rebase")
    assert "next: dvc commit --force results/experiments.db && git commit" in out
    assert scores(trained) == {"other": 0.5}
    assert (trained.git("rev-parse", "HEAD"), trained.git("status", "--porcelain")) == (head, status)
    assert trained.git("cat-file", "-t", "before-rebase") == "tag"
    trained.dvc("get", ".", "results/experiments.db", "--rev", "before-rebase", "--out", "old.db")
    with closing(sqlite3.connect(trained.path / "old.db")) as connection:
        assert {row[0] for row in connection.execute("SELECT track_id FROM metrics")} == {run, "by-hand"}


KILLED = """
import os, sys, time
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from lineage.extras.merge_artifacts.merges import Request, merge_databases_by_hand
from lineage.merge.rules import Rules
import duckdb
folder = Path(sys.argv[2])
while line := sys.stdin.readline():  # one child per line, killed by its parent
    child = os.fork()
    if child == 0:
        merge_databases_by_hand(Request(str(folder / "base.db"), [str(folder / "new.db")], folder / "base.db", Rules("merge"), lambda _: True))
        os._exit(0)
    moment, ended = time.monotonic() + float(line), 0
    while not ended and time.monotonic() < moment:
        time.sleep(0.002)
        ended, _ = os.waitpid(child, os.WNOHANG)
    if not ended:
        os.kill(child, 9)
        os.waitpid(child, 0)
    print("killed", flush=True)
"""


def table(path: Path, first: int, rows: int) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (id INTEGER, v REAL, note TEXT, PRIMARY KEY (id))")
        values = ((number, number / 7, "x" * 40) for number in range(first, first + rows))
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", values)


@pytest.mark.slow
def test_a_merge_killed_at_100_moments_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    table(tmp_path / "old.db", 0, 60_000)
    table(tmp_path / "new.db", 50_000, 30_000)
    command = [sys.executable, "-c", KILLED, str(SOURCE / "scripts"), str(tmp_path)]
    target, old = tmp_path / "base.db", (tmp_path / "old.db").read_bytes()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdin is not None and parent.stdout is not None

        def merge_for(seconds: float) -> bytes:
            target.write_bytes(old)
            print(seconds, file=parent.stdin, flush=True)
            assert parent.stdout is not None and parent.stdout.readline() == "killed\n"
            return target.read_bytes()

        began, whole = time.monotonic(), b""
        while whole in (b"", old):
            whole = merge_for(time.monotonic() - began)
        longest = 1.3 * (time.monotonic() - began)
        chance, ended = random.Random(7), {old: 0, whole: 0}
        for _ in range(100):
            ended[merge_for(chance.uniform(0, longest))] += 1
        assert ended[old] >= 10, "the moments fell into the merge"
        assert merge_for(3 * longest) == whole, "a rerun completes"
        parent.stdin.close()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".base.db.") and "tmp" in path.name] == []
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("SELECT count(*), min(id), max(id) FROM t").fetchone() == (80_000, 0, 79_999)


def data(path: Path, first: int, rows: int) -> None:
    select = f"SELECT range AS id, random() AS v, random()::VARCHAR AS note FROM range({first}, {first + rows})"
    duckdb.sql(f"COPY ({select}) TO '{path}' (FORMAT parquet)")


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "ended by a scheduler"])
@pytest.mark.parametrize(("kind", "make"), [("db", table), ("data", data)])
def test_a_long_merge_that_is_interrupted_leaves_everything_as_it_was(
    tmp_path: Path, kind: str, make: Any, how: signal.Signals
) -> None:
    make(tmp_path / "base.x", 0, 10)
    make(tmp_path / "new.x", 10, 3_000_000)
    before = (tmp_path / "base.x").read_bytes()
    words = [f"--base-{kind}", "base.x", f"--output-{kind}", "base.x", f"--exp-{kind}", "new.x"]
    merge = subprocess.Popen(
        [sys.executable, "-B", SOURCE / "scripts/merge_artifacts.py", "--strategy", "merge", *words],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    wait_for(lambda: list(tmp_path.glob(".base.x.*tmp" if kind == "db" else ".base.x.lock")), pause=0.01)
    time.sleep(0.3)
    merge.send_signal(how)
    _, errors = merge.communicate(timeout=60)
    assert (merge.returncode, errors) == (130, "interrupted: nothing that was accumulated before has changed\n")
    assert (tmp_path / "base.x").read_bytes() == before
    assert not list(tmp_path.glob(".base.x.*.tmp*"))
