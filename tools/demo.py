"""Bake a project into build/ and run it on real data, as `make demo` does.

Nothing outside build/ is touched, and what is in build/ stays: another demo makes another folder.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import secrets
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from s3_server import REGION, S3Server, s3_server

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
NAME = "digit-experiments"
BUCKET = "experiments"


class DemoFailed(Exception):
    """What went wrong, in one line."""


@dataclass(frozen=True)
class Demo:
    """Where the demo's commands run, and in which environment.

    Attributes:
        name: of the project, a folder in build/ that is not there yet.
    """

    name: str
    environment: dict[str, str]

    @property
    def project(self) -> Path:
        """Where the project is baked."""
        return BUILD / self.name

    def run(self, *command: str) -> None:
        """Run a command in the project, as a user would type it, and let it print.

        Raises:
            DemoFailed: it did not end with 0.
        """
        words = shlex.join(command)
        print(f"\n\033[1m$ {words}\033[0m" if sys.stdout.isatty() else f"\n$ {words}", flush=True)
        folder = self.project if self.project.is_dir() else BUILD
        try:
            code = subprocess.run(command, cwd=folder, env=self.environment, check=False).returncode
        except FileNotFoundError as error:
            raise DemoFailed(f"{command[0]} is not installed") from error
        if code != 0:
            raise DemoFailed(f"`{words}` ended with exit code {code}; what it printed is above")

    def commit(self, message: str) -> None:
        """Commit everything."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)


def explain(text: str) -> None:
    """Say what the next commands are for."""
    print(f"\n# {text}", flush=True)


def free_name() -> str:
    """Name a project that is not in build/ yet: digit-experiments, digit-experiments-2, and so on."""
    names = (NAME if number == 1 else f"{NAME}-{number}" for number in itertools.count(1))
    return next(name for name in names if not (BUILD / name).exists() and not (BUILD / f"{name}-remote").exists())


def make_environment() -> dict[str, str]:
    """This machine's environment, with the tools of the template's .venv, and nobody's S3 or Git identity."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DVC_", "GIT_"))}
    return {
        **kept,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
        "GIT_AUTHOR_NAME": "Demo",
        "GIT_AUTHOR_EMAIL": "demo@example.com",
        "GIT_COMMITTER_NAME": "Demo",
        "GIT_COMMITTER_EMAIL": "demo@example.com",
    }


@contextlib.contextmanager
def loopback_s3() -> Iterator[S3Server]:
    """Run an S3 server with keys of its own, on loopback, with its data in build/s3."""
    with s3_server(BUILD / "s3/data", BUCKET, f"DEMO{secrets.token_hex(8)}", secrets.token_urlsafe(30)) as server:
        print(f"S3 server on {server.endpoint}, loopback only; its keys are in the environment, and in no file")
        yield server


def demonstrate(demo: Demo, server: S3Server | None) -> None:
    """Bake, run, push, add data, run again, look."""
    answers = [f"project_slug={demo.name}", f"shared_cache_dir={BUILD / 'cache'}"]
    if server:
        place = f"s3://{BUCKET}/{demo.name}"
        answers += [f"dvc_remote_url={place}", f"s3_endpoint_url={server.endpoint}", f"s3_region={REGION}"]
    explain("Make a project: Git, DVC, the shared cache and the remote are set up, sample data are in it.")
    demo.run("cookiecutter", "--no-input", "--default-config", "--output-dir", str(BUILD), str(ROOT), *answers)
    explain("Run everything: merge the data, train, merge the results, promote the model.")
    demo.run("dvc", "repro")
    demo.commit("first results")
    explain("Send data, results and model to the remote.")
    demo.run("dvc", "push")
    explain("More data come in: drop them into the inbox, and run what that changes.")
    demo.run("cp", "examples/batches/batch_002.parquet", "data/incoming/")
    demo.run("dvc", "repro")
    demo.commit("results with the second batch")
    demo.run("dvc", "push")
    if server:
        print(f"{count_objects(server, demo.name)} objects in {place}")
    explain("What have the new data changed, and which run is best?")
    demo.run("dvc", "metrics", "diff", "HEAD~1")
    demo.run("python", "scripts/experiment_explorer.py", "list")


def count_objects(server: S3Server, name: str) -> int:
    """Count what a project has pushed."""
    pages = server.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{name}/")
    return sum(page["KeyCount"] for page in pages)


def next_steps(name: str, with_s3: bool) -> str:
    """Say what to try in the project that is there now."""
    steps = {
        f"cd build/{name} && export PATH=$PWD/../../.venv/bin:$PATH": "",
        "dvc exp run -S model.C=0.1": "another run, without touching params.yaml",
        "cp examples/batches/batch_003.parquet data/incoming/ && dvc repro": "more data",
        "dvc plots show": "confusion matrix, metric over versions",
        "python scripts/experiment_explorer.py list": "the leaderboard again",
    }
    lines = [f"  {command}" + (f"   # {why}" if why else "") for command, why in steps.items()]
    lines.append(f"\nbuild/{name} is yours: another `make demo` makes another folder, `make clean` removes them all.")
    if with_s3:
        lines.append("The S3 server has been stopped; what was pushed is kept in build/s3.")
    return "\n".join(["\nTry next:", *lines])


def main() -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(description="Bake a project into build/ and run it on real data.")
    parser.add_argument("--s3", action="store_true", help="push to a real S3 server on loopback, not to a folder")
    options = parser.parse_args()
    BUILD.mkdir(exist_ok=True)
    name = free_name()
    try:
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(loopback_s3()) if options.s3 else None
            credentials = server.credentials if server else {}
            demonstrate(Demo(name, {**make_environment(), **credentials}), server)
    except (DemoFailed, RuntimeError, OSError) as error:
        print(f"error: the demo stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"error: the demo was interrupted; build/{name} is as it was then", file=sys.stderr)
        return 130
    print(next_steps(name, options.s3))
    return 0


if __name__ == "__main__":
    sys.exit(main())
