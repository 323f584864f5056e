"""`cookiecutter <this repository>` gives a repository that is ready to work in, wherever and with whatever it runs."""

from __future__ import annotations

import configparser
import json
import os
import shutil
import sys
import time
from pathlib import Path

import pytest
import yaml
from baked_projects import IDENTITY, Bakery, Project
from light_project import lighten

DONE = ["git", "secrets", "cache", "remote", "data", "commit", "tracked"]


def without(environment: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in names}


def test_a_fresh_project_is_one_clean_commit_on_main(baked: Project) -> None:
    assert [line.split()[1] for line in baked.log.splitlines() if line.startswith("✓")] == DONE
    assert baked.git("status", "--porcelain") == ""
    assert baked.git("symbolic-ref", "--short", "HEAD") == "main"
    assert baked.git("log", "--format=%s") == "Start from cookiecutter-lineage"


def test_tracked_data_is_in_the_cache_and_unchanged(baked: Project) -> None:
    assert "No changes" in baked.dvc("data", "status")
    for pointer in ("data/incoming", "data/test.parquet", "results/incoming"):
        md5 = yaml.safe_load((baked.path / f"{pointer}.dvc").read_text())["outs"][0]["md5"]
        assert (baked.path.parent / "cache/files/md5" / md5[:2] / md5[2:]).is_file()
    assert "up to date" in baked.dvc("status", "data/incoming.dvc", "data/test.parquet.dvc", "results/incoming.dvc")


def test_what_belongs_to_one_machine_is_not_committed(baked: Project) -> None:
    committed = baked.git("show", "HEAD:.dvc/config")
    assert "../../digit-experiments-remote" in committed
    assert str(baked.path.parent) not in committed and "cache" not in committed
    local = configparser.ConfigParser()
    local.read(baked.path / ".dvc/config.local")
    links = "reflink,copy" if os.geteuid() == 0 else "reflink,hardlink,copy"  # root could write through a hard link
    assert dict(local["cache"]) == {"dir": str(baked.path.parent / "cache"), "type": f'"{links}"'}
    assert ".dvc/config.local" not in baked.git("ls-files")


@pytest.mark.slow
def test_a_project_that_moved_with_its_remote_finds_it_again(bake: Bakery, tmp_path: Path) -> None:
    project = bake()
    project.dvc("push")
    (tmp_path / "new").mkdir()
    for name in (project.path.name, "digit-experiments-remote"):
        (tmp_path / name).rename(tmp_path / "new" / name)
    moved = Project(tmp_path / "new" / project.path.name, project.environment)
    out = moved.script("setup_project")
    assert f"✓ remote  {tmp_path}/new/digit-experiments-remote (a folder)" in out
    assert not (tmp_path / "digit-experiments-remote").exists()


@pytest.mark.slow
def test_baking_takes_under_five_seconds_on_an_idle_machine(bake: Bakery) -> None:
    """A wide bound (the promise is 5 s): it catches a network wait or a DVC start-up per step, not a slow machine."""
    began = time.perf_counter()
    bake()
    assert time.perf_counter() - began < 20


@pytest.mark.slow
def test_without_a_git_identity_the_answers_make_the_commit(bake: Bakery) -> None:
    bake.environment = without(bake.environment, *IDENTITY)
    project = bake(author_name='Grace "Amazing" O\'Hopper', author_email="grace@example.com")
    assert project.git("log", "--format=%an <%ae>") == 'Grace "Amazing" O\'Hopper <grace@example.com>'
    assert 'first commit made as Grace "Amazing" O\'Hopper <grace@example.com>' in project.log


@pytest.mark.slow
def test_an_old_git_without_initial_branch_makes_main_too(bake: Bakery, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    (old / "git").write_text(
        "#!/bin/sh\nfor word; do case $word in --initial-branch*|-b) echo 'unknown option' >&2; exit 129;; esac; done\n"
        f'exec {shutil.which("git")} "$@"\n'
    )
    (old / "git").chmod(0o755)
    bake.environment["PATH"] = f"{old}:{bake.environment['PATH']}"
    project = bake()
    assert project.git("symbolic-ref", "--short", "HEAD") == "main"
    assert project.git("status", "--porcelain") == ""


@pytest.mark.slow
def test_where_git_knows_only_half_of_who_commits_the_answers_are_the_other_half(bake: Bakery) -> None:
    """CI often sets the author and no committer."""
    bake.environment = without(bake.environment, "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
    project = bake(author_name="Grace Hopper", author_email="grace@example.com")
    both = project.git("log", "--format=%an <%ae>, %cn <%ce>")
    assert both == "Ada Lovelace <ada@example.com>, Grace Hopper <grace@example.com>"
    assert "✓ commit  first commit made as Grace Hopper <grace@example.com> (Git knows nobody yet" in project.log


@pytest.mark.slow
def test_a_bake_started_by_a_hook_of_another_repository_leaves_that_as_it_is(bake: Bakery, tmp_path: Path) -> None:
    other = Project(tmp_path / "other", dict(bake.environment))
    other.path.mkdir()
    other.git("init", "--quiet")
    other.git("commit", "--quiet", "--allow-empty", "--message", "theirs")
    before = {path: path.read_bytes() for path in other.path.rglob("*") if path.is_file()}
    theirs = other.path / ".git"
    for name in ("DIR", "COMMON_DIR"):
        bake.environment[f"GIT_{name}"] = str(theirs)
    for name in ("CONFIG", "INDEX_FILE", "SHALLOW_FILE"):
        bake.environment[f"GIT_{name}"] = str(theirs / name.lower())
    bake.environment |= {"GIT_WORK_TREE": str(other.path), "GIT_OBJECT_DIRECTORY": str(theirs / "objects")}
    bake.environment |= {"GIT_LITERAL_PATHSPECS": "1", "GIT_NAMESPACE": "theirs"}
    project = bake()
    project.script("setup_project")
    assert {path: path.read_bytes() for path in other.path.rglob("*") if path.is_file()} == before
    project.environment = dict(other.environment)
    assert project.git("log", "--format=%s") == "Start from cookiecutter-lineage"
    assert project.git("status", "--porcelain") == "" and "merge.dvc.driver" in project.git("config", "--list")


@pytest.mark.slow
def test_line_ends_are_the_committed_ones_whatever_git_is_told(bake: Bakery, tmp_path: Path) -> None:
    """Hashes are of bytes: with other line ends a clone would run everything again."""
    home = Path(bake.environment["HOME"])
    (home / ".gitconfig").write_text("[core]\n    autocrlf = true\n    safecrlf = true\n")
    project = bake()
    (project.path / "of_windows.py").write_bytes(b"A = 1\r\n")
    project.commit("written elsewhere")
    clone = Project(tmp_path / "clone", project.environment)
    project.git("clone", "--quiet", str(project.path), str(clone.path))
    for name in project.git("ls-files").splitlines():
        assert (clone.path / name).read_bytes() == (project.path / name).read_bytes(), name
    assert b"\r" not in (clone.path / "params.yaml").read_bytes() and clone.git("status", "--porcelain") == ""


@pytest.mark.slow
def test_inside_an_existing_repository_nothing_is_initialised(bake: Bakery, tmp_path: Path) -> None:
    outer = tmp_path / "monorepo"
    outer.mkdir()
    there = Project(outer, bake.environment)
    there.git("init", "--quiet")
    project = bake(into=outer)
    assert f"– git     inside the repository {outer}: nothing initialised" in project.log
    assert not (project.path / ".git").exists()
    assert there.git("status", "--porcelain") == "?? digit-experiments/"
    there.git("add", "--all")
    there.git("commit", "--quiet", "--message", "with a project")
    project.repro("merge_data")
    project.dvc("push")
    assert there.git("status", "--porcelain") == "?? digit-experiments/dvc.lock", "the remote beside it is not for Git"
    for said in (project.script("setup_project"), project.script("doctor")):
        assert "✗" not in said and "– " in said and "the project is not the top of its Git repository\n" in said


@pytest.mark.slow
def test_without_git_rendering_succeeds_and_setup_finishes_it(bake: Bakery, tmp_path: Path) -> None:
    with_git = bake.environment["PATH"]
    bake.environment["PATH"] = str(Path(sys.executable).parent)
    project = bake()
    assert "✗ git     git is not installed\n    → install git, then: make setup" in project.log
    assert "– data    not put into the cache: there is no Git repository\n    → make setup" in project.log
    assert not (project.path / ".git").exists()
    project.environment["PATH"] = with_git
    done = project.run("python", "scripts/setup_project.py", "--first")
    assert "✓ git     repository initialised, branch main" in done.stdout
    assert project.git("status", "--porcelain") == ""


@pytest.mark.slow
def test_baking_opens_no_network_connection(bake: Bakery, tmp_path: Path) -> None:
    watcher = tmp_path / "watcher"
    watcher.mkdir()
    calls = tmp_path / "connections"
    (watcher / "sitecustomize.py").write_text(
        "import sys\ndef hook(event, args):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.sendto'):\n"
        f"        open({str(calls)!r}, 'a').write(f'{{event}} {{args[1:]}}\\n')\n"
        "sys.addaudithook(hook)\n"
    )
    bake.environment["PYTHONPATH"] = str(watcher)
    bake(dvc_remote_url="s3://some-bucket/prefix", s3_endpoint_url="https://s3.invalid")
    assert not calls.exists(), calls.read_text()
    probe = Project(tmp_path, bake.environment).run(
        "python", "-c", "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"
    )
    assert probe.returncode == 0 and calls.exists(), "the watcher itself does not see connections"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("url", "stored"),
    [
        ("s3://bucket/a/prefix", "s3://bucket/a/prefix"),
        ("gs://bucket", "gs://bucket"),
        ("ssh://user@host/srv/dvc", "ssh://user@host/srv/dvc"),
        ("/srv/dvc", "/srv/dvc"),
        ("~/dvc remote", "~/dvc remote"),
        ("../beside", "../../beside"),
    ],
    ids=["s3", "google", "ssh with a user", "absolute", "home, with a space", "relative"],
)
def test_any_dvc_url_is_accepted(bake: Bakery, url: str, stored: str) -> None:
    project = bake(dvc_remote_url=url)
    assert f'url = "{stored}"' in project.git("show", "HEAD:.dvc/config")
    beside, home = project.path.parent, project.environment["HOME"]
    expected = {"../beside": f"{beside}/beside", "~/dvc remote": f"{home}/dvc remote"}.get(url, url)
    listed = "".join(project.dvc("remote", "list").split())  # DVC wraps lines at 80 characters, wherever that is
    assert expected.replace(" ", "") in listed


@pytest.mark.slow
def test_setup_is_idempotent(bake: Bakery) -> None:
    project = bake()
    before = (project.path / ".dvc/config.local").read_text()
    for _ in range(2):
        done = project.run("make", "setup", f"VENV={Path(sys.executable).parents[1]}")
        assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("✓")] == [
            "git", "secrets", "cache", "remote", "data", "hooks", "commit", "tracked", "pull",
        ]  # fmt: skip
    assert (project.path / ".dvc/config.local").read_text() == before
    assert project.git("status", "--porcelain") == ""
    assert project.git("rev-list", "--count", "HEAD") == "1"


@pytest.mark.slow
def test_a_run_of_another_project_in_the_shared_cache_is_not_taken_for_ones_own(bake: Bakery) -> None:
    """DVC's run cache lies in the cache: equal inputs would bring the other project's rows, with its commit."""
    first, second = bake(project_slug="first"), bake(project_slug="second")
    for project in (first, second):
        lighten(project).repro()
        model = json.loads((project.path / "models/production/model.json").read_text(encoding="utf-8"))
        assert model["git_commit"] == project.git("rev-parse", "HEAD")
