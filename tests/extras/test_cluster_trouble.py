"""Clusters that cannot be reached, are lost, or whose workers cannot do runs: what is said, and that it helps."""

from __future__ import annotations

import re
import shlex
import stat
import sys
from pathlib import Path

import duckdb
import pytest
from baked_projects import Project, copy_project
from dask_processes import QUICK, cluster
from toy_runs import UNFINISHED, databases, new_rows, start, toy
from waiting import wait_for

from lineage.merge.data import line_up
from lineage.merge.rules import Rules
from lineage.tables.engine import open_engine


@pytest.fixture
def project(light_original: Project, tmp_path: Path) -> Project:
    copied = copy_project(light_original, tmp_path)
    copied.set_param("sweep.backend", "dask")
    return copied


def on(project: Project, address: str) -> Project:
    project.set_param("sweep.address", address)
    return project


def remedy(output: str) -> list[str]:
    """The command of the last line with an arrow, without its comment."""
    return shlex.split(output.rpartition("→ ")[2].splitlines()[0].partition("#")[0])


MISTAKES = {
    "nobody there": (
        {"address": "tcp://127.0.0.1:9"},
        1,
        "no Dask scheduler answers at tcp://127.0.0.1:9: Timed out trying to connect to tcp://127.0.0.1:9 after 2 s\n"
        "  → dask scheduler   # there, and workers beside it",
    ),
    "no address": (
        {"address": "scheduler:8786"},
        2,
        "'scheduler:8786' is no address of a Dask scheduler; allowed: as tcp://scheduler:8786, or tls://…",
    ),
    "gpus": (
        {"gpus": 2},
        2,
        "params.yaml: sweep.gpus: 2 is not allowed; allowed: 0 with backend: dask, whose workers see what they were given",
    ),
}


def test_mistakes_are_explained(project: Project) -> None:
    toy(project)
    params = project.path / "params.yaml"
    before = params.read_text()
    for settings, code, message in MISTAKES.values():
        for key, value in settings.items():
            project.set_param(f"sweep.{key}", value)
        assert project.script("train", code=code, **QUICK) == f"error: {message}\n"
        params.write_text(before)
    assert new_rows(project) == new_rows(project, UNFINISHED) == []
    on(project, "tcp://127.0.0.1:9")
    assert "[1/1]" in project.script("train", "--debug"), "a debugged run is done here"


def test_a_scheduler_that_dies_costs_no_run_that_has_ended(project: Project, tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    slow.touch()
    toy(project, f"if x > 2 and Path({str(slow)!r}).exists():\n    time.sleep(60)", xs=[1, 2, 3, 4])
    with cluster(tmp_path / "nodes", workers=1) as made:
        address = made.address
        patience = dict.fromkeys(QUICK, "8s")
        running = start(on(Project(project.path, {**project.environment, **patience}), address))
        wait_for(lambda: len(new_rows(project, UNFINISHED)) == 2)
        made.kill("scheduler")
        output = running.communicate(timeout=60)[0]
        assert running.returncode == 1
        lost = (
            f"error: the Dask scheduler at {address} was lost\n  → dvc repro   # when the cluster is well: does what is"
        )
        assert lost in output and "Traceback" not in output, output
        done = {path.name for path in databases(project, UNFINISHED)}
        made.kill("worker-0")
        slow.unlink()
        nobody = project.script("train", code=1, **QUICK)
        assert f"error: no Dask scheduler answers at {address}: " in nobody
        made.start_scheduler(port=address.rpartition(":")[2], command=remedy(nobody))
        made.start_worker("worker-1")
        output = project.run(*remedy(output), "train").stdout
        assert "2 of 4 runs are there already" in output and "[2/2]" in output
    assert {path.name for path in databases(project)} > done and len(new_rows(project)) == 4


def test_workers_that_cannot_do_runs_are_named_and_one_that_can_does_them(project: Project, tmp_path: Path) -> None:
    toy(project, xs=[1, 2])
    old = tmp_path / "old/distributed-2020.1.0.dist-info"
    old.mkdir(parents=True)
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: distributed\nVersion: 2020.1.0\n")
    missing = tmp_path / "missing/xetrack.py"
    missing.parent.mkdir()
    missing.write_text("raise ModuleNotFoundError(\"No module named 'xetrack'\", name='xetrack')\n")
    with cluster(tmp_path / "nodes", workers=0) as made:
        on(project, made.address)
        made.start_worker("old", PYTHONPATH=str(old.parent))
        made.wait_for_workers(1)
        output = project.script("train", code=1)
        assert output.startswith("error: Mismatched versions found\n"), output
        assert re.search(r"\| distributed +\| \S+ +\| \S+ +\| 2020\.1\.0 +\|", output)
        assert remedy(output) == ["make", "setup", "EXTRAS=cluster"]
        project.run(*remedy(output), f"VENV={sys.prefix}")  # there, where it installs what differs
        made.kill("old")

        made.start_worker("missing", PYTHONPATH=str(missing.parent))
        output = project.script("train", code=1)
        named = r"error: a worker cannot do runs: tcp://127\.0\.0\.1:\d+: No module named 'xetrack'\n  → make setup "
        assert re.search(named, output), output
        made.kill("missing")

        made.start_worker("good")
        output = project.script("train")
        assert "[2/2]" in output
    assert len(new_rows(project)) == 2


def test_a_scheduler_that_asks_for_tls_gets_it(project: Project, tmp_path: Path) -> None:
    """As Dask's own configuration says."""
    toy(project, xs=[1, 2])
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made_by = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=cluster -keyout {key} -out {certificate}"
    project.run(*made_by.split())
    roles = {
        f"{role}__{what}": str(file)
        for role in ("CLIENT", "SCHEDULER", "WORKER")
        for what, file in (("KEY", key), ("CERT", certificate))
    }
    tls = {
        f"DASK_DISTRIBUTED__COMM__TLS__{name}": value for name, value in {**roles, "CA_FILE": str(certificate)}.items()
    }
    with cluster(tmp_path / "nodes", workers=0) as made:
        made.kill("scheduler")
        made.start_scheduler("--protocol", "tls", **tls)
        made.start_worker("worker", "--protocol", "tls", **tls)
        assert made.address.startswith("tls://127.0.0.1:")
        on(project, made.address)
        output = project.script("train", code=1, **QUICK)
        assert "TLS" in output and "Traceback" not in output
        assert "[2/2]" in project.script("train", **tls)


SBATCH = """#!/bin/sh
cp "$1" {folder}/job.sh
setsid sh {folder}/job.sh >{folder}/job.log 2>&1 &
echo $! >{folder}/pid
echo "Submitted batch job 7"
"""


def test_batch_jobs_of_slurm_are_the_workers(project: Project, tmp_path: Path) -> None:
    """`sbatch` is a program that starts the job here."""
    toy(project, xs=[1, 2])
    project.set_param("sweep.scheduler", "slurm")
    project.set_param("sweep.jobs", 1)
    output = project.script("train", code=2)
    assert "error: jobqueue.slurm in Dask's configuration: You must specify how much cores and memory" in output
    set_by = dict(pair.split("=") for pair in remedy(output)[1:])
    assert set_by == {"DASK_JOBQUEUE__SLURM__CORES": "4", "DASK_JOBQUEUE__SLURM__MEMORY": "16GB"}

    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for name, text in (
        ("sbatch", SBATCH.format(folder=tmp_path)),
        ("scancel", f"#!/bin/sh\necho $1 >{tmp_path}/cancelled\nkill -9 -$(cat {tmp_path}/pid)\n"),
    ):
        (bin_folder / name).write_text(text)
        (bin_folder / name).chmod(stat.S_IRWXU)
    asked = {
        "CORES": "2",
        "MEMORY": "2GB",
        "PROCESSES": "1",
        "QUEUE": "short",
        "WALLTIME": "00:10:00",
        "INTERFACE": "lo",
    }
    environment = {f"DASK_JOBQUEUE__SLURM__{name}": value for name, value in asked.items()}
    output = project.script("train", **environment, PATH=f"{bin_folder}:{project.environment['PATH']}")
    assert "[2/2]" in output
    script = (tmp_path / "job.sh").read_text()
    directives = set(re.findall(r"^#SBATCH (.*)$", script, re.MULTILINE))
    assert {"-n 1", "--cpus-per-task=2", "--mem=2G", "-t 00:10:00", "-p short"} <= directives, script
    [command] = re.findall(r"^.*dask_worker.*$", script, re.MULTILINE)
    assert re.search(r"python -m distributed.cli.dask_worker tcp://127\.0\.0\.1:\d+ .*--nthreads 2 ", command), command
    wait_for(lambda: (tmp_path / "cancelled").exists())
    assert (tmp_path / "cancelled").read_text() == "7\n", "the job ends with the sweep"


def test_the_number_of_pieces_follows_from_the_size_of_the_data_and_the_memory_for_it(tmp_path: Path) -> None:
    from lineage.extras.cluster.merge import _pieces

    counts = {}
    for rows in (50_000, 200_000):
        file = tmp_path / f"{rows}.parquet"
        columns = ", ".join(f"hash(range, {number}) / 1.8e19 AS x{number}" for number in range(8))
        duckdb.sql(f"COPY (SELECT range AS id, {columns} FROM range({rows})) TO '{file}'")
        with open_engine() as engine:
            relations = line_up(engine, [file], [], Rules("merge", ("id",)), "data")
            for megabytes in (2, 8):
                pieces = _pieces(relations, megabytes << 20, str(tmp_path))
                counts[rows, megabytes] = len(pieces)
                slices = [(first, last) for _, cut in pieces for _, first, last in cut]
                assert sum(min(last, rows - 1) - first + 1 for first, last in slices) == rows
    smallest = counts[50_000, 8]
    assert smallest > 1
    for case, factor in (((50_000, 2), 4), ((200_000, 8), 4), ((200_000, 2), 16)):
        assert factor * (smallest - 1) <= counts[case] <= factor * (smallest + 1)
