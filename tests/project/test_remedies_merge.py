"""Remedies of merges by hand, and of what lies in an inbox, typed in the state in which they are printed."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from contextlib import closing

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from baked_projects import Project, copy_project
from remedies import State, both, database, go_through, parquet

MERGE = "python scripts/merge_artifacts.py --strategy merge --output-db o.db"
REBASE = "python scripts/merge_artifacts.py --strategy rebase --yes --output-db o.db"
DATA = "python scripts/merge_artifacts.py --strategy merge --output-data o.parquet"
BASE = f"{MERGE} --base-db b.db --exp-db e.db"
NUMBERS = database("b.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)", "INSERT INTO t VALUES (1, 2)")
ROWS = database("b.db", "CREATE TABLE t (id TEXT PRIMARY KEY, v INTEGER)", "INSERT INTO t VALUES ('a', 1)")
OTHER_ROWS = database("e.db", "CREATE TABLE t (id TEXT PRIMARY KEY, v INTEGER)", "INSERT INTO t VALUES ('b', 2)")
CONFLICT = database("e.db", "CREATE TABLE t (id TEXT PRIMARY KEY, v INTEGER)", "INSERT INTO t VALUES ('a', 2)")
TABLE = "CREATE TABLE t (id TEXT, timestamp TEXT, v INT, PRIMARY KEY (id, timestamp))"
EVERY_TIME = both(
    database("b.db", TABLE, "INSERT INTO t VALUES ('a', '2026', 1)"),
    database("e.db", TABLE, "INSERT INTO t VALUES ('a', '2026', 2)"),
)
UNIQUE = "CREATE TABLE t (id TEXT PRIMARY KEY, v INTEGER UNIQUE)"
PARENTS = "CREATE TABLE p (id TEXT PRIMARY KEY, k INTEGER)"
CHILDREN = "CREATE TABLE c (id TEXT PRIMARY KEY, p TEXT REFERENCES p)"
WHICH_WINS = f"{BASE} --on-conflict incoming"
ORDINARY = "CREATE TABLE n AS SELECT * FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t"
WITH_TEXT = (
    "CREATE TABLE n (id TEXT PRIMARY KEY, v); INSERT INTO n SELECT * FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t"
)


def alike(project: Project) -> None:
    pq.write_table(pa.table({"id": [1], "ID": [2]}), project.path / "e.parquet")


def duckdb_file(*statements: str) -> Callable[[Project], None]:
    """Work in e.duckdb."""

    def make(project: Project) -> None:
        with closing(duckdb.connect(str(project.path / "e.duckdb"))) as connection:
            for statement in statements:
                connection.execute(statement)

    return make


def write(project: Project, name: str, content: bytes) -> None:
    (project.path / name).write_bytes(content)


def encoded(name: str, encoding: str, remedy: str) -> State:
    """A CSV file in another encoding than UTF-8 comes to a base that has text."""
    text = "id,v\n2,Zoë\n".encode(encoding)
    content = gzip.compress(text) if name.endswith(".gz") else text
    begin = both(parquet("b.parquet", "SELECT 1 AS id, 'é' AS v"), lambda project: write(project, name, content))
    return State(begin, f"{DATA} --base-data b.parquet --exp-data {name}", remedy)


def damaged(project: Project) -> None:
    ROWS(project)
    OTHER_ROWS(project)
    path = project.path / "e.db"
    path.rename(project.path / "whole.db")
    content = bytearray((project.path / "whole.db").read_bytes())
    content[4096:4160] = b"\x0d" + 63 * b"\xff"
    path.write_bytes(content)


STATES = {
    "text among numbers": State(
        both(NUMBERS, database("e.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)", "INSERT INTO t VALUES (2, 'x')")),
        BASE,
        "give the column one type in all sources, or: merge_artifacts.py … --cast text",
        f"{BASE} --cast text",
        None,
    ),
    "a key of numbers that becomes text": State(
        both(NUMBERS, database("e.db", "CREATE TABLE t (id TEXT PRIMARY KEY, v INTEGER)", "INSERT INTO t VALUES ('a', 2)")),
        f"{BASE} --cast text",
        "create the table anew with id TEXT",
        f"sqlite3 b.db '{WITH_TEXT}'",
    ),
    "rows without a number": State(
        both(database("b.db", "CREATE TABLE t (id TEXT PRIMARY KEY, v INTEGER) WITHOUT ROWID"), OTHER_ROWS),
        BASE,
        'CREATE TABLE … AS SELECT * FROM "t"',
        f"sqlite3 b.db '{ORDINARY}'",
    ),
    "a rule of the base": State(
        both(database("b.db", UNIQUE, "INSERT INTO t VALUES ('a', 2)"), OTHER_ROWS),
        BASE,
        "correct the incoming file",
        "sqlite3 e.db 'UPDATE t SET v = 3'",
    ),
    "rows that refer to replaced ones": State(
        both(
            database("b.db", PARENTS, CHILDREN, "INSERT INTO p VALUES ('a', 1)", "INSERT INTO c VALUES ('x', 'a')"),
            database("e.db", PARENTS, "INSERT INTO p VALUES ('b', 1)"),
        ),
        f"{REBASE} --key-columns k --base-db b.db --exp-db e.db",
        "rebase by a key that keeps these rows, or: --strategy merge",
        BASE,
        f"{REBASE} --key-columns id --base-db b.db --exp-db e.db",
    ),
    "text in UTF-16": State(
        both(database("b 1.db", "PRAGMA encoding = 'UTF-16'", "CREATE TABLE t (id TEXT PRIMARY KEY, v INTEGER)"), OTHER_ROWS),
        f"{MERGE} --base-db 'b 1.db' --exp-db e.db",
        "sqlite3 'b 1.db' .dump | sqlite3 'b 1.db.utf8' && mv 'b 1.db.utf8' 'b 1.db'",
    ),
    "a conflict": State(both(ROWS, CONFLICT), BASE, WHICH_WINS, "sqlite3 e.db 'UPDATE t SET v = 1'"),
    "a conflict in which one wins": State(both(ROWS, CONFLICT), BASE, WHICH_WINS, then=None),
    "newest without a time": State(
        both(ROWS, CONFLICT), f"{BASE} --on-conflict newest", "choose base or incoming", f"{BASE} --on-conflict base", None
    ),
    "newest by a time that is the key": State(
        EVERY_TIME, f"{BASE} --on-conflict newest", "choose base or incoming", f"{BASE} --on-conflict incoming", None
    ),
    "a base of two files": State(
        both(ROWS, database("b2.db", "CREATE TABLE t (id TEXT PRIMARY KEY, v INTEGER)"), OTHER_ROWS),
        f"{MERGE} --base-db 'b*.db' --exp-db e.db",
        "--base-db b.db --exp-db b2.db",
        then=None,
    ),
    "nothing to back up": State(
        OTHER_ROWS,
        f"{MERGE} --exp-db e.db --backup-tag before",
        "leave --backup-tag out",
        f"{MERGE} --exp-db e.db",
        None,
    ),
    "a tag that is taken": State(
        both(ROWS, OTHER_ROWS, lambda project: project.git("tag", "--force", "before")),
        "python scripts/merge_artifacts.py --strategy merge --base-db b.db --exp-db e.db --output-db b.db --backup-tag before",
        "choose another name",
        "python scripts/merge_artifacts.py --strategy merge --base-db b.db --exp-db e.db --output-db b.db --backup-tag old",
        None,
    ),
    "no id column": State(
        OTHER_ROWS, f"{MERGE} --exp-db e.db --id-column x", "leave it out", f"{MERGE} --exp-db e.db", None
    ),
    "no key columns": State(
        both(ROWS, OTHER_ROWS),
        f"{REBASE} --base-db b.db --exp-db e.db",
        "set --key-columns",
        f"{REBASE} --base-db b.db --exp-db e.db --key-columns id",
        None,
    ),
    "a table of another name": State(
        database("e 1.db", 'CREATE TABLE "default" (id TEXT PRIMARY KEY)'),
        f"{MERGE} --table metrics --exp-db 'e 1.db'",
        """sqlite3 'e 1.db' 'ALTER TABLE "default" RENAME TO metrics'""",
    ),
    "values that the base computes": State(
        both(database("b.db", "CREATE TABLE t (id TEXT PRIMARY KEY, v INTEGER AS (1))"), OTHER_ROWS),
        BASE,
        """sqlite3 e.db 'ALTER TABLE "t" DROP COLUMN "v"'""",
    ),
    "a disk that is full": State(
        both(ROWS, database("b.db", "CREATE TABLE f (id TEXT PRIMARY KEY, x)", "INSERT INTO f VALUES (1, zeroblob(999999))"), OTHER_ROWS),
        f"ulimit -f 100; {BASE}",
        "ls -ld . && df -h .",
        then=BASE,
    ),
    "a damaged database": State(
        damaged, BASE, "sqlite3 e.db 'PRAGMA integrity_check'", "sqlite3 e.db 'PRAGMA integrity_check' || cp whole.db e.db"
    ),
    "two columns of one name": State(
        alike, f"{DATA} --exp-data e.parquet", "rename one of them in the file", parquet("e.parquet", "SELECT 1 AS id, 2 AS other")
    ),
    "no key column in the file": State(
        parquet("e.parquet", "SELECT 1 AS id"),
        f"{DATA.replace('merge ', 'rebase --yes ')} --exp-data e.parquet --key-columns x",
        "add it to the file, or choose other key columns (now ['x'])",
        parquet("e.parquet", "SELECT 1 AS id, 2 AS x"),
    ),
    "text among the numbers of a column": State(
        both(parquet("b.parquet", "SELECT 1 AS v"), parquet("e.parquet", "SELECT 'x' AS v")),
        f"{DATA} --base-data b.parquet --exp-data e.parquet",
        "give the column one type in all files, or: merge_artifacts.py … --cast text",
        f"{DATA} --base-data b.parquet --exp-data e.parquet --cast text",
        None,
    ),
    "another file among parts": State(
        both(parquet("e.parquet", "SELECT 1 AS v"), f"{DATA} --data-layout parts --exp-data e.parquet", "touch o.parquet/n.txt"),
        f"{DATA} --base-data o.parquet --exp-data e.parquet",
        "mv o.parquet/n.txt .",
    ),
    "little memory": State(
        parquet("e.parquet", "SELECT range AS v FROM range(100000)"),
        f"LINEAGE_MEMORY_LIMIT=1MB {DATA} --exp-data e.parquet",
        "export LINEAGE_MEMORY_LIMIT=8GB",
        then=f"{DATA} --exp-data e.parquet",
    ),
    "text in Latin 1": encoded("e.csv", "latin-1", "iconv -f LATIN1 -t UTF-8 e.csv >.utf8 && mv .utf8 e.csv"),
    "text of Excel": encoded("e.csv", "utf-16", "iconv -f UTF-16 -t UTF-8 e.csv >.utf8 && mv .utf8 e.csv"),
    "packed text in Latin 1": encoded(
        "e.csv.gz", "latin-1", "gzip -d e.csv.gz && iconv -f LATIN1 -t UTF-8 e.csv >.utf8 && mv .utf8 e.csv && gzip e.csv"
    ),
    "packed text of Excel": encoded(
        "e.csv.gz", "utf-16", "gzip -d e.csv.gz && iconv -f UTF-16 -t UTF-8 e.csv >.utf8 && mv .utf8 e.csv && gzip e.csv"
    ),
    "NaN in a DuckDB file": State(
        duckdb_file("CREATE TABLE t (v DOUBLE)", "INSERT INTO t VALUES ('nan')"),
        f"{MERGE} --exp-db e.duckdb",
        'UPDATE "t" SET "v" = NULL WHERE isnan("v")   -- in DuckDB',
        duckdb_file('UPDATE "t" SET "v" = NULL WHERE isnan("v")'),
    ),
    "a table in another schema of a DuckDB file": State(
        duckdb_file("CREATE SCHEMA s", "CREATE TABLE s.t (v DOUBLE)"),
        f"{MERGE} --exp-db e.duckdb",
        'CREATE TABLE main."t" AS FROM "s"."t"; DROP TABLE "s"."t"   -- in DuckDB',
        duckdb_file('CREATE TABLE main."t" AS FROM "s"."t"; DROP TABLE "s"."t"'),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def shared(compiled: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One project for all states; files that a state makes go after it."""
    return copy_project(compiled, tmp_path_factory.mktemp("remedies"))


@pytest.mark.slow
@pytest.mark.parametrize("state", STATES)
def test_a_remedy_of_a_merge_works(state: str, shared: Project) -> None:
    shared.git("clean", "--quiet", "--force", "-d")
    go_through(shared, STATES[state])
