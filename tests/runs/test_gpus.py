"""GPUs are shared out by `CUDA_VISIBLE_DEVICES`: what each run sees. No GPU is needed for that."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from baked_projects import Project, copy_project
from toy_runs import toy

from lineage.core.errors import BadInput
from lineage.extras.gpus.devices import DEVICES, find_devices

BODY = """
Path(f"device-{x}").write_text(run.device)
Path(f"saw-{x}").write_text(f"{SEEN_AT_IMPORT} {os.environ.get('CUDA_VISIBLE_DEVICES')}")
with Path("log").open("a") as file:
    file.write(f"+{SEEN_AT_IMPORT}\\n")
time.sleep(0.4)
with Path("log").open("a") as file:
    file.write(f"-{SEEN_AT_IMPORT}\\n")
if x == 5 and not Path("died").exists():
    Path("died").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def project(light_original: Project, tmp_path: Path) -> Project:
    project = toy(copy_project(light_original, tmp_path), BODY)
    code = project.path / "experiment.py"
    seen = "\nSEEN_AT_IMPORT = os.environ.get('CUDA_VISIBLE_DEVICES')\n"
    text = code.read_text().replace("def fit(train, params):", "def fit(train, params, run):")
    code.write_text(text + seen, encoding="utf-8")
    return project


def sweep(project: Project, runs: int, gpus: int | str, visible: str | None, per_gpu: int = 1) -> list[str]:
    """Run a sweep with eight jobs; return the device that each run saw, at import and in `fit()`."""
    for path in [*project.path.glob("saw-*"), *project.path.glob("device-*"), *project.path.glob("log")]:
        path.unlink()
    shutil.rmtree(project.path / "results/runs")  # what DVC has not cached would count as done
    project.set_param("sweep.grid", {"model.x": list(range(runs))})
    project.set_param("sweep.jobs", 8)
    project.set_param("sweep.gpus", gpus)
    project.set_param("sweep.runs_per_gpu", per_gpu)
    environment = {} if visible is None else {DEVICES: visible}
    project.run("python", "scripts/train.py", **environment)
    saw = [path.read_text().split() for path in sorted(project.path.glob("saw-*"))]
    assert all(at_import == in_fit for at_import, in_fit in saw) and len(saw) == runs
    return [device for device, _ in saw]


def devices(project: Project) -> set[str]:
    """What `run.device` said in the runs of the sweep."""
    return {path.read_text() for path in project.path.glob("device-*")}


def most_at_once(project: Project) -> Counter[str]:
    """How many runs used each device at the same time."""
    running: Counter[str] = Counter()
    most: Counter[str] = Counter()
    for line in (project.path / "log").read_text().splitlines():
        sign, device = line[0], line[1:]
        running[device] += 1 if sign == "+" else -1
        most[device] = max(most[device], running[device])
    return most


def test_each_run_sees_a_device_of_its_own_and_a_worker_that_died_gives_its_own_back(project: Project) -> None:
    saw = sweep(project, 7, "auto", "2,5")
    assert set(saw) == {"2", "5"} and (project.path / "died").exists()
    assert most_at_once(project) == {"2": 1, "5": 1} and devices(project) == {"cuda"}

    saw = sweep(project, 6, 2, "GPU-8932f937, 1,3", per_gpu=2)
    assert set(saw) == {"GPU-8932f937", "1"}, "the first two"
    most = most_at_once(project)
    assert max(most.values()) <= 2 and sum(most.values()) > 2


def test_a_single_run_sees_all_that_it_is_given_and_without_gpus_nothing_is_changed(project: Project) -> None:
    assert sweep(project, 1, 2, "2,5,7") == ["2,5"]
    assert sweep(project, 1, 3, None) == ["0,1,2"]
    assert sweep(project, 2, 0, "2,5") == ["2,5", "2,5"]
    assert devices(project) == {"cuda"}, "CUDA_VISIBLE_DEVICES names some"
    assert sweep(project, 1, 0, None) == ["None"] and devices(project) == {"cpu"}
    project.set_param("sweep.gpus", 1)
    (project.path / "log").unlink()
    project.set_param("model.x", 3)
    project.set_param("sweep.grid", {})
    project.run("python", "scripts/train.py", "--debug", **{DEVICES: "4,6"})
    assert (project.path / "saw-3").read_text() == "4 4", "in the process of --debug, too"


def test_more_gpus_than_are_visible_are_refused_with_a_command_that_helps(project: Project) -> None:
    project.set_param("sweep.gpus", 3)
    output = project.script("train", code=2, **{DEVICES: "2,5"})
    message = "params.yaml: sweep.gpus: 3 is more than CUDA_VISIBLE_DEVICES names: '2,5'"
    [remedy] = [line.removeprefix("  → ") for line in output.splitlines() if line.startswith("  → ")]
    assert output.startswith(f"error: {message}\n") and not (project.path / "log").exists()
    typed = f"{remedy}\npython scripts/train.py"
    project.run("bash", "-euc", typed, **{DEVICES: "2,5"})
    assert (project.path / "saw-0").read_text() == "0,1,2 0,1,2"
    for wrong in (-1, 1.5, "all", "2", True):
        project.set_param("sweep.gpus", wrong)
        allowed = "allowed: 0, a positive whole number, or auto"
        assert (
            project.script("train", code=2) == f"error: params.yaml: sweep.gpus: {wrong!r} is not allowed; {allowed}\n"
        )


@pytest.mark.parametrize(
    ("visible", "gpus", "found"),
    [
        ("0,1", "auto", ["0", "1"]),
        ("2, 5", "auto", ["2", "5"]),
        ("3,1", 1, ["3"]),
        ("GPU-1a2b,MIG-GPU-3c/7/0", "auto", ["GPU-1a2b", "MIG-GPU-3c/7/0"]),
        ("1,-1,2", "auto", ["1"]),
        ("", "auto", []),
        ("NoDevFiles", "auto", []),
        ("", 0, []),
    ],
)
def test_devices_are_those_that_the_variable_names(
    monkeypatch: pytest.MonkeyPatch, visible: str, gpus: int | str, found: list[str]
) -> None:
    monkeypatch.setenv(DEVICES, visible)
    assert find_devices(gpus) == found
    with pytest.raises(BadInput, match="is more than"):
        find_devices(len(found) + 3)


def test_without_the_variable_the_machine_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(DEVICES, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    tool = tmp_path / "nvidia-smi"
    listed = [
        "GPU 0: NVIDIA A100 (UUID: GPU-1)",
        "  MIG 1g.5gb Device 0: (UUID: MIG-2)",
        "GPU 1: NVIDIA A100 (UUID: GPU-3)",
    ]
    tool.write_text("#!/bin/sh\ntest \"$1\" = -L && cat <<'END'\n" + "\n".join(listed) + "\nEND\n")
    tool.chmod(0o755)
    assert find_devices("auto") == ["0", "1"] and find_devices(4) == ["0", "1", "2", "3"]
    tool.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed: no driver'\nexit 9\n")
    assert find_devices("auto") == []
    tool.unlink()
    assert find_devices("auto") == [] and find_devices(0) == []
