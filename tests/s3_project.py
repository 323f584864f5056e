"""A project whose remote is an S3 server: what tests of it, and of its secrets, need."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from baked_projects import IDENTITY, TEMPLATE, Project, clean_environment, make_bakery

sys.path.insert(0, str(TEMPLATE / "tools"))
from s3_server import S3Server

VENV = Path(sys.executable).parents[1]
ACCESS_KEY = "AKIA" + "LINEAGETESTS2345"
SECRET_KEY = "lineage/Tests+" + "0123456789abcdefghijklmnop"
BUCKET = "lab"
PREFIX = "team/digits"
URL = f"s3://{BUCKET}/{PREFIX}"
EVERYTHING = (
    "data/incoming",
    "data/test.parquet",
    "data/train.parquet",
    "models/candidates",
    "models/production",
    "models/trained",
    "results/experiments.db",
    "results/incoming",
    "results/plots",
    "results/runs",
)

Objects = dict[str, bytes]


def objects(server: S3Server, prefix: str = PREFIX) -> Objects:
    """Every object below a prefix, with its content, by key without the prefix."""
    client = server.client()
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{prefix}/")
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    return {key.removeprefix(f"{prefix}/"): client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}


def files(folder: Path) -> Objects:
    """Every file below a folder, with its content; nothing when there is no folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def hashes(project: Project) -> dict[str, str]:
    """The md5 of every file that DVC looks after, by path."""
    roots = [project.path / name for name in EVERYTHING]
    paths = [path for root in roots for path in ([root] if root.is_file() else sorted(root.rglob("*")))]
    return {
        path.relative_to(project.path).as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
        for path in paths
        if path.is_file()
    }


def workspace(project: Project) -> Objects:
    """Every file of the workspace that is not Git's or DVC's own."""
    return {name: text for name, text in files(project.path).items() if not name.startswith((".git/", ".dvc/"))}


def cache_of(project: Project) -> Path:
    return Path(project.environment["HOME"]) / ".dvc/shared-cache"


def bake_on_s3(folder: Path, server: S3Server, prefix: str = PREFIX) -> Project:
    """Bake a project with the S3 remote, as someone with a machine and keys of their own."""
    project = make_bakery(folder)(
        dvc_remote_url=f"s3://{BUCKET}/{prefix}",
        s3_endpoint_url=server.endpoint,
        s3_region="eu-central-1",
        shared_cache_dir="~/.dvc/shared-cache",
    )
    project.environment.update(server.credentials)
    return project


def clone(origin: Project, folder: Path) -> Project:
    """Clone on a colleague's machine: another HOME, so another cache, and no credentials."""
    home = folder / "home"
    home.mkdir(parents=True)
    copied = Project(folder / "clone", {**clean_environment(home), **IDENTITY})
    copied.run("git", "clone", "--quiet", str(origin.path), str(copied.path), cwd=folder)
    return copied


def setup(project: Project, *arguments: str, code: int = 0, **environment: str) -> str:
    """Run the setup; return its standard output."""
    return project.run("python", "scripts/setup_project.py", *arguments, code=code, **environment).stdout


def bring_a_batch(project: Project) -> None:
    """Commit one more batch, without its results, so that there is something to push."""
    project.drop_batch(2)
    project.dvc("add", "--quiet", "data/incoming")
    project.git("commit", "--quiet", "--no-verify", "--all", "--message", "one more batch")


def assert_has_everything(project: Project, origin: Project) -> None:
    assert hashes(project) == hashes(origin)
    assert len(hashes(project)) >= 12
    assert "Data and pipelines are up to date." in project.dvc("status")
    assert "No changes" in project.dvc("data", "status")
    assert project.git("status", "--porcelain") == ""


def all_blobs(project: Project) -> bytes:
    """Everything that the repository stores, whether a branch reaches it or not."""
    done = subprocess.run(
        ["git", "cat-file", "--batch-all-objects", "--batch"], cwd=project.path, capture_output=True, check=True
    )
    return done.stdout
