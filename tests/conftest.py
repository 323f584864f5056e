"""The harness: projects are baked by the real cookiecutter and used through the commands that their users type."""

from __future__ import annotations

import importlib.util
import os
import pickle
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import warm_start
import yaml
from filelock import FileLock

TEMPLATE = Path(__file__).parents[1]
SOURCE = TEMPLATE / "{{cookiecutter.project_slug}}"
sys.path.insert(0, str(SOURCE / "scripts"))
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # for every process that a test starts
sys.dont_write_bytecode = True  # cookiecutter would copy __pycache__ of the template into every project

FOREIGN = ("GIT_", "DVC_", "AWS_", "XDG_", "MAKE", "MFLAGS")
"""Variables that would make Git, DVC, AWS clients or a nested make behave as they do for whoever runs the tests."""

IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada Lovelace",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada Lovelace",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
}


def clean_environment(home: Path) -> dict[str, str]:
    """The machine's environment with an empty HOME and without `FOREIGN` variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    for name in ("VIRTUAL_ENV", "PYTHONPATH", "LINEAGE_DEBUG", "COLUMNS"):
        kept.pop(name, None)
    path = os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])
    return {
        **kept,
        "HOME": str(home),
        "PATH": path,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


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


@dataclass
class Project:
    """A baked project, and the commands a user types in it."""

    path: Path
    environment: dict[str, str]
    log: str = ""

    def run(
        self, *command: str, code: int = 0, cwd: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the project; fail unless it ends with `code`."""
        done = subprocess.run(
            command,
            cwd=cwd or self.path,
            env=warm_start.warm({**self.environment, **environment}),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != code:
            pytest.fail(
                f"{' '.join(command)} ended with {done.returncode}, not {code}\n--- stdout\n{done.stdout}\n"
                f"--- stderr\n{done.stderr}"
            )
        return done

    def dvc(self, *arguments: str, code: int = 0, **environment: str) -> str:
        """Run dvc; return what it printed."""
        done = self.run("dvc", *arguments, code=code, **environment)
        return done.stdout + done.stderr

    def git(self, *arguments: str, code: int = 0) -> str:
        """Run git; return its standard output without the last line end."""
        return self.run("git", *arguments, code=code).stdout.rstrip("\n")

    def script(self, name: str, *arguments: str, code: int = 0, **environment: str) -> str:
        """Run one of the project's scripts; return what it printed."""
        done = self.run("python", f"scripts/{name}.py", *arguments, code=code, **environment)
        return done.stdout + done.stderr

    def repro(self, *arguments: str, code: int = 0) -> str:
        """Run `dvc repro`; return what it printed."""
        return self.dvc("repro", *arguments, code=code)

    def commit(self, message: str) -> None:
        """Commit everything."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--no-verify", "--message", message)

    def set_param(self, key: str, value: Any) -> None:
        """Change one value of params.yaml, as in `merge.strategy`."""
        path = self.path / "params.yaml"
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        *sections, name = key.split(".")
        section = content
        for part in sections:
            section = section[part]
        section[name] = value
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def drop_batch(self, number: int) -> None:
        """Drop one of the example batches into data/incoming, as the quickstart does."""
        name = f"batch_{number:03d}.parquet"
        shutil.copyfile(self.path / "examples/batches" / name, self.path / "data/incoming" / name)


def stages_run(output: str) -> list[str]:
    """The stages that `dvc repro` ran, in order."""
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage ")]


@dataclass
class Bakery:
    """Bakes projects into a folder of their own, with a shared cache beside them."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def cookiecutter(
        self, *options: str, into: Path | None = None, code: int = 0, template: Path = TEMPLATE, **answers: str
    ) -> subprocess.CompletedProcess[str]:
        """Run cookiecutter; fail unless it ends with `code`."""
        answers.setdefault("shared_cache_dir", str(self.folder / "cache"))
        into = into or self.folder
        into.mkdir(parents=True, exist_ok=True)
        words = [f"{name}={value}" for name, value in answers.items()]
        runner = Project(into, self.environment)
        return runner.run(
            "cookiecutter", "--no-input", *options, "--output-dir", str(into), str(template), *words, code=code
        )

    def __call__(self, *, into: Path | None = None, **answers: str) -> Project:
        """Bake a project; the answers are those of cookiecutter.json."""
        done = self.cookiecutter(into=into, **answers)
        [folder] = shlex.split(done.stdout.split("Next:\n  cd ")[1].splitlines()[0])
        return Project((into or self.folder) / folder, self.environment, done.stdout + done.stderr)


def make_bakery(folder: Path) -> Bakery:
    home = folder / "home"
    home.mkdir(parents=True)
    return Bakery(folder, {**clean_environment(home), **IDENTITY})


def load_hook(name: str, folder: Path, **answers: str) -> ModuleType:
    """Render a hook as cookiecutter does, and import it."""
    from cookiecutter.generate import generate_context
    from cookiecutter.prompt import prompt_for_config
    from cookiecutter.utils import create_env_with_context

    if str(TEMPLATE) not in sys.path:
        sys.path.append(str(TEMPLATE))  # as cookiecutter does, for the extension that asks again
    context = generate_context(str(TEMPLATE / "cookiecutter.json"), extra_context=answers)
    context["cookiecutter"] = prompt_for_config(context, no_input=True)
    hook = (TEMPLATE / f"hooks/{name}.py").read_text(encoding="utf-8")
    path = folder / f"{name}_rendered.py"
    path.write_text(create_env_with_context(context).from_string(hook).render(**context), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


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


def copy_project(original: Project, folder: Path) -> Project:
    """Copy a project with its cache (links become files), and point it at the copy of the cache."""
    shutil.copytree(original.path.parent, folder, dirs_exist_ok=True, symlinks=True)
    copied = Project(folder / original.path.name, {**original.environment, "HOME": str(folder / "home")})
    local = copied.path / ".dvc/config.local"
    local.write_text(
        local.read_text(encoding="utf-8").replace(str(original.path.parent), str(folder)), encoding="utf-8"
    )
    shutil.rmtree(copied.path / ".dvc/tmp", ignore_errors=True)
    return copied
