"""Projects that the real cookiecutter baked, used through the commands that their users type."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import warm_start
import yaml

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

LONGEST = 400.0
"""Seconds that a command may take; the longest takes one minute, or three where the machine is slow."""


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


@dataclass
class Project:
    """A baked project, and the commands a user types in it."""

    path: Path
    environment: dict[str, str]
    log: str = ""

    def run(
        self, *command: str, code: int = 0, cwd: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the project; fail unless it ends with `code`, and in time."""
        try:
            done = subprocess.run(
                command,
                cwd=cwd or self.path,
                env=warm_start.warm({**self.environment, **environment}),
                capture_output=True,
                text=True,
                check=False,
                stdin=subprocess.DEVNULL,
                timeout=LONGEST,
            )
        except subprocess.TimeoutExpired as hung:
            pytest.fail(tell(command, "has not ended", hung))
        if done.returncode != code:
            pytest.fail(tell(command, f"ended with {done.returncode}, not {code}", done))
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


def tell(command: tuple[str, ...], how: str, ended: Any) -> str:
    """Say how a command ended and what it printed, which subprocess has as bytes where it hung."""
    printed = [stream.decode(errors="replace") if isinstance(stream, bytes) else stream or ""
               for stream in (ended.stdout, ended.stderr)]  # fmt: skip
    return f"{' '.join(command)} {how}\n--- stdout\n{printed[0]}\n--- stderr\n{printed[1]}"


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
