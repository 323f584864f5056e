"""A merge of data on a cluster: the same SQL as on one machine, for one bucket of rows at a time.

Tasks of a first kind cut the files into buckets, by the hash of the key columns; so equal keys are
in one bucket, and a task of the second kind merges it. Every row keeps the number that it has on
one machine, so this process then writes the file that it would have written alone.

Tasks leave their rows in a folder that all workers see, under names that are used once: a task that
runs twice, since its worker was lost, leaves a file that nobody reads.
"""

import pickle
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path, PosixPath
from socket import gethostname
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5
from zipfile import ZipFile

import cloudpickle
import fsspec
from distributed import Client

import lineage
from lineage.core.console import progress
from lineage.core.errors import LineageError, Refused
from lineage.core.params import Params
from lineage.extras.cluster import carried
from lineage.extras.cluster.buckets import Job, Slice, open_folder
from lineage.extras.cluster.cluster import connect
from lineage.merge.data import DataRelations, make_base, make_incoming
from lineage.merge.plan import Plan
from lineage.merge.rules import Rules, settle
from lineage.tables.parquet_files import Schema, scan
from lineage.tables.sql import OCCURRENCE, ROWS_PER_FILE, text

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
    CREATE TEMP VIEW chosen AS SELECT * FROM incoming;
    CREATE TEMP TABLE leaving (base_row BIGINT);
    CREATE TEMP TABLE conflicts (there VARCHAR, there_row BIGINT, incoming_row BIGINT);
"""
"""The relations that come out of buckets; of incoming rows, there are those that conflicts show."""

COUNTS = ("rows", "added", "replaced", "present", "overridden")
"""Attributes of plans that are added up."""

REMEDIES = {
    "No space left|max_temp_directory_size": (
        "df -h   # make room on the workers (--local-directory), or in the folder that all see"
    ),
    "KilledWorker|OutOfMemory": (
        "dask worker … --memory-limit 4GB   # more for each worker, or fewer threads in it"
    ),
    "ModuleNotFoundError|ImportError": (
        "make setup EXTRAS=cluster   # on every machine of the cluster, by the same locks"
    ),
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
    sweep = params.sweep
    with (
        progress("merging on the workers of a cluster, when there are some"),
        connect(sweep.address, sweep.scheduler, max(1, sweep.jobs)) as client,
        shared_folder(params.merge.shuffle or str(draft.parent), draft) as folder,
    ):
        with explained(client):
            merged = _merge_buckets(client, relations, rules, folder)
        open_folder(relations.engine, folder)
        plan = _gather(relations, rules, merged)
    settle(plan, rules)
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
    files, path = fsspec.url_to_fs(name, use_listings_cache=False)
    try:
        with suppress(FileNotFoundError):
            files.rm(path, recursive=True)
        files.makedirs(path)
        yield name
    finally:
        with suppress(FileNotFoundError):
            files.rm(path, recursive=True)


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
    job = Job(replace(relations, engine=None), rules, folder, number, memory)
    files = _do(client, "cut", [(job, *piece) for piece in pieces])
    return _do(client, "merge_bucket", [(job, files, bucket) for bucket in range(number)])


@contextmanager
def explained(client: Client) -> Iterator[None]:
    """Turn what the block raises into `Refused`, but for errors of ours."""
    try:
        yield
    except LineageError:
        raise
    except Exception as error:
        if isinstance(error, CancelledError) or client.status != "running":
            error = ConnectionError("the Dask scheduler was lost")
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        helps = [REMEDIES[words] for words in REMEDIES if re.search(words, said)]
        raise Refused(f"the merge on the cluster failed: {said}", helps[0]) from error


def _do(client: Client, function: str, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Call a function of `buckets` on the workers, once with each tuple of arguments."""
    cloudpickle.register_pickle_by_value(carried)
    package = Path(lineage.__file__).parent
    code = BytesIO()
    with ZipFile(code, "w") as archive:
        for file in package.rglob("*.py"):
            archive.write(file, file.relative_to(package.parent))
    packed = code.getvalue()
    futures = [
        client.submit(carried.run, pickle.dumps(call), function, packed, pure=False)
        for call in calls
    ]
    return [pickle.loads(result) for result in client.gather(futures)]


def _pieces(relations: DataRelations, size: float, folder: str) -> list[tuple[str, list[Slice]]]:
    """Cut large files, and put small ones together, to pieces of one size.

    Args:
        relations: whose files.
        size: bytes in memory, roughly.
        folder: where to copy files first; empty: workers see them.

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
    copy = Url(f"{folder}/{uuid4().hex}.parquet")
    fsspec.url_to_fs(folder)[0].put_file(file, str(copy))
    return copy


def _gather(relations: DataRelations, rules: Rules, merged: Sequence[Any]) -> Plan:
    """Make the relations of a merge from what came out of the buckets, and add the counts up."""
    make_incoming(relations, ())
    relations.run(GATHERED)
    for _, files in merged:
        for relation, file in files.items():
            relations.run(f"INSERT INTO {relation} BY NAME FROM read_parquet({text(file)})")
    make_base(relations)
    if not rules.key_columns:
        relations.identity = [*relations.identity, OCCURRENCE]
    plans = [plan for plan, _ in merged]
    plan = plans[0]
    for name in COUNTS:
        setattr(plan, name, sum(getattr(each, name) for each in plans))
    relations.describe_conflicts(plan)
    return plan
