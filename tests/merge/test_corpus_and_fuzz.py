"""The two benchmarks that ask files of other people: they tell what is right, refused and wrong."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from baked_projects import SOURCE

ROOT = SOURCE.parent


def printed(*words: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_corpus_is_merged_and_compared_cell_by_cell(tmp_path: Path) -> None:
    other_zero = -0.0 if duckdb.__version__ >= "2" else 0.0  # docs/merge-rebase.md
    table = pa.table(
        {"n": [1, 1, None], "x": [0.0, other_zero, float("nan")], "s": ["a", None, ""], "l": [[1], [], None]}
    )
    pq.write_table(table, tmp_path / "right.parquet")
    (tmp_path / "broken.pq").write_bytes((tmp_path / "right.parquet").read_bytes()[:-9])
    with closing(sqlite3.connect(tmp_path / "right.sqlite")) as connection, connection:
        connection.executescript(
            "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, x'00'), (1, x'00'), (NULL, 0.5), ('1', '');"
        )
    shutil.copyfile(tmp_path / "right.sqlite", tmp_path / "no_ending")
    told = printed("benchmarks/corpus.py", str(tmp_path)).splitlines()
    assert told[:3] == ["4 files: 2 parquet, 2 databases", "ok\t3", "refused\t1"]
    assert re.fullmatch(r"  1\tFILE is not a readable parquet file: .*", told[3])
    assert told[4:] == ["wrong\t0"]


def test_a_row_that_a_merge_loses_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import corpus
    from forked import in_a_fork

    pq.write_table(pa.table({"n": [1, 2, 2], "x": [0.0, 1.0, 1.0]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"n": [1, 2], "x": [-0.0, 1.0]}), tmp_path / "b.parquet")
    left, right = (corpus.parquet_rows([tmp_path / f"{name}.parquet"]) for name in "ab")
    assert corpus.difference(left, left) == ""
    assert corpus.difference(left, right).startswith("rows: 2 rows lost, 1 that nobody sent; ")
    assert in_a_fork(lambda: 1 // 0) == ("traceback", "ZeroDivisionError: integer division or modulo by zero")
    assert in_a_fork(lambda: os.kill(os.getpid(), 11)) == ("crash", "SIGSEGV")
    assert in_a_fork(lambda: os.read(os.pipe()[0], 1), seconds=0.3)[0] == "hang"


@pytest.mark.slow
def test_damaged_files_are_refused_or_right_and_the_base_is_whole(tmp_path: Path) -> None:
    kinds = ("parquet", "sqlite", "text", "base", "params")
    told = printed("benchmarks/fuzz.py", "--minutes", "0.05", "--seed", "3", "--keep", str(tmp_path), "--kinds", *kinds)
    tries = int(re.search(r"^(\d+) tries with seed 3 in 0.05 minutes$", told, re.M)[1])
    counted = dict(line.split("\t") for line in told.splitlines() if "\t" in line)
    assert list(counted) == list(kinds)
    assert tries == sum(int(number) for outcomes in counted.values() for number in re.findall(r" (\d+)", outcomes))
    assert tries >= 2 and "refused" in told
    assert not {"traceback", "base", "beside", "message"} & set(
        re.findall(r"[\t ](\w+) \d", "\n".join(counted.values()))
    )


def test_a_database_whose_schema_is_no_text_is_named(tmp_path: Path) -> None:
    """Found by the fuzz: a byte of a statement in its schema was changed."""
    from lineage.core.errors import BadInput
    from lineage.extras.merge_artifacts.databases import merge_databases
    from lineage.merge.rules import Rules

    whole = tmp_path / "whole.db"
    with closing(sqlite3.connect(whole)) as connection, connection:
        connection.executescript("CREATE TABLE t (a, b); CREATE INDEX i ON t (b); INSERT INTO t VALUES (1, 2);")
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(whole.read_bytes().replace(b"CREATE INDEX", b"CREATE \xf0NDEX"))
    for base, source in ((whole, damaged), (damaged, whole)):
        reason = "'utf-8' codec can't decode byte 0xf0|its schema is malformed"  # the second on Python 3.10
        with pytest.raises(BadInput, match=f"^{damaged}: ({reason})"):
            merge_databases(base, [source], tmp_path / "out.db", Rules("merge"))
