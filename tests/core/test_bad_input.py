"""What people get wrong in params.yaml, batches and experiment.py: one clear line, and nothing changed."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from baked_projects import Project

pytestmark = pytest.mark.slow
STATE = (
    "dvc.lock",
    "data/train.parquet",
    "results/experiments.db",
    "models/production/model.bin",
    "results/metrics.json",
)


def state(project: Project) -> dict[str, str]:
    return {name: hashlib.md5((project.path / name).read_bytes()).hexdigest() for name in STATE}


def incoming(project: Project, name: str) -> Path:
    return project.path / "data/incoming" / name


def batch(project: Project) -> pd.DataFrame:
    return pd.read_parquet(project.path / "examples/batches/batch_002.parquet")


@pytest.fixture
def trained(light_trained: Project) -> Project:
    return light_trained


@pytest.fixture(scope="module")
def unchanging(light_original: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One trained project for many refusals, since a refusal must change nothing."""
    from baked_projects import copy_project

    return copy_project(light_original, tmp_path_factory.mktemp("refusals"))


PARAMS = {
    "wrong strategy": (
        ("promote.strategy", "rebse"),
        "params.yaml: promote.strategy: 'rebse' is not allowed; allowed: 'merge' or 'rebase'",
    ),
    "unknown key": (
        ("promote.metrics", "accuracy"),
        "params.yaml: promote.metrics is not a known key (did you mean metric?); allowed here: strategy, metric, mode,"
        " min_improvement, confidence, pinned, keep",
    ),
    "unknown section": (
        ("training", {"epochs": 3}),
        "params.yaml: training is not a known key; allowed here: experiment, model, sweep, validation, merge, promote",
    ),
    "text for a number": (
        ("promote.keep", "five"),
        "params.yaml: promote.keep: 'five' is not allowed: input should be a valid integer",
    ),
    "keep nothing": (
        ("promote.keep", 0),
        "params.yaml: promote.keep: 0 is not allowed: input should be greater than or equal to 1",
    ),
    "version without e": (
        ("experiment.version", "1.0"),
        "params.yaml: experiment.version: '1.0' is not a version; allowed: e{major}.{minor}.{patch}, as in e0.1.0",
    ),
    "sweep over nothing": (
        ("sweep.grid", {"model.C": []}),
        "params.yaml: sweep.grid.model.C: the list is empty; give at least one value",
    ),
    "sweep over an unknown param": (
        ("sweep.grid", {"model.gamma": [1]}),
        "params.yaml: sweep.grid: 'model.gamma' is not a param; allowed: model.name, model.C, model.max_iter",
    ),
    "sweep with no jobs": (
        ("sweep.jobs", 0),
        "params.yaml: sweep.jobs: 0 is not allowed; allowed: -1 (all cores) or a positive whole number",
    ),
    "no tables": (
        ("merge.tables", []),
        "params.yaml: merge.tables: [] is not allowed: list should have at least 1 item after validation, not 0",
    ),
}


@pytest.mark.parametrize(("change", "message"), PARAMS.values(), ids=PARAMS.keys())
@pytest.mark.parametrize("command", [("train",), ("merge_data",), ("merge_results",), ("promote_model",)])
def test_wrong_params(unchanging: Project, change: tuple[str, object], message: str, command: tuple[str, ...]) -> None:
    before, params = state(unchanging), (unchanging.path / "params.yaml").read_text(encoding="utf-8")
    unchanging.set_param(*change)
    try:
        assert unchanging.script(*command, code=2) == f"error: {message}\n"
    finally:
        (unchanging.path / "params.yaml").write_text(params, encoding="utf-8")
    assert state(unchanging) == before


def test_params_that_are_not_yaml(unchanging: Project) -> None:
    path = unchanging.path / "params.yaml"
    params = path.read_text(encoding="utf-8")
    path.write_text("merge: [unclosed", encoding="utf-8")
    output = unchanging.script("train", code=2)
    path.write_text(params, encoding="utf-8")
    assert (
        output.startswith("error: params.yaml is not valid YAML: while parsing a flow sequence")
        and output.count("\n") == 1
    )


def test_several_wrong_params_are_all_named(unchanging: Project) -> None:
    path = unchanging.path / "params.yaml"
    params = path.read_text(encoding="utf-8")
    path.write_text(params.replace("mode: max", "mode: best").replace("keep: 5", "kep: 5"), encoding="utf-8")
    lines = unchanging.script("train", code=2).splitlines()
    path.write_text(params, encoding="utf-8")
    assert len(lines) == 3
    assert "promote.mode: 'best' is not allowed" in lines[0]
    assert "promote.keep is missing" in lines[1]
    assert "promote.kep is not a known key (did you mean keep?)" in lines[2]


def test_outside_a_project(unchanging: Project, tmp_path: Path) -> None:
    done = unchanging.run("python", str(unchanging.path / "scripts/train.py"), cwd=tmp_path, code=2)
    assert done.stderr == (
        f"error: {tmp_path} is not inside a project (no params.yaml beside a dvc.yaml here or above)\n  → cd {unchanging.path}\n"
    )


def test_commands_work_from_a_subfolder(trained: Project) -> None:
    done = trained.run(
        "python", "../scripts/experiment_explorer.py", "list", "--format", "csv", cwd=trained.path / "docs"
    )
    assert len(done.stdout.splitlines()) == 2


def not_parquet(project: Project) -> None:
    incoming(project, "b.parquet").write_text("id,label\n1,2\n", encoding="utf-8")


def zero_bytes(project: Project) -> None:
    incoming(project, "b.parquet").touch()


def truncated(project: Project) -> None:
    content = (project.path / "examples/batches/batch_002.parquet").read_bytes()
    incoming(project, "b.parquet").write_bytes(content[: len(content) // 2])


def no_key(project: Project) -> None:
    batch(project).drop(columns="id").to_parquet(incoming(project, "b.parquet"))


def text_in_a_number(project: Project) -> None:
    batch(project).astype({"pixel_10": str}).to_parquet(incoming(project, "b.parquet"))


def other_values(project: Project) -> None:
    frame = pd.read_parquet(project.path / "data/train.parquet")[:3]
    frame.assign(label=frame["label"] + 1).to_parquet(incoming(project, "b.parquet"))


def repeated_key(project: Project) -> None:
    frame = batch(project)[:2]
    pd.concat([frame, frame.assign(label=frame["label"] + 1)]).to_parquet(incoming(project, "b.parquet"))


BATCHES: dict[str, tuple[Callable[[Project], None], str]] = {
    "not parquet": (not_parquet, "/data/incoming/b.parquet is not a readable parquet file:"),
    "zero bytes": (zero_bytes, "/data/incoming/b.parquet is not a readable parquet file:"),
    "truncated": (truncated, "/data/incoming/b.parquet is not a readable parquet file:"),
    "missing column": (no_key, "/data/incoming/b.parquet has no column 'id'; it has: label, pixel_00,"),
    "text against numbers": (
        text_in_a_number,
        "/data/incoming/b.parquet: column 'pixel_10' is VARCHAR, but UTINYINT in ",
    ),
    "conflicting rows": (
        other_values,
        "data/train.parquet: 3 incoming rows have the identity of another row and different contents (earlier | later):",
    ),
    "conflict within a batch": (
        repeated_key,
        "data/train.parquet: 2 incoming rows have the identity of another row and different contents (earlier | later):",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), BATCHES.values(), ids=BATCHES.keys())
def test_a_batch_that_does_not_fit_fails_the_stage(
    unchanging: Project, spoil: Callable[[Project], None], message: str
) -> None:
    before = state(unchanging)
    spoil(unchanging)
    output = unchanging.repro(code=255)
    incoming(unchanging, "b.parquet").unlink()
    assert message in output and output.count("error: ") == 1 and "Traceback" not in output
    assert state(unchanging) == before


def test_a_conflict_shows_both_values(unchanging: Project) -> None:
    frame = pd.read_parquet(unchanging.path / "data/train.parquet").sort_values("id")[:1]
    key, label = int(frame["id"].iloc[0]), int(frame["label"].iloc[0])
    frame.assign(label=label + 1).to_parquet(incoming(unchanging, "b.parquet"))
    output = unchanging.script("merge_data", code=1)
    incoming(unchanging, "b.parquet").unlink()
    assert f"  id={key} — label: {label} | {label + 1}\n" in output


def test_an_empty_folder_of_batches(trained: Project) -> None:
    shutil.rmtree(trained.path / "data/incoming")
    (trained.path / "data/incoming").mkdir()
    before = state(trained)
    output = trained.script("merge_data")
    assert output == "merge data/train.parquet: +0 ~0 =0 !0; 0 new files, 0 already merged; 537 rows now\n"
    assert state(trained) == before
    (trained.path / "dvc.lock").unlink()
    (trained.path / "data/train.parquet").unlink()
    output = trained.script("merge_data", code=2)
    assert output == (
        "error: data/incoming/ holds no .parquet file, and there is no data/train.parquet yet\n"
        "  → drop a batch into data/incoming/\n"
    )
    trained.drop_batch(2)
    assert "; 1 new file, 0 already merged; 450 rows now" in trained.script("merge_data")


EXPERIMENTS = {
    "syntax error": ("def fit(:\n", 2, "experiment.py cannot be imported: SyntaxError: invalid syntax"),
    "missing package": (
        "import torchly\n",
        1,
        "experiment.py cannot be imported: ModuleNotFoundError: No module named 'torchly'",
    ),
    "missing function": ("def load_data(path):\n    pass\n", 1, "experiment.py has no function fit()"),
}


@pytest.mark.parametrize(("text", "code", "message"), EXPERIMENTS.values(), ids=EXPERIMENTS.keys())
def test_an_experiment_file_that_does_not_work(unchanging: Project, text: str, code: int, message: str) -> None:
    before = state(unchanging)
    path = unchanging.path / "experiment.py"
    original = path.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    output = unchanging.script("train", code=code)
    path.write_text(original, encoding="utf-8")
    assert message in output and "Traceback" not in output
    assert state(unchanging) == before


BODIES = {
    "exception": ("raise RuntimeError('no memory')", "RuntimeError: no memory"),
    "text as a metric": ("metrics['note'] = 'good'", "metric 'note' is 'good', not a number"),
    "keyword as a metric": ("metrics['order'] = 1.0", "'order' cannot be a column of metrics"),
    "dot in a metric": ("metrics['val.acc'] = 1.0", "'val.acc' cannot be a column of metrics"),
    "name of a param": ("metrics['model_size'] = 1.0", "metric 'model_size' would look like a param"),
    "same name twice": ("metrics['F1_Score'] = 1.0", "'f1_score' and 'F1_Score' would be one column of metrics"),
}


@pytest.mark.parametrize(("body", "message"), BODIES.values(), ids=BODIES.keys())
def test_an_evaluation_that_does_not_work_fails_the_run(unchanging: Project, body: str, message: str) -> None:
    before = state(unchanging)
    path = unchanging.path / "experiment.py"
    original = path.read_text(encoding="utf-8")
    path.write_text(
        original.replace("    return metrics, predictions\n", f"    {body}\n    return metrics, predictions\n"),
        encoding="utf-8",
    )
    output = unchanging.script("train", code=1)
    path.write_text(original, encoding="utf-8")
    assert message in output and "error: 1 of 1 runs failed:" in output and "Traceback" not in output
    assert state(unchanging) == before


def test_numpy_values_paths_and_nan_are_recorded_as_plain_values(trained: Project) -> None:
    path = trained.path / "experiment.py"
    body = "    metrics['gain'] = np.float32(0.5)\n    metrics['broken'] = float('nan')\n"
    text = path.read_text(encoding="utf-8").replace(
        "    return metrics, predictions\n", body + "    return metrics, predictions\n"
    )
    path.write_text(text, encoding="utf-8")
    trained.repro()
    listed = trained.run(
        "python", "scripts/experiment_explorer.py", "list", "--format", "csv", "--sort", "gain"
    ).stdout.splitlines()
    names, values = listed[0].split(","), listed[1].split(",")
    assert values[names.index("gain")] == "0.5" and values[names.index("broken")] == ""


def test_a_metric_that_no_run_has(trained: Project) -> None:
    trained.set_param("promote.metric", "auc")
    output = trained.repro(code=255)
    assert "error: metric 'auc' is not in experiments.db; it has: f1_score, accuracy, log_loss" in output
    assert trained.git("status", "--porcelain") == " M params.yaml", (
        "DVC removes no metrics before a stage that refuses"
    )
    assert "0.92291" in trained.dvc("metrics", "show")


LIMITED = """
import resource, runpy, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
sys.path.insert(0, "scripts")
sys.argv = [f"{sys.argv[1]}.py"]
runpy.run_path(f"scripts/{sys.argv[0]}", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("stage", "limit", "name"),
    [("merge_data", "20000", "data/train.parquet"), ("merge_results", "4000", "the merged database")],
)
def test_disk_full_leaves_the_old_file(trained: Project, stage: str, limit: str, name: str) -> None:
    trained.drop_batch(2)
    if stage == "merge_results":
        trained.set_param("model.C", 0.5)
        trained.repro("train")
    before = state(trained)
    done = trained.run("python", "-c", LIMITED, stage, limit, code=1)
    assert done.stderr.startswith(f"error: {name} cannot be written, and ") and "df -h" in done.stderr
    assert "{" not in done.stderr and "Traceback" not in done.stderr and len(done.stderr.splitlines()) == 2
    assert state(trained) == before
    assert not [path for path in trained.path.rglob(".*tmp*") if ".dvc" not in path.parts]
    assert "+" in trained.script(stage)


def test_a_lock_that_is_held_names_its_holder(trained: Project) -> None:
    from lineage.tracked import guarded_output as accumulate

    with accumulate.locked(trained.path, "results/experiments.db"):
        code = (
            "import sys; sys.path.insert(0, 'scripts')\nfrom pathlib import Path\nfrom lineage.tracked import guarded_output as accumulate\n"
            "from lineage.core.errors import Refused\naccumulate.LOCK_SECONDS = 0.2\n"
            "try:\n    with accumulate.locked(Path('.').resolve(), 'results/experiments.db'): pass\n"
            "except Refused as error: print(error)"
        )
        done = trained.run("python", "-c", code)
    assert trained.run("python", "-c", code).stdout == "", "the other process has ended"
    assert done.stdout.endswith("\n  → wait for it, or end that process; then try again\n")
    assert f"waiting for process {os.getpid()} on " in done.stderr
    assert f"results/experiments.db is still being written by process {os.getpid()} on " in done.stdout
