"""The command `merge_artifacts.py`: its options, the plan that it shows, what it asks, and mistakes in typing it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from baked_projects import SOURCE
from corpus_files import database, parquet, rows_of


def test_options_take_several_values_at_once(tmp_path: Path) -> None:
    from lineage.extras.merge_artifacts.command import spread

    words = ["--strategy", "merge", "--exp-db", "a", "b", "--exp-db=c", "--key-columns", "x", "y", "--dry-run"]
    assert list(spread(words)) == (
        [
            "--strategy",
            "merge",
            "--exp-db",
            "a",
            "--exp-db",
            "b",
            "--exp-db=c",
            "--key-columns",
            "x",
            "--key-columns",
            "y",
            "--dry-run",
        ]
    )


def command(folder: Path, *words: str, code: int = 0, answer: str = "") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-B", str(SOURCE / "scripts/merge_artifacts.py"), *words],
        cwd=folder, capture_output=True, text=True, input=answer, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_a_dry_run_shows_the_plan_and_changes_nothing(tmp_path: Path) -> None:
    create = "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)"
    database(tmp_path / "base.db", create, rows=[(1, 1), (2, 2)])
    database(
        tmp_path / "new.db",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v REAL, w TEXT)",
        rows=[(2, 0.5, "x"), (3, 3.0, "y")],
    )
    before = (tmp_path / "base.db").read_bytes()
    words = ["--base-db", "base.db", "--exp-db", "new.db", "--output-db", "base.db", "--dry-run"]
    fits = "rebase: 1 incoming rows have known keys and changed values, which merge would not take"
    assert command(tmp_path, "--strategy", "merge", *words).stdout.splitlines() == [
        "merge t: +1 ~0 =0 !1, new columns: w, wider types: v INTEGER → REAL",
        "  id=2 — v: 2.0 | 0.5, w: None | 'x'",
        f"recommended — {fits}",
    ]
    as_json = ["--strategy", "rebase", "--key-columns", "id", "--format", "json"]
    told = json.loads(command(tmp_path, *as_json, *words).stdout)
    assert told["recommended"] == fits, "the same, whichever strategy it is asked with"
    [plan] = told["plans"]
    assert (plan["added"], plan["replaced"], plan["present"], plan["new_columns"]) == (2, 1, 0, ["w"])
    assert (tmp_path / "base.db").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".db") == ["base.db", "new.db"]


@pytest.mark.slow
def test_a_rebase_by_hand_asks_with_counts(tmp_path: Path) -> None:
    for name, value in (("base", 1), ("new", 2)):
        parquet(tmp_path / f"{name}.parquet", id=[1, 2], v=[value, 9])
    words = ["--strategy", "rebase", "--key-columns", "id", "--base-data", "base.parquet", "--exp-data", "new.parquet"]
    words += ["--output-data", "out.parquet"]
    done = command(tmp_path, *words, code=1, answer="n\n")
    assert "out.parquet: +1 ~1 =1 !0\nReplace 1 rows of out.parquet? [y/N]" in done.stdout
    assert "error: not confirmed; nothing was changed" in done.stderr and not (tmp_path / "out.parquet").exists()
    command(tmp_path, *words, answer="y\n")
    assert sorted(row["v"] for row in rows_of(tmp_path / "out.parquet")) == [2, 9]
    command(tmp_path, *words, "--yes")  # the same bytes again
    parquet(tmp_path / "new.parquet", id=[1, 2], v=[3, 9])
    problem, remedy = command(tmp_path, *words, "--yes", code=1).stderr.splitlines()
    assert problem == "error: out.parquet would be replaced, and its bytes are recorded nowhere"
    assert remedy == "  → mv out.parquet out.parquet.old   # or: dvc add out.parquet; by hand --backup-tag NAME pins it"
    subprocess.run(["bash", "-ec", remedy.removeprefix("  → ")], cwd=tmp_path, check=True)
    command(tmp_path, *words, "--yes")
    found = {name: [row["v"] for row in rows_of(tmp_path / name)] for name in ("out.parquet", "out.parquet.old")}
    assert {name: sorted(values) for name, values in found.items()} == {
        "out.parquet": [3, 9],
        "out.parquet.old": [2, 9],
    }


MISTAKES = {
    "nothing": ([], "error: nothing to merge: give --exp-db or --exp-data"),
    "no output": (
        ["--strategy", "merge", "--exp-db", "x.db"],
        "error: --strategy and --output-db (or --output-data) are needed",
    ),
    "no such base": (
        ["--strategy", "merge", "--base-db", "y.db", "--exp-db", "x.db", "--output-db", "o.db"],
        "error: y.db does not exist; leave the option out to start without a base",
    ),
    "no such source": (
        ["--strategy", "merge", "--exp-db", "z*.db", "--output-db", "o.db"],
        "error: z*.db matches no .db or .sqlite or .sqlite3 or .duckdb file",
    ),
    "rebase by nothing": (
        ["--strategy", "rebase", "--exp-db", "x.db", "--output-db", "o.db"],
        "error: rebase needs key columns: what decides which rows are replaced?",
    ),
    "no such table": (
        ["--strategy", "merge", "--exp-db", "x.db", "--output-db", "o.db", "--table", "runs"],
        "error: table 'runs' is in none of the 1 incoming databases; they have: t",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("words", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_on_the_command_line(tmp_path: Path, words: list[str], message: str) -> None:
    database(tmp_path / "x.db", "CREATE TABLE t (id TEXT PRIMARY KEY)", rows=[("a",)])
    assert command(tmp_path, *words, code=2).stderr.splitlines()[0] == message
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["x.db"]
