"""A run speaks: it logs events, keeps files, and goes on from its checkpoint after a kill."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from baked_projects import Project, copy_project, stages_run
from toy_runs import UNFINISHED, md5, new_rows, rows, start, toy
from waiting import wait_for

from lineage.extras.tracking.active_run import ActiveRun
from lineage.runs.run import Facts, Run, run_files
from lineage.runs.run_argument import logged_events
from lineage.runs.run_database import write_run

EVENTS = "SELECT * FROM events ORDER BY track_id, timestamp"


def speaking(project: Project, body: str, measure: str = "pass", xs: list[Any] | None = None) -> Project:
    """Give the project a toy experiment whose functions take the run."""
    toy(project, body, measure, xs)
    path = project.path / "experiment.py"
    code = path.read_text().replace("(train, params)", "(train, params, run)")
    path.write_text(code.replace("(model, test)", "(model, test, run)"))
    return project


@pytest.fixture
def project(light_original: Project, tmp_path: Path) -> Project:
    return copy_project(light_original, tmp_path)


EPOCHS = """
state = run.checkpoint / "state.json"
begin = json.loads(state.read_text()) if state.exists() else 0
Path(f"began-{x}-{begin}-{run.track_id}").touch()
for epoch in range(begin, 10):
    run.log(step=epoch, loss=1 / (epoch + 1) + x)
    if x == 2 and epoch == 7 and begin == 0:
        Path(f"pid-{os.getpid()}").touch()
        time.sleep(60)
    if epoch % 5 == 4:
        part = state.with_suffix(".part")
        part.write_text(json.dumps(epoch + 1))
        part.replace(state)
run.artifact("notes/made.txt").write_text(f"by {run.seed} with {run.params['x']} on {run.device}")
"""


def test_a_killed_run_goes_on_from_its_checkpoint_under_its_id_and_its_curve_has_no_gap(project: Project) -> None:
    speaking(project, EPOCHS, "run.log(f1=0.5)", xs=[1, 2])
    with (project.path / "experiment.py").open("a") as code:
        code.write("\ntime.sleep(3)  # as long as it takes to import a large library\n")
    running = start(project)
    wait_for(lambda: list(project.path.glob("pid-*")))
    running.send_signal(signal.SIGKILL)
    running.communicate()
    [pid] = [int(path.name.partition("-")[2]) for path in project.path.glob("pid-*")]
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), 10)
    [killed] = [path.name.partition("-0-")[2] for path in project.path.glob("began-2-0-*")]
    output = project.script("train")
    assert f"{killed} goes on from its checkpoint\n" in output
    assert (project.path / f"began-2-5-{killed}").exists()
    [row] = [row for row in new_rows(project) if row["model_x"] == 2]
    assert row["track_id"] == killed
    assert max(row["duration_seconds"] for row in new_rows(project)) < 3, "the first import is not the run's own time"
    events = rows(project.path / f"results/runs/{killed}.db", EVENTS)
    assert [(event["step"], event["loss"], event["f1"]) for event in events] == [
        *[(epoch, 1 / (epoch + 1) + 2, None) for epoch in range(10)],
        (None, None, 0.5),
    ]
    assert {event["track_id"] for event in events} == {killed}
    assert len({event["timestamp"] for event in events}) == 11
    kept = project.path / f"models/trained/{killed}.artifacts/notes/made.txt"
    assert kept.read_text() == "by 0 with 2 on cpu"
    assert sorted(path.name for path in (project.path / UNFINISHED).iterdir()) == []


DIES = """
state = run.checkpoint / "state" if x == 3 else None
begin = int(state.read_text()) if state and state.exists() else 0
for step in range(begin, 10):
    run.log(step=step, loss=x / (step + 1))
    if x > 1 and step == begin + 2:
        os.kill(os.getpid(), signal.SIGKILL)
    if state:
        state.write_text(str(step + 1))
"""


def test_a_run_whose_process_died_twice_keeps_what_it_logged_as_a_failed_run(project: Project) -> None:
    speaking(project, DIES, xs=[1, 2, 3])
    project.set_param("sweep.on_error", "keep")
    assert "model.x=3: its process died twice (SIGKILL(-9))" in project.repro()
    query = "SELECT model_x AS x, status, step, loss FROM events JOIN metrics USING (track_id) ORDER BY x, step"
    found = [tuple(row.values()) for row in rows(project.path / "results/experiments.db", query)]
    whole = [(1, "ok", step, 1 / (step + 1)) for step in range(10)]
    begun_anew = [(2, "failed", step, 2 / (step + 1)) for step in range(3)]
    gone_on = [(3, "failed", step, 3 / (step + 1)) for step in range(5)]
    assert found == [*whole, *begun_anew, *gone_on]


TALK = """
if x == 9:
    run.log(step=0, loss=9.0)
    raise RuntimeError("it exploded")
for step in range(1000):
    run.log(step=step, loss=1 / (step + 1) + x)
run.artifact(f"figures/curve-{x}.txt").write_text(f"of {x}")
"""
MEASURE = "run.log(step=0, f1=0.5)\nmetrics['f1_score'] = x / 10"


def kept(project: Project) -> dict[str, str]:
    """The artifacts of candidates, by the run that made them."""
    files = (project.path / "results/artifacts").rglob("*.txt")
    return {file.parts[-3]: file.read_text() for file in files}


def test_a_project_in_which_runs_speak(project: Project) -> None:
    """A user logs in a sweep, starts a version, takes its results back by rebase, and brings an artifact back."""
    database = project.path / "results/experiments.db"
    assert rows(database, "SELECT name FROM sqlite_master WHERE name LIKE '%events%'") == [], "nobody has logged yet"
    assert (project.path / "results/plots/curves.csv").read_text() == "track_id,step,name,value\n"
    assert [path.name for path in (project.path / "results/artifacts").iterdir()] == ["README.md"]

    speaking(project, TALK, MEASURE, xs=[1, 2, 3, 9])
    project.set_param("promote.keep", 2)
    project.set_param("sweep.on_error", "keep")
    printed = project.repro()
    assert "merge events: +3004 ~0 =0 !0\n" in printed
    ids = {row["model_x"]: row["track_id"] for row in rows(database) if row["model_x"]}
    failed = "SELECT step, loss FROM events JOIN metrics USING (track_id) WHERE status = 'failed'"
    assert rows(database, failed) == [{"step": 0, "loss": 9.0}]
    points = [line.split(",") for line in (project.path / "results/plots/curves.csv").read_text().splitlines()[1:]]
    curve = [(int(step), float(value)) for run, step, name, value in points if (run, name) == (ids[2], "loss")]
    assert (curve[0], curve[-1]) == ((0, 3.0), (999, 1 / 1000 + 2)) and 200 < len(curve) <= 301
    assert curve == [(step, 1 / (step + 1) + 2) for step in [*range(0, 999, 4), 999]]
    assert {name for _, _, name, _ in points} == {"loss", "f1"}
    shown = project.dvc("plots", "show", "--json", "results/plots/curves.csv", "dvc.yaml")
    [plot] = json.loads(shown[shown.index("{") :])["data"]["Learning curves"]
    facet, spec = plot["content"]["facet"], plot["content"]["spec"]
    encoding = {name: spec["encoding"][name]["field"] for name in ("x", "y", "color")}
    assert encoding == {"x": "step", "y": "value", "color": "track_id"}, "one line per run"
    assert (facet["row"]["field"], len(plot["content"]["data"]["values"])) == ("name", len(points))
    assert kept(project).items() >= {ids[2]: "of 2", ids[3]: "of 3"}.items()
    measured = project.script("experiment_explorer", "evaluate", "--run-id", ids[2])
    assert "0.2" in measured, "evaluate(model, test, run) measures again, with a run that keeps nothing"
    assert stages_run(project.repro()) == []
    project.commit("They speak")
    project.script("version_tag", "--version", "e0.1.0")
    shown = json.loads(project.script("experiment_explorer", "show", "--version", "e0.1.0", "--format", "json"))
    made = {row["name"]: row["value"] for row in shown if row["name"].startswith("results/artifacts/")}
    best = f"results/artifacts/{ids[3]}/figures/curve-3.txt"
    assert made == {best: md5(project.path / best)}, "what the best run made, and not what others did"

    project.set_param("experiment.version", "e0.2.0")
    project.set_param("merge.strategy", "rebase")
    project.set_param("sweep.grid", {"model.x": [4, 5]})
    printed = project.repro()
    assert "rebase events: +2002 ~0 =0 !0\n" in printed
    project.set_param("sweep.grid", {"model.x": [6]})
    project.commit("Two more")
    printed = project.repro()
    assert "rebase metrics: +1 ~2 =0 !0, " in printed, printed
    assert ", 2002 events of the replaced runs are gone\n" in printed, printed
    assert "rebase events: +1001 ~0 =0 !0\n" in printed
    counted = "SELECT model_x AS x, count(*) AS n FROM events JOIN metrics USING (track_id) GROUP BY x ORDER BY x"
    found = {row["x"]: row["n"] for row in rows(database, counted)}
    assert found == {1: 1001, 2: 1001, 3: 1001, 6: 1001, 9: 1}
    assert rows(database, "SELECT count(*) AS n FROM events") == [{"n": 4005}], "no event without its run"

    project.commit("One instead")
    assert list(kept(project).values()) == ["of 6"], "the others were pruned with their candidates"
    wanted = f"results/artifacts/{ids[3]}/figures/curve-3.txt"
    project.script("experiment_explorer", "get", "--version", "e0.1.0", "--artifact", wanted)
    assert (project.path / "build/e0.1.0" / wanted).read_text() == "of 3"
    printed = project.dvc("plots", "diff", "--json", "e0.1.0", "HEAD", "--targets", "results/plots/curves.csv")
    [plot] = json.loads(printed[printed.index("{") :])["data"]["results/plots/curves.csv"]
    drawn = {(point["rev"], point["track_id"]) for point in plot["content"]["data"]["values"]}
    assert {(rev, run) for rev, run in drawn if run in ids.values()} == {("e0.1.0", run) for run in ids.values()}
    assert len([rev for rev, _ in drawn if rev == "HEAD"]) == 1, "the newest session of each version"


@pytest.mark.slow
def test_20_runs_with_10_000_events_each_are_merged_and_none_is_lost(fresh: Project) -> None:
    for number in range(20):
        run = ActiveRun(fresh.path / "work", f"run-{number:02d}", {"x": number})
        for step in range(10_000):
            run.log(step=step, loss=number + step / 10_000)
        facts = Facts(version="e0.1.0", test_hash="t", evaluate_hash="e")
        planned = Run(run.track_id, {}, run.params, {"model_x": "INTEGER"}, facts)
        events = logged_events(run.folder, run.track_id)
        write_run(run_files(fresh.path, run.track_id).database, planned, {"f1_score": 0.5}, events)
        run.end()
    printed = fresh.script("merge_results")
    assert "merge metrics: +20 ~0 =0 !0\nmerge events: +200000 ~0 =0 !0\n" in printed
    database = fresh.path / "results/experiments.db"
    before = md5(database)
    counted = (
        "SELECT track_id, count(*) AS n, count(DISTINCT step) AS steps, sum(loss - step / 10000.0) AS loss FROM events"
    )
    found = rows(database, f"{counted} GROUP BY track_id ORDER BY track_id")
    assert [(row["track_id"], row["n"], row["steps"]) for row in found] == [
        (f"run-{number:02d}", 10_000, 10_000) for number in range(20)
    ]
    assert [round(row["loss"], 6) for row in found] == [10_000 * number for number in range(20)]
    fresh.script("merge_results")
    assert md5(database) == before, "merging twice changes nothing"
