"""Projects without extras: not installed, or deleted. Everything else works, and one command brings them back."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from baked_projects import Project, copy_project, stages_run
from toy_runs import databases

EXTRAS = {
    "search": ("sweep.search", "sweep.search.trials", 3, 0),
    "cluster": ("sweep.backend", "sweep.backend", "dask", "loky"),
    "gpus": ("sweep.gpus", "sweep.gpus", "auto", 0),
    "validation": ("validation", "validation.fraction", 0.2, 0.0),
}
"""How the message names what asks for it, and the key with a value that does, and one that does not."""

REMEDY = "make setup EXTRAS={}"

BY_HAND = {
    "scripts/merge_data.py --verbose": ("verbose", "--verbose"),
    "scripts/merge_artifacts.py --help": ("merge_artifacts", "merge_artifacts.py"),
    "scripts/doctor.py": ("doctor", "doctor.py"),
    "scripts/experiment_explorer.py show --version e0.1.0": ("show", "experiment_explorer.py show"),
    "scripts/experiment_explorer.py list": ("show", "experiment_explorer.py list"),
    "scripts/experiment_explorer.py list --help": ("show", "experiment_explorer.py list"),
    "scripts/experiment_explorer.py diff --v1 e0.1.0 --v2 e0.1.0": ("compare", "experiment_explorer.py diff"),
    "scripts/experiment_explorer.py evaluate": ("show", "experiment_explorer.py evaluate"),
    "scripts/experiment_explorer.py conflicts": ("git_merge", "experiment_explorer.py conflicts"),
    "scripts/experiment_explorer.py get --version e0.1.0 --artifact data/train.parquet": (
        "retrieve",
        "experiment_explorer.py get",
    ),
    "scripts/experiment_explorer.py checkout --version e0.1.0": ("retrieve", "experiment_explorer.py checkout"),
    "scripts/experiment_explorer.py worktrees": ("retrieve", "experiment_explorer.py worktrees"),
    "scripts/experiment_explorer.py cleanup": ("retrieve", "experiment_explorer.py cleanup"),
    "scripts/experiment_explorer.py verify --all": ("verify", "experiment_explorer.py verify"),
    "scripts/experiment_explorer.py report": ("report", "experiment_explorer.py report"),
    "scripts/experiment_explorer.py plot": ("report", "experiment_explorer.py plot"),
    "scripts/model_manager.py promote": ("model_manager", "model_manager.py promote"),
    "scripts/model_manager.py add-candidate --model-path m --run-id r": (
        "model_manager",
        "model_manager.py add-candidate",
    ),
    "scripts/model_manager.py prune --keep 1": ("model_manager", "model_manager.py prune"),
    "scripts/model_manager.py list": ("show", "model_manager.py list"),
    "scripts/model_manager.py info": ("show", "model_manager.py info"),
    "scripts/model_manager.py download --output m": ("show", "model_manager.py download"),
    "scripts/version_tag.py --list": ("show", "version_tag.py --list"),
    "scripts/version_tag.py --show e0.1.0": ("show", "version_tag.py --show"),
    "scripts/version_tag.py --suggest": ("compare", "version_tag.py --suggest"),
    "scripts/version_tag.py --start": ("compare", "version_tag.py --start without patch, minor or major"),
    "scripts/version_tag.py --renumber": ("renumber", "version_tag.py --renumber"),
    "scripts/setup_worktree.sh x": ("worktrees", "worktree.py"),
    "scripts/finish_worktree.sh x": ("worktrees", "worktree.py"),
}
"""Commands that are an extra's: the extra, and how the message names the command."""

SHOWN_BY_SHOW = (
    "experiment_explorer.py diff --v1 e0.1.0 --v2 e0.1.0",
    "experiment_explorer.py conflicts",
    "experiment_explorer.py worktrees",
    "experiment_explorer.py verify --all",
    "experiment_explorer.py report",
    "experiment_explorer.py plot",
    "model_manager.py promote",
    "model_manager.py add-candidate --model-path m --run-id r",
    "model_manager.py prune --keep 1",
)
"""Commands of other extras that print rows, or find runs, as the extra `show` does."""

NO_PACKAGES = (
    "access",
    "arrow_types",
    "cast_text",
    "collect",
    "compare",
    "confidence",
    "copies",
    "doctor",
    "formats",
    "git_merge",
    "gpus",
    "merge_artifacts",
    "model_manager",
    "predictions_table",
    "renumber",
    "retrieve",
    "s3",
    "show",
    "sqlite_features",
    "tracking",
    "unread_params",
    "validation",
    "verbose",
    "verify",
    "worktrees",
)


@pytest.fixture
def project(light_original: Project, tmp_path: Path) -> Project:
    return copy_project(light_original, tmp_path)


def refused(project: Project, extra: str, missing: str, **environment: str) -> None:
    """Asking for an extra ends with one line, and changes nothing."""
    named, key, wanted, off = EXTRAS[extra]
    before = [path.name for path in databases(project)]
    project.set_param(key, wanted)
    output = project.script("train", code=2, **environment)
    problem = f"{named} in params.yaml asks for an extra that is not here: No module named '{missing}'"
    assert output == f"error: {problem}\n  → {REMEDY.format(extra)}\n"
    assert [path.name for path in databases(project)] == before
    project.set_param(key, off)


def report_refused(project: Project, missing: str, **environment: str) -> None:
    """So do the commands of the report; its packages are named."""
    for command in ("report", "plot"):
        output = project.script("experiment_explorer", command, code=2, **environment)
        problem = f"experiment_explorer.py {command} asks for an extra that is not here: No module named '{missing}'"
        assert output == f"error: {problem}\n  → {REMEDY.format('report')}\n"


def set_up(project: Project, extra: str) -> None:
    """Type the remedy; VENV leads it to the environment that runs these tests, so nothing is installed."""
    project.run(*REMEDY.format(extra).split(), f"VENV={sys.prefix}")


def searches(project: Project) -> bool:
    project.set_param("sweep.grid", {})
    project.set_param("sweep.search.trials", 2)
    return "[2/2]" in project.script("train")


def test_without_the_folders_everything_else_works_and_they_come_back(
    trained: Project, mypy_cache: dict[str, str]
) -> None:
    for extra in EXTRAS:
        shutil.rmtree(trained.path / "scripts/lineage/extras" / extra)
    shutil.rmtree(trained.path / "scripts/lineage/extras/report")
    for extra in EXTRAS:
        refused(trained, extra, f"lineage.extras.{extra}")
    report_refused(trained, "lineage.extras.report")
    assert "wrote report.html" in trained.run("make", "report", f"VENV={sys.prefix}").stdout, "it comes back by itself"
    set_up(trained, "search")
    assert searches(trained), "deleted and not committed"
    trained.git("checkout", "params.yaml")

    shutil.rmtree(trained.path / "scripts/lineage/extras")
    trained.set_param("sweep.grid", {"model.C": [0.5, 2.0]})
    trained.commit("no extras here")
    trained.drop_batch(2)
    said = trained.repro(code=255)
    assert stages_run(said) == ["merge_data", "train", "merge_results", "promote_model"]
    problem = "promote.confidence in params.yaml asks for an extra that is not here: No module named 'lineage.extras'"
    assert f"error: {problem}\n  → {REMEDY.format('confidence')}\n" in said
    trained.set_param("promote.confidence", None)
    assert stages_run(trained.repro()) == ["promote_model"], "nothing was lost"
    trained.commit("two more runs")
    assert "28 objects of e0.1.0 are in the remote" in trained.script(
        "version_tag", "--version", "e0.1.0", "--push", code=1
    )
    trained.run("make", "setup", f"VENV={sys.prefix}")
    trained.run("make", "test", f"VENV={sys.prefix}")
    every_command_is_explained(trained)
    trained.script("version_tag", "--start", "patch")
    assert "\n+  version: e0.1.1" in trained.git("diff", "-U0", "params.yaml")
    trained.git("checkout", "params.yaml")
    tag = trained.git("rev-parse", "refs/tags/e0.1.0")
    trained.git("tag", "--delete", "e0.1.0")
    trained.run("mypy", **mypy_cache)
    refused(trained, "search", "lineage.extras")
    set_up(trained, "search")
    assert searches(trained), "deleted by a commit"
    set_up(trained, "cluster")
    assert (trained.path / "scripts/lineage/extras/cluster/sweep.py").exists()
    for extra in ("verify", "retrieve", "show"):  # it asks for one after another
        assert trained.script("experiment_explorer", "verify", "--all", code=2).endswith(f"EXTRAS={extra}\n")
        set_up(trained, extra)
    trained.git("update-ref", "refs/tags/e0.1.0", tag)
    assert "e0.1.0" in trained.script("experiment_explorer", "verify", "--all")


def every_command_is_explained(project: Project) -> None:
    """A command of an extra that is not here ends with one line, and changes nothing."""
    before = project.git("status", "--porcelain")
    for words, (extra, command) in BY_HAND.items():
        interpreter = () if ".sh" in words else ("python",)
        done = project.run(*interpreter, *words.split(), code=2)
        problem = f"{command} asks for an extra that is not here: No module named 'lineage.extras'"
        assert done.stdout + done.stderr == f"error: {problem}\n  → {REMEDY.format(extra)}\n", words
    listed = project.script("experiment_explorer", "--help")
    assert "\n  list       make setup EXTRAS=show\n" in listed and "\n  verify     make setup EXTRAS=verify" in listed
    assert "Did you mean 'verify'?" in project.script("experiment_explorer", "verfy", code=2)
    asked = project.path / "asked.py"
    asked.write_text("import lineage\nprint(dir(lineage))\nlineage.runs()\n")
    done = project.run("python", "asked.py", PYTHONPATH="scripts", code=1)
    assert done.stdout == "['data', 'events', 'load_model', 'predictions', 'runs', 'sql']\n"
    assert "lineage.runs asks for an extra that is not here" in done.stderr
    assert done.stderr.endswith("  → make setup EXTRAS=access\n")
    asked.unlink()
    assert project.git("status", "--porcelain") == before


def test_each_extra_can_be_deleted_alone_and_the_others_work(project: Project) -> None:
    """But for collecting an experiment, which merges as Git's merge driver does."""
    project.run("make", "setup", f"VENV={sys.prefix}")
    project.drop_batch(2)
    project.run("git", "checkout", "--quiet", "-b", "side")
    project.repro()
    project.commit("more data")
    project.git("checkout", "--quiet", "main")
    project.dvc("checkout")
    project.set_param("model.C", 0.7)
    project.repro()
    project.commit("another run")
    project.script("version_tag", "--version", "e0.1.0")
    shutil.rmtree(project.path / "scripts/lineage/extras/git_merge")
    project.commit("git merges lines only")
    merged = project.run("git", "merge", "side", code=1)
    assert "warning: git merge asks for an extra that is not here" in merged.stderr
    assert "  → make setup EXTRAS=git_merge\n" in merged.stderr
    assert "dvc.lock" in project.git("diff", "--name-only", "--diff-filter=U")
    assert "\n<<<<<<< " in (project.path / "dvc.lock").read_text(encoding="utf-8")
    project.git("merge", "--abort")
    said = project.run("bash", "-c", "python scripts/doctor.py || true").stdout
    assert "– merge   git merge merges lines only\n    → make setup EXTRAS=git_merge\n" in said
    project.run("scripts/setup_worktree.sh", "x")
    refused = project.run("scripts/finish_worktree.sh", "x", "--collect", code=2)
    problem = (
        "finish_worktree.sh --collect asks for an extra that is not here: No module named 'lineage.extras.git_merge'"
    )
    assert f"error: {problem}\n  → make setup EXTRAS=git_merge\n" in refused.stdout + refused.stderr
    project.dvc("push")
    set_up(project, "git_merge")
    with without(project, "collect"):
        refused = project.run("scripts/finish_worktree.sh", "x", "--collect", code=2)
        assert refused.stderr == f"error: finish_worktree.sh --collect asks for {asked_for('collect')}"
        assert "removed" in project.run("scripts/finish_worktree.sh", "x").stdout
    with without(project, "show"):  # Git merges rows, whatever shows them
        assert "dvc.lock merged" in project.run("git", "merge", "--no-edit", "side").stderr
    project.dvc("checkout")
    works = {
        "merge_artifacts": ("merge_artifacts", "compact", "--help"),
        "show": ("version_tag", "--list"),
        "retrieve": ("experiment_explorer", "get", "--version", "e0.1.0", "--artifact", "params.yaml"),
        "verify": ("experiment_explorer", "verify", "--version", "e0.1.0"),
    }
    needs = {("verify", "show"), ("verify", "retrieve")}
    for extra in works:
        with without(project, extra):
            for other, words in works.items():
                if other == extra or (other, extra) in needs:
                    assert project.script(*words, code=2).endswith(asked_for(extra))
                else:
                    project.script(*words)
        shutil.rmtree(project.path / "build", ignore_errors=True)
    what_needs_another_names_it(project)
    for extra in NO_PACKAGES:
        shutil.rmtree(project.path / "scripts/lineage/extras" / extra, ignore_errors=True)
    project.run("make", "setup", f"EXTRAS={' '.join(NO_PACKAGES)}", f"VENV={sys.prefix}")
    expected = "?? scripts/lineage/extras/git_merge/", "as they were last, also the one that a commit deleted"
    assert project.git("status", "--porcelain", "--", "scripts") == expected[0], expected[1]


@contextmanager
def without(project: Project, extra: str) -> Iterator[None]:
    """Let the folder of an extra be somewhere else for a while."""
    here = project.path / "scripts/lineage/extras" / extra
    aside = project.path.parent / "aside"
    here.rename(aside)
    yield
    aside.rename(here)


def asked_for(extra: str) -> str:
    """How a message ends that asks for an extra alone."""
    return f"an extra that is not here: No module named 'lineage.extras.{extra}'\n  → make setup EXTRAS={extra}\n"


def what_needs_another_names_it(project: Project) -> None:
    with without(project, "show"):
        for words in SHOWN_BY_SHOW:
            command = " ".join(words.split()[:2])
            said = project.script(*words.replace(".py", "").split(), code=2)
            assert said == f"error: {command} asks for {asked_for('show')}"
        assert "e0.2.0   minor since e0.1.0" in project.script("version_tag", "--suggest")
    with without(project, "compare"):
        said = project.script("version_tag", "--renumber", code=2)
        unnamed = "version_tag.py --renumber without patch, minor or major"
        assert said == f"error: {unnamed} asks for {asked_for('compare')}"
    for needed in ("show", "predictions_table"):
        with without(project, needed):
            done = project.run("python", "-c", "import lineage; lineage.runs()", PYTHONPATH="scripts", code=1)
            assert done.stderr.endswith(f"lineage.runs asks for {asked_for(needed)}")
    with without(project, "retrieve"):
        for command in ("setup_worktree.sh", "finish_worktree.sh"):
            refused = project.run(f"scripts/{command}", "x", code=2)
            assert refused.stderr == f"error: worktree.py {command} asks for {asked_for('retrieve')}"
    verify = ("python", "scripts/experiment_explorer.py", "verify", "--version", "e0.1.0")
    with_doctor = project.run(*verify)
    with without(project, "doctor"):
        done = project.run(*verify)
        assert done.stdout == with_doctor.stdout
        assert done.stderr == f"warning: what verify says of history and candidates asks for {asked_for('doctor')}"


def test_without_s3_a_remote_there_is_not_looked_at_and_any_other_is(project: Project) -> None:
    shutil.rmtree(project.path / "scripts/lineage/extras/s3")
    done = project.run("make", "setup", f"VENV={sys.prefix}")
    assert "✓ remote  " in done.stdout and "✗" not in done.stdout
    shutil.rmtree(project.path / "data/incoming")
    project.dvc("remote", "modify", "--local", "storage", "url", "s3://lab/digits")
    project.commit("without s3")
    said = project.script("setup_project", code=1)
    problem = "s3://lab/digits asks for an extra that is not here: No module named 'lineage.extras.s3'"
    assert f"✗ remote  {problem}\n    → make setup EXTRAS=s3\n" in said
    assert "– pull    not tried, still missing: data/incoming\n" in said
    done = project.run(*REMEDY.format("s3").split(), f"VENV={sys.prefix}", code=2)
    assert "✗ remote  " in done.stdout and "asks for an extra" not in done.stdout


def test_without_their_packages_all_but_the_extras_works(project: Project, tmp_path: Path) -> None:
    for name in ("vl_convert", "optuna", "dask", "distributed"):
        missing = f"raise ModuleNotFoundError(\"No module named '{name}'\", name='{name}')\n"
        (tmp_path / f"{name}.py").write_text(missing)
    without = {"PYTHONPATH": str(tmp_path)}
    refused(project, "search", "optuna", **without)
    refused(project, "cluster", "distributed", **without)
    report_refused(project, "vl_convert", **without)
    project.set_param("model.C", 0.5)
    assert "[1/1]" in project.script("train", **without)


def test_an_extra_that_there_is_not_is_named(fresh: Project) -> None:
    done = fresh.run("make", "setup", "EXTRAS=serch", f"VENV={sys.prefix}", code=2)
    assert (
        "error: there is no extra serch\n"
        "  → make setup EXTRAS=search   # or another name of scripts/lineage/extras: see docs/extras.md\n"
        in done.stdout
    )


def test_what_is_not_used_is_not_imported(project: Project) -> None:
    done = project.run("python", "-X", "importtime", "scripts/train.py")
    assert "[1/1]" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "lineage.runs.run_plan" in imported
    assert {name for name in imported if name.startswith("lineage.extras.")} == {
        "lineage.extras.unread_params",
        "lineage.extras.unread_params.unread",
    }
    assert not {name for name in imported if name.startswith(("vl_convert", "optuna", "dask", "distributed"))}
