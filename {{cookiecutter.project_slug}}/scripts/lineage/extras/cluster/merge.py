"""A merge of data on a cluster: the same SQL as on one machine, for one bucket of rows at a time.

Tasks of a first kind cut the files into buckets, by the hash of the key columns; so equal keys are
in one bucket, and a task of the second kind merges it. Every row keeps the number that it has on
one machine, so this process then writes the file that it would have written alone.

The functions of a task travel by value with all that they use of this project: it plays no part
what a worker has of it. They must not import anything of it while they run.

Tasks leave their rows in a folder that all workers see, under names that are used once: a task that
runs twice, since its worker was lost, leaves a file that nobody reads.
"""

import copyreg
import pickle
import re
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path, PosixPath
from socket import gethostname
from threading import RLock
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import cloudpickle
from distributed import Client
from fsspec import url_to_fs

import lineage
from lineage.core.console import progress
from lineage.core.errors import LineageError, Refused
from lineage.core.params import Params
from lineage.extras.cluster.buckets import Job, Slice, cut, merge_bucket, open_folder
from lineage.extras.cluster.cluster import SAME_PACKAGES, connect
from lineage.merge.data import DataRelations, make_base, make_incoming
from lineage.merge.plan import Plan
from lineage.merge.rules import Rules
from lineage.tables.parquet_files import Schema, scan
from lineage.tables.sql import OCCURRENCE, ROWS_PER_FILE, fold, text

SHARE_OF_MEMORY = 0.4
"""Of a worker's memory, what DuckDB may take; the rest is for Python and files being written."""

UNLIMITED = 4 << 30
"""Bytes of memory that a worker without a limit is taken to have."""

BYTES_A_VALUE = 16
"""What DuckDB needs for a value in memory, beside what is in the file."""

COMPRESSED = 4
"""How many times smaller a file is than what is in it, roughly."""

GATHERED = """
    ALTER TABLE incoming ADD COLUMN "lineage occurrence" BIGINT;
    ALTER TABLE incoming ADD COLUMN "lineage exact" VARCHAR;
    CREATE TEMP TABLE arriving AS SELECT * FROM incoming;
    CREATE TEMP TABLE leaving (base_row BIGINT);
    CREATE TEMP TABLE conflicts (there VARCHAR, there_row BIGINT, incoming_row BIGINT);
"""
"""The relations that come out of buckets; of incoming rows, there are those that conflicts show."""

COUNTS = ("rows", "added", "replaced", "present", "overridden", "differing")
"""Attributes of plans that are added up."""

REMEDIES = {
    "No space left|max_temp_directory_size": (
        "df -h   # make room on the workers (--local-directory), or in the folder that all see"
    ),
    "KilledWorker|OutOfMemory": (
        "dask worker … --memory-limit 4GB   # more for each worker, or fewer threads in it"
    ),
    "ModuleNotFoundError|ImportError": SAME_PACKAGES,
    "IOException|FileNotFoundError|PermissionError": (
        "put the project where all workers see it, or set merge.shuffle to s3://…"
    ),
    "": "dvc repro   # begins anew, when the cluster is well",
}
"""What helps, by words in an error."""


class Url(PosixPath):
    """A URL where a path belongs: `Path` alone makes `s3:/bucket` of `s3://bucket`."""

    def __str__(self) -> str:
        """Write the URL."""
        return super().__str__().replace(":/", "://")


def merge_on_cluster(relations: DataRelations, rules: Rules, params: Params, draft: Path) -> Plan:
    """Work out a merge as `merge_or_rebase` does; makes the same `leaving` and `arriving`.

    Args:
        relations: lined up, without rows.
        rules: as for `merge_or_rebase`.
        params: say where the cluster is, and a folder that its workers see.
        draft: of the output; beside it is that folder if params name none.

    Returns:
        the counts.

    Raises:
        BadInput: as `merge_or_rebase`; or params name no cluster.
        Refused: there are conflicts that the rules do not settle; or the cluster fails.
    """
    with (
        progress("merging on the workers of a cluster, when there are some"),
        connect(params.sweep, max(1, params.sweep.jobs)) as client,
        shared_folder(params.merge.shuffle or str(draft.parent), draft) as folder,
    ):
        try:
            merged = _merge_buckets(client, relations, rules, folder)
        except LineageError:
            raise
        except Exception as error:
            raise explained(error, client) from error
        open_folder(relations.engine, folder)
        plan = _gather(relations, rules, merged)
    rules.settle(plan)
    return plan


@contextmanager
def shared_folder(place: str, draft: Path) -> Iterator[str]:
    """Make an empty folder that workers see; what a killed merge left in it goes first.

    Args:
        place: a folder or URL, in which each project has one of its own.
        draft: of the project's output.
    """
    owner = uuid5(NAMESPACE_URL, f"{gethostname()}{draft.parent}")
    name = f"{place}/.lineage-{owner}.tmp"
    files, path = url_to_fs(name, use_listings_cache=False)

    def clear() -> None:
        with suppress(FileNotFoundError):
            files.rm(path, recursive=True)

    clear()
    files.makedirs(path)
    try:
        yield name
    finally:
        clear()


def _merge_buckets(
    client: Client, relations: DataRelations, rules: Rules, folder: str
) -> list[Any]:
    """Return what `merge_bucket` gave for each bucket; they are as large as workers can hold."""
    client.wait_for_workers(1)
    workers = client.scheduler_info()["workers"].values()
    shares = [(each["memory_limit"] or UNLIMITED) / each["nthreads"] for each in workers]
    memory = int(min(shares) * SHARE_OF_MEMORY)
    pieces = _pieces(relations, memory / 2, folder)
    number = max(len(pieces), sum(client.nthreads().values()))
    counting = replace(rules, dry_run=True)
    job = Job(replace(relations, engine=None), counting, folder, number, memory)
    files = _do(client, [(cut, job, *piece) for piece in pieces])
    return _do(client, [(merge_bucket, job, files, bucket) for bucket in range(number)])


def explained(error: Exception, client: Client) -> Refused:
    """Say what went wrong on the cluster, and what helps."""
    if isinstance(error, CancelledError) or client.status != "running":
        error = ConnectionError("the Dask scheduler was lost")
    said = f"{type(error).__name__}: {error}".splitlines()[0]
    remedy = next(REMEDIES[words] for words in REMEDIES if re.search(words, said))
    return Refused(f"the merge on the cluster failed: {said}", remedy)


def _do(client: Client, calls: list[Any]) -> list[Any]:
    """Make calls on the workers, each of a function and its arguments; return what they do."""
    cloudpickle.register_pickle_by_value(lineage)
    copyreg.pickle(type(fold), lambda cached: (cache, (cached.__wrapped__,)))
    copyreg.pickle(type(RLock()), lambda lock: (RLock, ()))  # Python < 3.12: cached_property's

    def run(call: bytes) -> bytes:  # bytes, which the scheduler needs no package for
        function, *arguments = pickle.loads(call)
        return cloudpickle.dumps(function(*arguments))

    futures = [client.submit(run, cloudpickle.dumps(call), pure=False) for call in calls]
    return list(map(pickle.loads, client.gather(futures)))


def _pieces(relations: DataRelations, size: float, folder: str) -> list[tuple[str, list[Slice]]]:
    """Cut large files, and put small ones together, to pieces of one size.

    Args:
        relations: whose files.
        size: bytes in memory, roughly.
        folder: where to copy files that workers do not see.

    Returns:
        the relation that a piece is of, and its slices.
    """
    pieces: dict[tuple[str, int], list[Slice]] = {}
    filled = 0.0
    for relation in ("base", "incoming"):
        for schema in getattr(relations, relation):
            rows = relations.count(scan(schema.file))
            values = rows * len(schema.columns)
            needed = schema.file.stat().st_size * COMPRESSED + values * BYTES_A_VALUE
            seen = replace(schema, file=_seen(schema, folder))
            start = schema.number * ROWS_PER_FILE
            step = max(1, int(rows * size / needed))
            for first in range(start, start + rows, step):
                slices = pieces.setdefault((relation, int(filled / size)), [])
                slices.append((seen, first, first + step - 1))
                filled += needed * step / rows
    return [(relation, slices) for (relation, _), slices in pieces.items()]


def _seen(schema: Schema, folder: str) -> Path:
    """Find the path under which workers see a file; copy it to where they do, if they do not."""
    file = schema.file.resolve()
    if "://" not in folder and file.is_relative_to(Path.cwd()):
        return file
    copy = Url(f"{folder}/{schema.number}.parquet")
    url_to_fs(folder)[0].put_file(file, str(copy))
    return copy


def _gather(relations: DataRelations, rules: Rules, merged: list[Any]) -> Plan:
    """Make the relations of a merge from what came out of the buckets, and add the counts up."""
    make_incoming(relations, ())
    relations.run(GATHERED)
    plans, results = zip(*merged)
    for files in results:
        for relation, file in files.items():
            relations.run(f"INSERT INTO {relation} BY NAME FROM read_parquet({text(file)})")
    make_base(relations)
    if not rules.key_columns:
        relations.identity = [*relations.identity, OCCURRENCE]
    plan: Plan = plans[0]
    for name in COUNTS:
        setattr(plan, name, sum(getattr(each, name) for each in plans))
    relations.describe_conflicts(plan)
    return plan
