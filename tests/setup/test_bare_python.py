"""People bake with `pipx install cookiecutter`, whose Python has neither DVC nor anything else of the project."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from baked_projects import IDENTITY, TEMPLATE, Bakery, Project
from bare_python import make_bare_python

VENV = Path(sys.executable).parents[1]
POINTERS = ("data/incoming.dvc", "data/test.parquet.dvc", "results/incoming.dvc")
TOOLS = ("git", "make", "sh", "awk", "grep", "sed", "test", "touch", "uname")
ODD_NAMES = ("it's 50% off", "one, two # three", "é 🔢", 'a "b" $HOME {x} [y]')


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bare_python(tmp_path_factory.mktemp("bare") / "python")


@pytest.fixture
def bake_bare(bake: Bakery, python: Path) -> Bakery:
    """Bakes as someone does who has only cookiecutter: nothing else is on the PATH."""
    bake.environment["PATH"] = f"{python.parent}:/usr/bin:/bin"
    assert not shutil.which("dvc", path=bake.environment["PATH"]), "DVC is installed for the whole machine"
    starter = python.parent / "cookiecutter"
    starter.write_text(f"#!{python}\nfrom cookiecutter.__main__ import main\nmain()\n", encoding="utf-8")
    starter.chmod(0o755)
    for module in ("dvc", "xetrack", "pandas"):
        Project(python.parent, bake.environment).run(str(python), "-c", f"import {module}", code=1)
    return bake


def with_environment(project: Project) -> Project:
    """The same project for someone who has made the environment."""
    path = os.pathsep.join([str(VENV / "bin"), project.environment["PATH"]])
    return Project(project.path, {**project.environment, "PATH": path})


@pytest.mark.slow
def test_everything_is_configured_and_in_the_cache_right_after_the_bake(bake_bare: Bakery) -> None:
    bare = bake_bare()
    steps = [line.split()[:2] for line in bare.log.splitlines() if line[:1] in "✓–✗" and line]
    assert steps == [["✓", name] for name in ("git", "secrets", "cache", "remote", "data", "commit", "tracked")]
    cache = bare.path.parent / "cache"
    links = "reflink,copy" if os.geteuid() == 0 else "reflink,hardlink,copy"
    local = bare.path / ".dvc/config.local"
    assert local.read_text() == f'[cache]\n    dir = {cache}\n    type = "{links}"\n'
    assert (bare.path.parent / "digit-experiments-remote").is_dir()
    project = with_environment(bare)
    assert project.dvc("cache", "dir").strip() == str(cache)
    assert "No changes" in project.dvc("data", "status")
    assert "up to date" in project.dvc("status", *POINTERS)
    assert project.git("status", "--porcelain") == ""
    assert "5 files pushed" in project.dvc("push"), "two folders, their files, and the evaluation set"


@pytest.mark.slow
def test_the_cache_holds_what_dvc_itself_would_have_put_there(bake_bare: Bakery, tmp_path: Path) -> None:
    project = with_environment(bake_bare())
    project.dvc("cache", "dir", "--local", str(tmp_path / "dvcs own"))
    project.dvc("commit", "--force", *POINTERS)
    own, made = (contents(tmp_path / name / "files") for name in ("dvcs own", "cache"))
    assert own == made
    objects = [path for path in (tmp_path / "cache/files/md5").rglob("*") if path.is_file()]
    assert objects and {path.stat().st_mode & 0o777 for path in objects} == {0o444}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_make_setup_finishes_it(bake_bare: Bakery) -> None:
    bare = bake_bare()
    local = (bare.path / ".dvc/config.local").read_text()
    said = bare.run("python", "scripts/merge_data.py", code=2).stderr
    assert said.endswith(" is not installed in the Python that runs this\n  → make setup && . .venv/bin/activate\n")
    (bare.path / ".git/info/exclude").write_text(".venv\n")
    (bare.path / ".venv").symlink_to(VENV)
    done = bare.run("sh", "-ec", f"{said.partition('→ ')[2]}\npython scripts/merge_data.py")
    assert "537 rows now" in done.stdout + done.stderr
    assert "✓ hooks   pre-commit, " in done.stdout and "✓ pull    everything recorded is here" in done.stdout
    assert "✗" not in done.stdout and "–" not in done.stdout
    assert (bare.path / ".dvc/config.local").read_text() == local
    project = with_environment(bare)
    assert project.git("status", "--porcelain") == ""
    project.repro("merge_data")


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD_NAMES)
def test_dvc_reads_the_cache_folder_that_was_written_whatever_it_is_called(
    bake_bare: Bakery, tmp_path: Path, name: str
) -> None:
    home = tmp_path / name
    home.mkdir()
    bake_bare.environment["HOME"] = str(home)
    bare = bake_bare(shared_cache_dir="~/cache")
    assert f"✓ cache   {home}/cache (shared" in bare.log and "✓ data    put into the cache" in bare.log
    local = bare.path / ".dvc/config.local"
    before = local.read_text(encoding="utf-8")
    code = "from dvc.config import Config\nconfig = Config(dvc_dir='.dvc')\nprint(config['cache']['dir'])\n"
    if name.isascii():  # DVC reads others, and cannot write them
        code += "with config.edit('local'):\n    pass\n"
    assert with_environment(bare).run("python", "-c", code).stdout == f"{home}/cache\n"
    assert local.read_text(encoding="utf-8") == before, "written as DVC writes it"


@pytest.mark.slow
def test_what_somebody_has_set_stays(bake: Bakery, tmp_path: Path) -> None:
    project = bake()
    local = project.path / ".dvc/config.local"
    local.write_text(f"[cache]\n    dir = {tmp_path}/mine\n['remote \"storage\"']\n    jobs = 2\n")
    local.chmod(0o600)
    project.script("setup_project", "--first")
    links = "reflink,copy" if os.geteuid() == 0 else "reflink,hardlink,copy"
    listed = project.dvc("config", "--local", "--list").splitlines()
    assert sorted(listed) == [f"cache.dir={tmp_path}/mine", f"cache.type={links}", "remote.storage.jobs=2"]
    assert local.stat().st_mode & 0o777 == 0o600, "it may hold credentials"
    assert (tmp_path / "mine/files/md5").is_dir()


def test_the_set_up_starts_with_the_standard_library_alone(baked: Project) -> None:
    done = baked.run(sys.executable, "-S", "scripts/setup_project.py", "--help")
    assert done.stdout.startswith("usage: setup_project.py")
    baked.run(sys.executable, "-S", "-c", "import yaml", code=1)


@pytest.mark.slow
def test_setup_by_hand_without_the_environment_says_what_is_missing(bake_bare: Bakery) -> None:
    bare = bake_bare()
    done = bare.run("python", "scripts/setup_project.py", code=1)
    assert "– remote  dvc is not installed in the Python that runs this\n    → make setup" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
def test_what_the_bake_prints_as_next_works_as_it_stands(python: Path, tmp_path: Path) -> None:
    """Typed into a shell with Python, Git and make: uv is fetched, and the environment made. Nothing is prepared.

    The caches of uv and pip are this machine's, so that packages need not be fetched again.
    """
    tools, home, work = tmp_path / "tools", tmp_path / "home", tmp_path / "work place"
    for folder in (tools, home, work):
        folder.mkdir()
    for name in TOOLS:
        (tools / name).symlink_to(shutil.which(name) or f"/usr/bin/{name}")
    (tools / "python3").symlink_to(Path(sys.base_prefix) / "bin/python3")
    caches = Path.home() / ".cache"
    environment = {
        **{name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_"))},
        **IDENTITY, "HOME": str(home), "PATH": str(tools), "LANG": "C.UTF-8",
        "UV_CACHE_DIR": str(caches / "uv"), "PIP_CACHE_DIR": str(caches / "pip"), "GIT_CONFIG_NOSYSTEM": "1",
    }  # fmt: skip
    shell = Project(work, environment)
    baked = shell.run("sh", "-c", f"{python} -m cookiecutter --no-input '{TEMPLATE}'", PWD=str(work))
    lines = [line.strip() for line in baked.stdout.partition("\nNext:\n")[2].splitlines()]
    assert [line.split("#")[0].strip() for line in lines] == [
        "cd digit-experiments", "make setup", "make repro", "make leaderboard",
    ]  # fmt: skip
    typed = shell.run("sh", "-ec", "\n".join(lines))
    assert "making .venv" in typed.stdout and "✗" not in typed.stdout
    assert "Running stage 'promote_model'" in typed.stdout
    assert typed.stdout.splitlines()[-1].startswith("e0.1.0") or "e0.1.0" in typed.stdout.rpartition("track_id")[2]
    project = Project(work / "digit-experiments", environment)
    assert yaml.safe_load((project.path / "dvc.lock").read_text())["stages"].keys() >= {"train", "promote_model"}
