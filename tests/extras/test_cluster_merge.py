"""Merges of training data on a real Dask cluster on loopback: the same bytes as on one machine, whatever dies."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from baked_projects import TEMPLATE, Project, copy_project
from dask_processes import QUICK, Cluster, cluster
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_disk import small_disk
from waiting import wait_for

from lineage.core.errors import LineageError
from lineage.core.params import Merge, Params, Sweep
from lineage.merge.data import line_up, merge_data, write_rows
from lineage.merge.plan import Plan
from lineage.merge.rules import Rules
from lineage.tables.engine import open_engine
from lineage.tables.parts import parts_of

sys.path.insert(0, str(TEMPLATE / "tools"))
from s3_server import s3_server

pytestmark = pytest.mark.slow
DATA = "data/train.parquet"
FAILED = "error: the merge on the cluster failed"
KINDS: dict[str, list[tuple[pa.DataType, st.SearchStrategy[Any]]]] = {
    "id": [
        (pa.int32(), st.integers(0, 3)),
        (pa.int64(), st.integers(0, 3)),
        (pa.float64(), st.sampled_from([0.0, -0.0, 1.0, 2.5, float("nan")])),
    ],
    "k": [(pa.string(), st.sampled_from(["", "x"])), (pa.null(), st.none())],
    "timestamp": [(pa.timestamp("us"), st.integers(0, 3))],
    "x": [(pa.float32(), st.sampled_from([0.5, 1.5])), (pa.int16(), st.integers(0, 2))],
    "new": [(pa.list_(pa.int64()), st.lists(st.integers(0, 1), max_size=2))],
}


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers, one of them with three threads."""
    with cluster(tmp_path_factory.mktemp("cluster"), workers=1) as made:
        made.start_worker("three", "--nthreads", "3")
        yield made


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Rows whose keys collide often, in columns that may lack, in one of the types that fit each other."""
    chosen = draw(
        st.permutations(["id", "k", *draw(st.lists(st.sampled_from(["timestamp", "x", "new"]), unique=True))])
    )
    rows = draw(st.integers(0, 6))
    arrays = []
    for name in chosen:
        kind, values = draw(st.sampled_from(KINDS[name]))
        column = draw(st.lists(st.none() | values, min_size=rows, max_size=rows))
        arrays.append(pa.array(column, kind))
    return pa.Table.from_arrays(arrays, names=chosen)


def on_cluster(
    where: Cluster, base: list[Path], sources: list[Path], output: Path, rules: Rules, shuffle: str = ""
) -> Plan:
    """Merge as the stage does with `merge.engine: dask`."""
    from lineage.extras.cluster.merge import merge_on_cluster

    said = {
        "strategy": "merge",
        "data_strategy": "merge",
        "key_columns": [],
        "data_key_columns": [],
        "shuffle": shuffle,
    }
    params = Params.model_construct(sweep=Sweep(address=where.address), merge=Merge(**said))
    with open_engine() as engine:
        relations = line_up(engine, base, sources, rules, "data")
        plan = merge_on_cluster(relations, rules, params, output)
        write_rows(relations, plan, output, layout=rules.layout)
    return plan


def content(output: Path) -> dict[str, bytes]:
    """The bytes of a file, or of all parts of a folder."""
    return {part.name: part.read_bytes() for part in parts_of(output)} if output.is_dir() else {"": output.read_bytes()}


def outcome(merge: Any, output: Path) -> tuple[Any, ...]:
    """What a merge gives: its plan and the bytes that it writes, or its error."""
    try:
        return merge(output), content(output)
    except LineageError as error:
        return type(error), str(error)


@settings(
    max_examples=int(os.environ.get("MERGE_EXAMPLES", "30")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    base=st.none() | tables(),
    sources=st.lists(tables(), min_size=1, max_size=3),
    keys=st.sampled_from([(), ("id",), ("ID", "k")]),
    strategy=st.sampled_from(["merge", "rebase"]),
    on_conflict=st.sampled_from(["fail", "base", "incoming", "newest"]),
    layouts=st.tuples(st.sampled_from(["file", "parts"]), st.sampled_from(["file", "parts"])),
)
def test_a_cluster_gives_the_same_bytes_counts_and_conflicts_as_one_machine(
    two_nodes: Cluster, monkeypatch: pytest.MonkeyPatch, **made: Any
) -> None:
    from lineage.extras.cluster import merge

    monkeypatch.setattr(merge, "BYTES_A_VALUE", 10_000_000)  # so that pieces and buckets hold a few rows
    monkeypatch.setattr("lineage.merge.data_files.PART_ROWS", 3)
    rules = Rules(made["strategy"], made["keys"], on_conflict=made["on_conflict"], layout=made["layouts"][1])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = [folder / f"{place}.parquet" for place in range(len(made["sources"]))]
        for table, path in zip(made["sources"], sources, strict=True):
            pq.write_table(table, path)
        base = [folder / "base.parquet"] if made["base"] else []
        if base:
            pq.write_table(made["base"], base[0])
            if made["layouts"][0] == "parts":
                merge_data([], base, folder / "base", Rules("merge", layout="parts"), "data")
                base = [folder / "base"]
        alone = outcome(lambda out: merge_data(base, sources, out, rules, "data"), folder / "alone")
        together = outcome(lambda out: on_cluster(two_nodes, base, sources, out, rules), folder / "together")
        assert together == alone and not list(folder.glob(".lineage*"))


@pytest.mark.parametrize("keys", [(), ("id",)], ids=["rows", "keys"])
def test_values_that_duckdb_cuts_or_takes_for_equal_are_so_on_a_cluster_too(
    two_nodes: Cluster, tmp_path: Path, keys: tuple[str, ...]
) -> None:
    base, new = tmp_path / "base.parquet", tmp_path / "new.parquet"
    for path, nanosecond, sign in ((base, 1, 1.0), (new, 2, -1.0)):
        columns = {"id": [1, 2], "t": pa.array([nanosecond, 5], pa.timestamp("ns")), "x": [0.5, sign * 0.0]}
        pq.write_table(pa.table(columns), path, use_deprecated_int96_timestamps=True)
    rules = Rules("merge", keys, on_conflict="fail")
    alone = outcome(lambda out: merge_data([base], [new], out, rules, "data"), tmp_path / "alone")
    assert outcome(lambda out: on_cluster(two_nodes, [base], [new], out, rules), tmp_path / "together") == alone
    added = 2 if duckdb.__version__ >= "2" else 1  # older ones know no -0.0 beside 0.0
    assert f"{added} incoming rows" in alone[1] if keys else alone[0].added == added


def write_numbers(path: Path, first: int, last: int, changed: str = "x0") -> Path:
    columns = ", ".join(f"hash(range, {number}) / 1.8e19 AS x{number}" for number in range(8))
    duckdb.sql(f"""
        COPY (SELECT range AS id, range % 10 AS label, {columns} FROM range({first}, {last})) TO '{path}'
    """)
    if changed != "x0":
        duckdb.sql(f"COPY (SELECT * REPLACE ({changed} AS x0) FROM '{path}') TO '{path}.changed' (FORMAT parquet)")
        Path(f"{path}.changed").replace(path)
    return path


def processes(where: Cluster) -> list[int]:
    """The processes of the workers, whose nannies start them again when they die."""
    from distributed import Client

    with Client(where.address) as client:
        return list(client.run(os.getpid).values())


@pytest.fixture
def many_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    from lineage.extras.cluster import merge

    monkeypatch.setattr(merge, "BYTES_A_VALUE", 1600)


@pytest.mark.parametrize("strategy", ["merge", "rebase"])
def test_workers_that_die_in_mid_run_change_nothing(
    two_nodes: Cluster, many_pieces: None, tmp_path: Path, strategy: str
) -> None:
    base = [write_numbers(tmp_path / "base.parquet", 0, 200_000)]
    new = "x0" if strategy == "merge" else "x0 + id % 2"
    sources = [write_numbers(tmp_path / "new.parquet", 180_000, 220_000, new)]
    rules = Rules(strategy, ("id",))
    if strategy == "rebase":  # of a folder of two parts, of which one stays as it is
        rules = Rules(strategy, ("id",), layout="parts")
        early = [write_numbers(tmp_path / "early.parquet", 0, 100_000)]
        merge_data([], early, tmp_path / "early", rules, "data")
        merge_data([tmp_path / "early"], base, tmp_path / "parts", rules, "data")
        base = [tmp_path / "parts"]
    plan = merge_data(base, sources, tmp_path / "alone", rules, "data")
    died: list[int] = []

    def kill_when_rows_are_cut() -> None:
        wait_for(lambda: list(tmp_path.glob(".lineage*/*.parquet")), pause=0.01)
        died.append(processes(two_nodes)[0])
        os.kill(died[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_when_rows_are_cut)
    killer.start()
    assert on_cluster(two_nodes, base, sources, tmp_path / "together", rules) == plan
    killer.join()
    assert died[0] not in processes(two_nodes)
    assert content(tmp_path / "together") == content(tmp_path / "alone")


def test_workers_that_see_nothing_of_the_project_work_by_way_of_s3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = [write_numbers(tmp_path / "base.parquet", 0, 50_000)]
    sources = [write_numbers(tmp_path / "new.parquet", 45_000, 55_000, "x0 + id % 2")]
    rules = Rules("rebase", ("id",))
    plan = merge_data(base, sources, tmp_path / "alone", rules, "data")
    with s3_server(tmp_path / "s3", "bucket", "key", "secret") as server:
        variables = {**server.credentials, "AWS_ENDPOINT_URL": server.endpoint, "AWS_DEFAULT_REGION": "us-east-1"}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with cluster(tmp_path / "cluster") as made:
            output = tmp_path / "together"
            assert on_cluster(made, base, sources, output, rules, "s3://bucket/rows") == plan
        assert server.client().list_objects_v2(Bucket="bucket")["KeyCount"] == 0
    assert output.read_bytes() == (tmp_path / "alone").read_bytes()


# The stage, in a project.


@pytest.fixture
def project(light_original: Project, tmp_path: Path) -> Project:
    made = copy_project(light_original, tmp_path)
    made.drop_batch(2)
    made.environment["DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT"] = "2s"
    return made


def on(project: Project, address: str) -> None:
    project.set_param("merge.engine", "dask")
    project.set_param("sweep.address", address)


def state(project: Project) -> tuple[bytes, list[str]]:
    """The training data, and what lies beside them."""
    folder = project.path / "data"
    return (project.path / DATA).read_bytes(), sorted(path.name for path in folder.iterdir())


def test_the_stage_gives_the_same_file_on_a_cluster_and_another_engine_reruns_nothing(
    project: Project, two_nodes: Cluster
) -> None:
    batch = project.path / "data/incoming/batch_002.parquet"
    pd.read_parquet(batch).to_csv(batch.with_suffix(".csv"), index=False)
    batch.unlink()  # the file that is read for the new one lies where only this machine sees it
    before = project.path.parent / "before.parquet"
    shutil.copyfile(project.path / DATA, before)
    printed = project.script("merge_data")
    alone = state(project)
    shutil.copyfile(before, project.path / DATA)
    on(project, two_nodes.address)
    assert project.script("merge_data") == printed
    assert "merge data/train.parquet: +450 ~0 =0 !0; 1 new file, 1 already merged; 987 rows now" in printed
    assert state(project) == alone
    assert "merge.engine" not in project.dvc("status")
    on(project, "tcp://127.0.0.1:9")
    assert "0 new files" in project.script("merge_data"), "nothing to merge needs no cluster"
    shutil.rmtree(project.path / "scripts/lineage/extras/cluster")
    project.drop_batch(3)
    missing = "merge.engine in params.yaml asks for an extra that is not here: No module named 'lineage.extras.cluster'"
    assert project.script("merge_data", code=2) == f"error: {missing}\n  → make setup EXTRAS=cluster\n"
    project.set_param("merge.engine", "duckdb")
    assert "1 new file, 2 already merged" in project.script("merge_data")


def test_failures_name_a_remedy_and_change_nothing(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(project)
    on(project, "tcp://127.0.0.1:9")
    assert "error: no Dask scheduler answers at tcp://127.0.0.1:9" in project.script("merge_data", code=1, **QUICK)
    site = tmp_path / "site"
    (site / "duckdb-0.1.dist-info").mkdir(parents=True)
    (site / "duckdb-0.1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: duckdb\nVersion: 0.1\n")
    with cluster(tmp_path / "cluster", workers=0) as made, small_disk(tmp_path / "disk") as disk:
        on(project, made.address)
        made.start_worker("another version", PYTHONPATH=str(site))
        wait_for_workers(made, 1)
        printed = project.script("merge_data", code=1)
        assert "error: Mismatched versions found" in printed and "| duckdb  |" in printed, printed
        assert "→ make setup EXTRAS=cluster   # on every machine of the cluster" in printed
        made.kill("another version")

        shutil.rmtree(site)
        site.mkdir()
        (site / "duckdb.py").write_text("raise ModuleNotFoundError(\"No module named 'duckdb'\", name='duckdb')\n")
        made.start_worker("lacks a package", PYTHONPATH=str(site))
        wait_for_workers(made, 1)
        printed = project.script("merge_data", code=1)
        problem = f"{FAILED}: ModuleNotFoundError: No module named 'duckdb'"
        assert f"{problem}\n  → make setup EXTRAS=cluster   # on every machine of the cluster, by the same" in printed
        made.kill("lacks a package")

        made.start_worker("small disk", "--local-directory", str(disk))
        wait_for_workers(made, 1)
        fill(disk)
        printed = project.script("merge_data", code=1)
        full = rf"{FAILED}: OSError: \[Errno 28\] No space left on device: '{disk}/\S+'\n  → df -h   # make room on the workers"
        assert re.search(full, printed), printed
        made.kill("small disk")
        assert state(project) == before

        made.start_worker("whole")
        assert "+450" in project.script("merge_data")


def fill(disk: Path) -> None:
    """Leave no room for another file."""
    with contextlib.suppress(OSError):
        for number in range(100):
            (disk / str(number)).touch()


def wait_for_workers(made: Cluster, number: int) -> None:
    from distributed import Client

    with Client(made.address) as client:
        wait_for(lambda: len(client.scheduler_info()["workers"]) >= number)


def test_a_scheduler_or_a_merge_that_dies_in_mid_run_leaves_the_data_and_the_next_run_completes(
    project: Project, tmp_path: Path
) -> None:
    inbox = project.path / "data/incoming"
    write_numbers(inbox / "numbers.parquet", 100_000, 400_000)
    project.script("merge_data")
    before = state(project)
    write_numbers(inbox / "more.parquet", 390_000, 600_000)
    with cluster(tmp_path / "cluster") as made:
        on(project, made.address)
        wait_for_workers(made, 2)
        merging = begin(project)
        made.kill("scheduler")
        printed = merging.communicate()[0]
        assert merging.returncode == 1, printed
        lost = f"{FAILED}: ConnectionError: the Dask scheduler was lost"
        assert f"{lost}\n  → dvc repro   # begins anew, when the cluster is well\n" in printed
        assert state(project) == before

        made.start_scheduler(port=made.address.rpartition(":")[2])
        made.start_worker("new")
        wait_for_workers(made, 1)
        merging = begin(project)
        merging.kill()
        merging.wait()
        data, files = state(project)
        assert data == before[0] and any(name.startswith(".lineage") for name in files)
        assert "+200000 ~0 =10000 !0" in project.script("merge_data")
        assert state(project)[1] == before[1], "what the killed merge left is gone"


def begin(project: Project) -> subprocess.Popen[str]:
    """Start the stage, and wait until the first rows are cut."""
    merging = subprocess.Popen(
        ["python", "scripts/merge_data.py"],
        cwd=project.path,
        env=project.environment,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )

    def has_cut() -> list[Path]:
        assert merging.poll() is None, merging.communicate()[0]
        return list(project.path.glob("data/.lineage*/*.parquet"))

    wait_for(has_cut, pause=0.01)
    return merging
