"""What workers do in a merge: they cut files into buckets, and merge one bucket after another."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory
from uuid import uuid4

from distributed import get_worker
from fsspec import url_to_fs

from lineage.merge.data import DataRelations, make_incoming, tell_values_apart
from lineage.merge.plan import Plan
from lineage.merge.rules import Rules, merge_or_rebase
from lineage.tables.engine import start
from lineage.tables.parquet_files import Schema, numbered_rows
from lineage.tables.sql import Engine, quote_all, text

ROWS_A_GROUP = 20_480
"""Rows that lie together in a file that is cut, so that little beside its bucket is read of it."""

Slice = tuple[Schema, int, int]
"""Rows of a file: its columns, and the numbers of the first row and of the last."""

RESULTS = {
    "leaving": "FROM leaving",
    "arriving": "FROM arriving",
    "conflicts": "FROM conflicts",
    "incoming": """
        FROM incoming WHERE "lineage row" IN (
            SELECT incoming_row FROM conflicts
            UNION ALL
            SELECT there_row FROM conflicts WHERE there = 'incoming'
        )
    """,
}
"""What comes out of a bucket; of its incoming rows, those that conflicts show."""


@dataclass(frozen=True)
class Job:
    """What every task has to know.

    Attributes:
        relations: the columns of both sides, without rows.
        rules: how rows are merged; conflicts of all buckets are only counted.
        folder: where all workers may leave rows.
        buckets: how many there are.
        memory: bytes that DuckDB may take in a task.
    """

    relations: DataRelations
    rules: Rules
    folder: str
    buckets: int
    memory: int

    @contextmanager
    def open_engine(self) -> Iterator[Engine]:
        """Open DuckDB with a task's share of its worker: memory, one thread, a folder to spill."""
        with (
            TemporaryDirectory(dir=get_worker().local_directory) as spill,
            closing(start(spill, memory_limit=f"{self.memory}B", threads=1)) as engine,
        ):
            open_folder(engine, self.folder)
            yield engine

    def write(self, engine: Engine, rows: str) -> str:
        """Write the rows of a query to a file whose name no other task, or try of it, has."""
        file = f"{self.folder}/{uuid4().hex}.parquet"
        engine.execute(f"""
            COPY ({rows}) TO {text(file)}
            (FORMAT parquet, COMPRESSION lz4, ROW_GROUP_SIZE {ROWS_A_GROUP})
        """)
        return file


def open_folder(engine: Engine, folder: str) -> None:
    """Let DuckDB read and write below a URL, by the package for it: DuckDB would download one."""
    if "://" in folder:
        engine.register_filesystem(url_to_fs(folder)[0])


def cut(job: Job, relation: str, slices: list[Slice]) -> tuple[str, str]:
    """Write rows of `base` or `incoming` with the bucket of each, and ordered by it.

    They have the types of the merged file: 1 as INTEGER and 1 as DOUBLE have different hashes.

    Returns:
        the relation, and the file.
    """
    rows = " UNION ALL ".join(
        f"""
        SELECT *, {schema.source} AS "lineage source"
        FROM ({numbered_rows([schema], job.relations.written)})
        WHERE "lineage row" BETWEEN {first} AND {last}"""
        for schema, first, last in slices
    )
    cut_rows = f"""
        SELECT *, hash({quote_all(job.relations.identity)}) % {job.buckets} AS "lineage bucket"
        FROM ({rows})
        ORDER BY "lineage bucket"
    """
    with job.open_engine() as engine:
        return relation, job.write(engine, cut_rows)


def merge_bucket(
    job: Job, files: list[tuple[str, str]], bucket: int
) -> tuple[Plan, dict[str, str]]:
    """Merge one bucket.

    Args:
        job: what is done.
        files: the cut rows of `base` and `incoming`.
        bucket: its number.

    Returns:
        the counts, and a file for each of `RESULTS`.
    """
    with job.open_engine() as engine:
        relations = replace(job.relations, engine=engine)
        make_incoming(relations, ())
        relations.run("CREATE TEMP TABLE base AS SELECT * FROM incoming")
        for relation, file in files:
            relations.run(f"""
                INSERT INTO {relation} BY NAME
                SELECT * EXCLUDE ("lineage bucket") FROM read_parquet({text(file)})
                WHERE "lineage bucket" = {bucket}
            """)
        relations.base_rows = relations.count("base")
        tell_values_apart(relations)
        if not job.rules.key_columns:
            relations.tell_equal_rows_apart()
        plan = merge_or_rebase(relations, job.rules)
        return plan, {name: job.write(engine, rows) for name, rows in RESULTS.items()}
