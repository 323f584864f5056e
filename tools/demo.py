"""Bake a project into build/ and run it on real data, as `make demo` does. Nothing outside build/ is touched."""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from s3_server import REGION, S3Server, s3_server

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
NAME = "digit-experiments"
PROJECT = BUILD / NAME
MARK = BUILD / ".made-by-demo"
BUCKET = "experiments"


class DemoFailed(Exception):
    """What went wrong, in one line."""


@dataclass(frozen=True)
class Demo:
    """The environment that the demo's commands run in."""

    environment: dict[str, str]

    def run(self, *command: str) -> None:
        """Run a command in the project, as a user would type it, and let it print.

        Raises:
            DemoFailed: it did not end with 0.
        """
        words = shlex.join(command)
        print(f"\n\033[1m$ {words}\033[0m" if sys.stdout.isatty() else f"\n$ {words}", flush=True)
        folder = PROJECT if PROJECT.is_dir() else BUILD
        try:
            code = subprocess.run(command, cwd=folder, env=self.environment, check=False).returncode
        except FileNotFoundError as error:
            raise DemoFailed(f"{command[0]} is not installed") from error
        if code != 0:
            raise DemoFailed(f"`{words}` ended with exit code {code}; what it printed is above")


def remove_earlier_demo() -> None:
    """Remove what an earlier demo left, and nothing else.

    Raises:
        DemoFailed: there is a project that no demo made.
    """
    if PROJECT.exists() and not MARK.exists():
        raise DemoFailed(f"{PROJECT} was not made by the demo; move it away")
    for folder in (PROJECT, BUILD / f"{NAME}-remote", BUILD / "cache", BUILD / "s3"):
        for parent, _, _ in os.walk(folder):
            Path(parent).chmod(0o700)
        if folder.exists():
            shutil.rmtree(folder)
    BUILD.mkdir(exist_ok=True)
    MARK.touch()


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
    answers = [f"project_slug={NAME}", f"shared_cache_dir={BUILD / 'cache'}"]
    if server:
        answers += [f"dvc_remote_url=s3://{BUCKET}/{NAME}", f"s3_endpoint_url={server.endpoint}", f"s3_region={REGION}"]
    demo.run("cookiecutter", "--no-input", "--default-config", "--output-dir", str(BUILD), str(ROOT), *answers)
    demo.run("dvc", "repro")
    commit(demo, "first results")
    demo.run("dvc", "push")
    demo.run("cp", "examples/batches/batch_002.parquet", "data/incoming/")
    demo.run("dvc", "repro")
    commit(demo, "results with the second batch")
    demo.run("dvc", "push")
    if server:
        print(f"{count_objects(server)} objects in s3://{BUCKET}/{NAME}")
    demo.run("dvc", "metrics", "diff", "HEAD~1")
    demo.run("python", "scripts/experiment_explorer.py", "list")


def commit(demo: Demo, message: str) -> None:
    """Commit everything."""
    demo.run("git", "add", "--all")
    demo.run("git", "commit", "--quiet", "--message", message)


def count_objects(server: S3Server) -> int:
    """Count what has been pushed."""
    pages = server.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{NAME}/")
    return sum(page["KeyCount"] for page in pages)


def next_steps(with_s3: bool) -> str:
    """Say what to try in the project that is there now."""
    steps = [
        ("cd build/digit-experiments && export PATH=$PWD/../../.venv/bin:$PATH", ""),
        ("dvc exp run -S model.C=0.1", "another run, without touching params.yaml"),
        ("cp examples/batches/batch_003.parquet data/incoming/ && dvc repro", "more data"),
        ("dvc plots show", "confusion matrix, metric over versions"),
        ("python scripts/experiment_explorer.py list", "the leaderboard again"),
    ]
    lines = [f"  {command}" + (f"   # {why}" if why else "") for command, why in steps]
    if with_s3:
        lines.append("\nThe S3 server has been stopped; what was pushed is kept in build/s3 until the next demo.")
    return "\n".join(["\nTry next:", *lines])


def main() -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(description="Bake a project into build/ and run it on real data.")
    parser.add_argument("--s3", action="store_true", help="push to a real S3 server on loopback, not to a folder")
    options = parser.parse_args()
    environment = make_environment()
    try:
        remove_earlier_demo()
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(loopback_s3()) if options.s3 else None
            demonstrate(Demo({**environment, **(server.credentials if server else {})}), server)
    except (DemoFailed, RuntimeError, OSError) as error:
        print(f"error: the demo stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: the demo was interrupted; make demo starts anew", file=sys.stderr)
        return 130
    print(next_steps(options.s3))
    return 0


if __name__ == "__main__":
    sys.exit(main())
