"""Fixtures: projects in the states that tests begin with; see `baked_projects`."""

from __future__ import annotations

import os
import pickle
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import warm_start
from baked_projects import Bakery, Project, copy_project, make_bakery
from filelock import FileLock


def pytest_configure(config: pytest.Config) -> None:
    """Start what makes Python's starts cheap, once for all processes of pytest-xdist; see `warm_start`.

    It costs as much as a few runs of the pipeline: a few tests in one process, and the fast ones, do without.
    """
    starts_many = getattr(config.option, "numprocesses", None) and config.option.markexpr != "not slow"
    if starts_many and sys.platform == "linux" and os.environ.get("WARM") != "0":
        folder = tempfile.mkdtemp(prefix="warm-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        warm_start.start(folder)
        os.environ["WARM_STARTS"] = folder
    if "WARM_STARTS" in os.environ:
        warm_start.start_children_warm(os.environ["WARM_STARTS"], "-m", "dvc")


PIPELINES = {"trained_original", "light_original", "weak_original", "forked_original", "versions"}
"""Fixtures that run a pipeline. A test that uses one, itself or through other fixtures, is slow."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that run a pipeline, before `-m "not slow"` chooses."""
    for item in items:
        if PIPELINES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def bake(tmp_path: Path) -> Bakery:
    """Bake projects of this test's own: `bake(**answers)`."""
    return make_bakery(tmp_path)


@pytest.fixture(scope="session")
def baked(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One project with the default answers, to look at only."""
    return once(tmp_path_factory, "baked", lambda folder: make_bakery(folder)())


@pytest.fixture(scope="session")
def compiled(baked: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """As `baked`, with its scripts compiled, to copy only."""
    return once(tmp_path_factory, "compiled", lambda folder: compile_scripts(copy_project(baked, folder)))


def compile_scripts(project: Project) -> Project:
    """Compile the scripts, as their first use does outside of tests: each of some thousand starts is 50 ms shorter.

    What was compiled counts for the same content only: a test may change code twice within a second.
    """
    project.run("python", "-m", "compileall", "-q", "--invalidation-mode", "checked-hash", "scripts")
    return project


@pytest.fixture
def fresh(compiled: Project, tmp_path: Path) -> Project:
    """A project of this test's own, as it was baked with the default answers, with a cache of its own."""
    return copy_project(compiled, tmp_path)


@pytest.fixture(scope="session")
def trained_original(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One project after `dvc repro` and a commit, to copy only."""
    return make_once(tmp_path_factory, "trained", train)


def train(project: Project) -> Project:
    """Run the pipeline, and commit what it gave."""
    project.repro()
    project.commit("first results")
    return project


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A project with twelve versions, pushed, to look at only; see `versions_project.Versions`."""
    from versions_project import make_versions

    made = make_once(tmp_path_factory, "twelve", make_versions)
    return replace(made, project=copy_project(made.project, tmp_path_factory.mktemp("versions")))


def make_once(factory: pytest.TempPathFactory, name: str, work: Callable[[Project], Any]) -> Any:
    """Bake a project and work in it, once for all processes of pytest-xdist; arguments are those of `once`."""
    return once(factory, name, lambda folder: work(compile_scripts(make_bakery(folder)())))


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Any]) -> Any:
    """Make something once for all processes of pytest-xdist: the first does it, and the others wait.

    Args:
        factory: knows the folder of this process, beside those of the others.
        name: of the folder that it is made in.
        make: is given that folder; what it returns is handed to all processes, pickled.
    """
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    made = base / f"{name}.pickle"
    with FileLock(base / f"{name}.lock"):
        if not made.exists():
            shutil.rmtree(base / name, ignore_errors=True)  # of a process that failed half-way
            made.write_bytes(pickle.dumps(make(base / name)))
    return pickle.loads(made.read_bytes())


@pytest.fixture(scope="session")
def mypy_cache(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A variable that makes the tests of this process read the types of libraries once; that takes ten seconds."""
    return {"MYPY_CACHE_DIR": str(tmp_path_factory.getbasetemp() / "mypy")}


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines that this process says from now on; what DVC prints, which keeps the first output it sees, is not there."""
    lines: list[str] = []
    monkeypatch.setattr("typer.echo", lambda line, err=False: lines.append(line))
    return lines


@pytest.fixture
def trained(trained_original: Project, tmp_path: Path) -> Project:
    """A project of this test's own after its first `dvc repro`, with a cache of its own."""
    return copy_project(trained_original, tmp_path)


@pytest.fixture(scope="session")
def light_original(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """As `trained_original`, with an experiment that takes no time; see `light_project`."""
    from light_project import train_light

    return make_once(tmp_path_factory, "light", train_light)


@pytest.fixture
def light_trained(light_original: Project, tmp_path: Path) -> Project:
    """As `trained`, with an experiment that takes no time: for tests that ask nothing of what is learned."""
    return copy_project(light_original, tmp_path)


@pytest.fixture(scope="session")
def tagged_original(light_original: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """As `light_original`, and its version has a tag."""
    project = copy_project(light_original, tmp_path_factory.mktemp("tagged"))
    project.script("version_tag", "--version", "e0.1.0")
    return project


@pytest.fixture
def tagged(tagged_original: Project, tmp_path: Path) -> Project:
    """As `light_trained`, with its results tagged e0.1.0."""
    return copy_project(tagged_original, tmp_path)


@pytest.fixture(scope="session")
def grown_original(light_original: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """As `light_original`, with a second version on a second batch, after the tag of the first; there are no hooks."""
    from clones_project import next_version

    project = copy_project(light_original, tmp_path_factory.mktemp("grown"))
    project.git("tag", "e0.1.0")
    project.drop_batch(2)
    next_version(project)
    project.repro()
    project.commit("second")
    return project


@pytest.fixture
def grown(grown_original: Project, tmp_path: Path) -> Project:
    return copy_project(grown_original, tmp_path)


@pytest.fixture(scope="session")
def weak_original(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """As `light_original`, with a model that more data make better by more than noise."""
    from light_project import train_weak

    return make_once(tmp_path_factory, "weak", train_weak)


@pytest.fixture
def weak_trained(weak_original: Project, tmp_path: Path) -> Project:
    """As `light_trained`, for tests in which a better model has to come."""
    return copy_project(weak_original, tmp_path)


@pytest.fixture(scope="session")
def forked_original(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One project whose branches `left` and `right` both ran, to copy only; see `forked_project`."""
    from forked_project import fork

    return make_once(tmp_path_factory, "forked", fork)


@pytest.fixture
def forked(forked_original: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project of this test's own, on branch `left`; the process of the test finds its cache, too."""
    from lineage.tracked.cache import cache_folder

    project = copy_project(forked_original, tmp_path)
    monkeypatch.setenv("HOME", project.environment["HOME"])
    cache_folder.cache_clear()
    return project
