"""What a bake renders is formatted, free of mistakes, typed, and passes its own tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from baked_projects import TEMPLATE, Project


def test_ruff_finds_no_mistake(baked: Project) -> None:
    assert baked.run("ruff", "check", "--no-cache", ".").stdout == "All checks passed!\n"


def test_ruff_would_reformat_nothing(baked: Project) -> None:
    assert "already formatted" in baked.run("ruff", "format", "--no-cache", "--check", ".").stdout


def test_ruff_would_see_a_mistake(bake: object, baked: Project, tmp_path: Path) -> None:
    """The two tests above can fail: the project's configuration is the one in use."""
    bad = tmp_path / "bad.py"
    bad.write_text("import os\nx = {  'a':1 }\n", encoding="utf-8")
    config = str(baked.path / "pyproject.toml")
    assert "F401" in baked.run("ruff", "check", "--no-cache", "--config", config, str(bad), code=1).stdout
    baked.run("ruff", "format", "--no-cache", "--check", "--config", config, str(bad), code=1)


@pytest.mark.slow
def test_the_type_checker_finds_no_mistake(baked: Project, mypy_cache: dict[str, str]) -> None:
    done = baked.run("mypy", **mypy_cache)
    assert done.stdout.startswith("Success: no issues found in ")


def test_all_code_of_the_template_is_typed_and_explained(baked: Project) -> None:
    """The sample's, too, although a project asks it of `scripts/` and `examples/` only."""
    baked.run("ruff", "check", "--no-cache", "--select", "ANN", "--ignore", "ANN401", ".")
    baked.run("ruff", "check", "--no-cache", "--isolated", "--select", "D1", "--ignore", "D105,D107", "experiment.py")


@pytest.mark.slow
def test_code_of_ones_own_needs_no_docstrings_and_no_types(fresh: Project, mypy_cache: dict[str, str]) -> None:
    """What docs/tracking.md writes as `epochs.py` can be committed, where hooks run ruff."""
    page = (fresh.path / "docs/tracking.md").read_text("utf-8")
    code = page.partition("cat > epochs.py <<'END'\n")[2].partition("END\n")[0]
    (fresh.path / "epochs.py").write_text(code, encoding="utf-8")
    with (fresh.path / "experiment.py").open("a", encoding="utf-8") as file:
        file.write("from epochs import fit  # noqa: E402, F401, F811\n")
    fresh.run("ruff", "check", "--no-cache", "epochs.py", "experiment.py")
    fresh.run("ruff", "format", "--no-cache", "--check", "epochs.py")
    assert fresh.run("mypy", "epochs.py", **mypy_cache).stdout.startswith("Success")
    (fresh.path / "scripts/epochs.py").write_text(code, encoding="utf-8")
    assert "D103" in fresh.run("ruff", "check", "--no-cache", "scripts/epochs.py", code=1).stdout


@pytest.mark.slow
def test_an_experiment_may_import_libraries_without_types_or_that_are_not_here(
    fresh: Project, mypy_cache: dict[str, str]
) -> None:
    """`requests` is one of those for whose missing stubs mypy has an error of its own."""
    experiment = fresh.path / "experiment.py"
    text = experiment.read_text(encoding="utf-8")
    libraries = ("lightgbm as lgb", "requests", "scipy.stats", "torch", "torch.nn.functional as F", "xgboost")
    imports = "".join(f"import {name}\n" for name in libraries)
    use = "NET = (torch.nn.Linear, F.relu, lgb.train, scipy.stats.norm, xgboost.XGBClassifier, requests.get)\n"
    experiment.write_text(
        text.replace("import pandas as pd\n", f"import pandas as pd\n{imports}") + use, encoding="utf-8"
    )
    assert fresh.run("mypy", "experiment.py", **mypy_cache).stdout.startswith("Success: no issues found in 1 source")


@pytest.mark.slow
def test_shellcheck_finds_no_mistake(baked: Project) -> None:
    scripts = [name for name in baked.git("ls-files").splitlines() if name.endswith(".sh")]
    workflow = yaml.safe_load((baked.path / ".github/workflows/checks.yml").read_text(encoding="utf-8"))
    steps = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    for place, step in enumerate(steps):
        file = baked.path.parent / f"step_{place}.sh"
        file.write_text("#!/bin/bash -e\n" + step, encoding="utf-8")
        baked.run("shellcheck", str(file))
    for name in scripts:
        baked.run("shellcheck", name)
    assert len(steps) >= 5


@pytest.mark.slow
def test_the_projects_own_tests_and_lint_pass(trained: Project, mypy_cache: dict[str, str]) -> None:
    assert " passed" in trained.run("make", "test").stdout
    assert "Success" in trained.run("make", "lint", **mypy_cache).stdout


@pytest.mark.slow
def test_what_the_workflow_runs_works_in_a_clone_without_data(trained: Project, tmp_path: Path) -> None:
    clone = Project(tmp_path / "clone", trained.environment)
    trained.git("clone", "--quiet", str(trained.path), str(clone.path))
    assert " passed" in clone.run("make", "test").stdout
    assert "Stage 'train' didn't change" in clone.dvc("repro", "--dry", "--allow-missing")
    clone.set_param("model.C", 0.3)
    clone.commit("try")
    assert "| params.yaml | model.C" in clone.dvc("params", "diff", "--md", "HEAD~1")
    clone.dvc("metrics", "diff", "--md", "HEAD~1")


def test_workflows_are_pinned_by_commit_with_least_rights(baked: Project) -> None:
    for path in (TEMPLATE / ".github/workflows/tests.yml", baked.path / ".github/workflows/checks.yml"):
        workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
        uses = [step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]
        assert uses and all(len(use.partition("@")[2]) == 40 for use in uses)
        assert workflow["permissions"] == {"contents": "read"}
    assert workflow["jobs"]["metrics"]["permissions"] == {"contents": "write", "pull-requests": "write"}


@pytest.mark.parametrize(
    "command",
    [
        "train",
        "merge_artifacts",
        "merge_data",
        "merge_results",
        "promote_model",
        "model_manager",
        "experiment_explorer",
        "setup_project",
        "version_tag",
        "worktree",
        "doctor",
    ],
)
def test_every_command_explains_itself_without_loading_slow_packages(baked: Project, command: str) -> None:
    """Start-up is measured in benchmarks; what makes it slow is asserted here."""
    code = (
        "import json, runpy, sys\n"
        f"sys.argv = ['{command}.py', '--help']\nsys.path.insert(0, 'scripts')\n"
        "try:\n    runpy.run_path(sys.argv[0] and f'scripts/{sys.argv[0]}', run_name='__main__')\n"
        "except SystemExit as error:\n    assert not error.code\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    *usage, loaded = baked.run("python", "-c", code).stdout.splitlines()
    assert usage[0].lower().startswith("usage:") or usage[1].lower().startswith("usage:")
    assert not {"dvc", "pandas", "sklearn", "duckdb", "xetrack", "numpy", "pyarrow"} & set(json.loads(loaded))


def test_make_help_lists_every_target(baked: Project) -> None:
    targets = [line.split()[1] for line in baked.run("make").stdout.splitlines()]
    assert targets == [
        "help", "setup", "repro", "status", "push", "pull", "leaderboard", "report", "plots", "doctor", "test", "lint",
        "example", "update", "lock",
    ]  # fmt: skip


def test_make_says_what_is_missing_without_an_environment(baked: Project) -> None:
    done = baked.run("make", "repro", code=2, PATH="/usr/bin:/bin")
    assert done.stdout == "error: dvc and xetrack are not installed here\n  → make setup\n"
