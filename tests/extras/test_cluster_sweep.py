"""Sweeps on a real Dask cluster on loopback: the same runs as on this machine, whatever dies."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from baked_projects import Project, copy_project, stages_run
from dask_processes import Cluster, cluster
from toy_runs import UNFINISHED, databases, md5, new_rows, predictions, rows, start, toy
from waiting import wait_for

FIT = """
import os
import signal
import time
from pathlib import Path

import features


def fit(train, params, run):
    x = params["x"]
    notes = Path(os.environ.get("NOTES", "."))
    (notes / f"began-{x}-{os.getpid()}").touch()
    goes_on = (run.checkpoint / "step").exists()
    (run.checkpoint / "step").write_text("1")
    run.log(step=1, loss=1.0 / (1 + x))
    print("a line that a user prints")
    run.artifact("figures/curve.txt").write_text(f"curve of {x}")
{body}
    run.log(step=2, loss=0.5 / (1 + x))
    drawn = [random.random(), float(np.random.rand())]
    return {"params": params, "drawn": drawn, "goes_on": goes_on, "order": list({"a", "b", "c"}), "width": features.WIDTH}


def save_model(model, path):
    path.mkdir()
    (path / "weights.json").write_text(json.dumps(model, sort_keys=True))
    (path / "more").mkdir()
    (path / "more/threads.txt").write_text(os.environ.get("OMP_NUM_THREADS", "any"))


def load_model(path):
    return json.loads((path / "weights.json").read_text())
"""
WIDTH = "from pathlib import Path\n\nWIDTH = int(Path('vocabulary.txt').read_text())\n"


def learner(
    project: Project, where: Cluster | None, notes: Path, body: str = "pass", xs: list[int] | None = None
) -> None:
    """Give the project an experiment that uses all that a run can use, and the cluster to do it on."""
    toy(project, xs=xs)
    code = project.path / "experiment.py"
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    code.write_text(code.read_text() + FIT.replace("{body}", lines))
    (project.path / "features.py").write_text(WIDTH)
    (project.path / "vocabulary.txt").write_text("7")
    pipeline = project.path / "dvc.yaml"
    listed = "      - experiment.py\n      - features.py\n      - vocabulary.txt\n"
    pipeline.write_text(pipeline.read_text().replace("      - experiment.py\n", listed, 1))
    on(project, where)
    notes.mkdir(exist_ok=True)


def on(project: Project, where: Cluster | None) -> None:
    project.set_param("sweep.backend", "dask")
    project.set_param("sweep.address", where.address if where else "")


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One cluster for what harms it not; NOTES is where runs leave word of themselves."""
    folder = tmp_path_factory.mktemp("cluster")
    os.environ["NOTES"] = str(folder / "notes")
    with cluster(folder, shared_disk=folder / "disk") as made:
        yield made


@pytest.fixture
def project(light_original: Project, tmp_path: Path) -> Project:
    return copy_project(light_original, tmp_path)


def left(project: Project) -> dict[int, Any]:
    """What runs of the toy left, by x: their rows, events, artifacts, models and predictions."""
    found = {}
    for row in new_rows(project):
        track_id = row["track_id"]
        place = project.path / "models/trained" / track_id
        model = place.with_name(f"{track_id}_model.bin")
        artifacts = place.with_name(f"{track_id}.artifacts")
        events = rows(project.path / f"results/runs/{track_id}.db", "SELECT step, loss FROM events ORDER BY timestamp")
        predicted = predictions(project.path / f"results/runs/{track_id}.parquet", "SELECT item_id, predicted")
        same = {
            name: row[name] for name in row.keys() - {"track_id", "timestamp", "duration_seconds", "predictions_hash"}
        }
        files = {
            str(path.relative_to(folder)): path.read_text()
            for folder in (model, artifacts)
            for path in sorted(folder.rglob("*.*"))
        }
        assert row["predictions_hash"] == md5(project.path / f"results/runs/{track_id}.parquet")
        found[row["model_x"]] = (same, events, files, predicted)
    return found


SLOW = "if x > 1 and (notes / 'slow').exists():\n    time.sleep(60)"


def begun(notes: Path, x: int | str = "*") -> list[int]:
    """Process ids of the runs that have begun."""
    return [int(path.name.rpartition("-")[2]) for path in notes.glob(f"began-{x}-*")]


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]


def test_a_sweep_on_a_cluster_leaves_what_one_on_this_machine_leaves(
    project: Project, two_nodes: Cluster, tmp_path: Path
) -> None:
    here = copy_project(project, tmp_path / "here")
    notes = two_nodes.folder / "notes"
    for each in (here, project):
        learner(each, two_nodes, notes, xs=[0, 1, 2, 3])
    here.set_param("sweep.backend", "loky")
    for each in (here, project):
        each.run("dvc", "repro", "train")
    there = left(project)
    assert there == left(here) and sorted(there) == [0, 1, 2, 3]
    row, events, files, predicted = there[3]
    assert (
        row["status"] == "ok" and row["code_hash"] and events == [{"step": 1, "loss": 0.25}, {"step": 2, "loss": 0.125}]
    )
    assert files["figures/curve.txt"] == "curve of 3" and files["more/threads.txt"] == "1"
    assert json.loads(files["weights.json"])["width"] == 7 and len(predicted) == 360
    assert not any((project.path / UNFINISHED).iterdir())
    assert stages_run(project.dvc("repro", "train")) == []
    project.set_param("sweep.backend", "loky")
    project.set_param("sweep.address", "")
    assert stages_run(project.dvc("repro", "train")) == [], "where runs are done decides nothing"
    shared = list(two_nodes.folder.glob("worker-*/**/lineage-*"))
    assert [path.name for path in shared if any(path.iterdir())] == [], "workers keep nothing of a sweep that ended"


def test_a_sweep_that_was_stopped_goes_on_and_leaves_nothing_running(project: Project, two_nodes: Cluster) -> None:
    notes = two_nodes.folder / "notes"
    learner(project, two_nodes, notes, SLOW, xs=[0, 1, 2, 3, 4])
    for path in notes.iterdir():
        path.unlink()
    (notes / "slow").touch()
    for how, code in ((signal.SIGINT, 130), (signal.SIGKILL, -9)):
        running = start(project)
        wait_for(lambda: len(new_rows(project, UNFINISHED)) == 2 and len(alive(begun(notes))) >= 2)
        pids = [*begun(notes, 2), *begun(notes, 3)]
        wait_for(lambda: list((project.path / UNFINISHED).glob("*/events.csv")))
        events = [path.read_text() for path in (project.path / UNFINISHED).glob("*/events.csv")]
        assert all("\ntimestamp,step,loss\n" in text and ",0." in text for text in events), (
            "what the live line shows comes while runs go on"
        )
        running.send_signal(how)
        output = running.communicate()[0]
        assert running.returncode == code, output
        assert how == signal.SIGKILL or ("interrupted" in output and "Traceback" not in output)
        wait_for(lambda pids=pids: not alive(pids), 20)
    (notes / "slow").unlink()
    output = project.script("train")
    assert output.startswith("2 of 5 runs are there already, from a session that did not end\n"), output
    found = left(project)
    assert sorted(found) == [0, 1, 2, 3, 4] and len(databases(project)) == 5
    assert json.loads(found[2][2]["weights.json"])["goes_on"] is True, "from the checkpoint on its worker's machine"
    assert [step for step, _ in map(dict.values, found[2][1])] == [1, 2], "steps that came twice are there once"


DEATHS = """
first = len(list(notes.glob(f"began-{x}-*"))) == 1
if x == 1 and first:
    os.kill(os.getpid(), signal.SIGKILL)  # its own process, as if memory had run out
if x == 2 and first:
    os.kill(os.getppid(), signal.SIGKILL)  # the worker
if x == 3 and first:
    os.killpg(os.getpgid(0), signal.SIGKILL)  # the node: nanny, worker and all
if x == 4:
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(0.2)
"""


def test_sixteen_runs_are_there_once_each_after_a_process_a_worker_and_a_node_were_killed(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = tmp_path / "notes"
    monkeypatch.setenv("NOTES", str(notes))
    with cluster(tmp_path / "nodes") as made:
        learner(project, made, notes, DEATHS, xs=list(range(17)))
        project.set_param("sweep.on_error", "keep")
        output = project.script("train")
        killed = [name for name, process in made.processes.items() if process.poll() == -signal.SIGKILL]
        assert len(killed) == 1, "one node is gone"
        assert "[17/17]" in output and "warning: 1 of 17 runs failed:" in output
    found = new_rows(project)
    assert len(databases(project)) == len(found) == 17
    ended = {row["model_x"]: row for row in found}
    assert sorted(ended) == list(range(17))
    failed = ended.pop(4)
    assert failed["error"] == "its process died twice (SIGKILL(-9)); is there memory for sweep.jobs runs at a time?"
    assert {row["status"] for row in ended.values()} == {"ok"} and len(ended) == 16
    times = {x: len(begun(notes, x)) for x in range(17)}
    assert min(times[1], times[2], times[3], times[4]) >= 2
    models = {x: model_of(project, row["track_id"]) for x, row in ended.items()}
    assert not models[3]["goes_on"], "a checkpoint does not outlive its node"
    assert all(len(rows(path, "SELECT * FROM events")) <= 2 for path in databases(project))


def model_of(project: Project, track_id: str) -> dict[str, Any]:
    model = project.path / f"models/trained/{track_id}_model.bin/weights.json"
    return dict(json.loads(model.read_text()))


def test_a_search_on_a_local_cluster_fails_and_goes_on_as_one_without(project: Project, tmp_path: Path) -> None:
    """And it listens on loopback only."""
    learner(project, None, tmp_path / "notes", "if x == 5:\n    raise ValueError('no five')", xs=[5])
    project.set_param("sweep.jobs", 2)
    project.set_param("sweep.on_error", "keep")
    project.set_param("sweep.search", {"trials": 3, "space": {"model.x": {"low": 10, "high": 900}}})
    running = start(project)
    family = psutil.Process(running.pid)
    listening: set[str] = set()

    def looked() -> bool:
        for process in [family, *family.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):  # it has just ended
                found = process.net_connections("tcp")
                listening.update(one.laddr.ip for one in found if one.status == "LISTEN")
        return len(databases(project, UNFINISHED)) > 0

    wait_for(looked)
    output = running.communicate()[0]
    assert running.returncode == 0 and "[4/4]" in output, output
    assert listening == {"127.0.0.1"}
    assert "warning: 1 of 4 runs failed:" in output and "ValueError: no five (experiment.py, line" in output
    found = {row["model_x"]: row for row in new_rows(project)}
    assert len(found) == 4 and found.pop(5)["status"] == "failed"
    assert all(10 <= x <= 900 and row["status"] == "ok" for x, row in found.items())
