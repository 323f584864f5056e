"""The remote is a real S3 server on loopback, which keeps what it is given and refuses wrong keys."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from conftest import IDENTITY, TEMPLATE, Project, clean_environment, copy_project, make_bakery
from light_project import lighten, train_light

from lineage.setup.secrets import find_secrets
from lineage.tracked.recorded import recorded_outputs

sys.path.insert(0, str(TEMPLATE / "tools"))
from s3_server import S3Server, free_ports, s3_server

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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server for the module; tests write below prefixes of their own."""
    with s3_server(tmp_path_factory.mktemp("s3") / "data", BUCKET, ACCESS_KEY, SECRET_KEY) as running:
        yield running


@pytest.fixture(scope="module")
def pushed(server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with results, committed and pushed to S3, to clone from."""
    project = train_light(bake_on_s3(tmp_path_factory.mktemp("pushed"), server))
    assert "files pushed" in project.dvc("push")
    return project


@pytest.fixture
def colleague(pushed: Project, tmp_path: Path) -> Project:
    """A clean clone on another machine, without credentials."""
    return clone(pushed, tmp_path)


def assert_has_everything(project: Project, origin: Project) -> None:
    assert hashes(project) == hashes(origin)
    assert len(hashes(project)) >= 12
    assert "Data and pipelines are up to date." in project.dvc("status")
    assert "No changes" in project.dvc("data", "status")
    assert project.git("status", "--porcelain") == ""


# --- Push and pull ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_dvc_push_puts_every_object_into_the_bucket(pushed: Project, server: S3Server) -> None:
    stored = objects(server)
    assert stored == {name: content for name, content in files(cache_of(pushed)).items() if "/md5/" in name}
    for key, content in stored.items():
        assert key == f"files/md5/{(md5 := hashlib.md5(content).hexdigest())[:2]}/{md5[2:]}" + key[43:]
    recorded = yaml.safe_load((pushed.path / "dvc.lock").read_text())["stages"]
    for stage in recorded.values():
        for out in (out for out in stage["outs"] if out["path"] != "results/metrics.json"):
            assert f"files/md5/{out['md5'][:2]}/{out['md5'][2:]}" in stored


@pytest.mark.slow
def test_a_colleague_gets_everything_by_make_setup(colleague: Project, pushed: Project, server: S3Server) -> None:
    colleague.environment.update(server.credentials)
    done = colleague.run("make", "setup", f"VENV={VENV}")
    assert f"✓ remote  {URL} answers, credentials fit\n" in done.stdout
    assert "✓ pull    fetched 15: " in done.stdout and "✗" not in done.stdout
    assert_has_everything(colleague, pushed)
    assert "✓ pull    everything recorded is here" in setup(colleague)
    assert "Data and pipelines are up to date." in colleague.repro()


@pytest.mark.slow
def test_a_colleague_with_an_aws_profile_gets_everything_and_keeps_the_profile(
    colleague: Project, pushed: Project, tmp_path: Path
) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text(f"[lab]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n")
    colleague.environment["AWS_SHARED_CREDENTIALS_FILE"] = str(credentials)
    assert "✓ remote" in setup(colleague, "--profile", "lab")
    assert_has_everything(colleague, pushed)
    assert "profile = lab" in (colleague.path / ".dvc/config.local").read_text()
    shutil.rmtree(cache_of(colleague))
    (colleague.path / "data/train.parquet").unlink()
    colleague.dvc("pull", "data/train.parquet")
    assert hashes(colleague) == hashes(pushed)


@pytest.mark.slow
def test_a_colleague_with_keys_in_config_local_gets_everything(colleague: Project, pushed: Project) -> None:
    colleague.dvc("remote", "modify", "--local", "storage", "access_key_id", ACCESS_KEY)
    colleague.dvc("remote", "modify", "--local", "storage", "secret_access_key", SECRET_KEY)
    assert "✓ remote" in setup(colleague)
    assert_has_everything(colleague, pushed)


@pytest.mark.slow
def test_what_nobody_has_pushed_is_named_with_the_command_that_helps(
    colleague: Project, pushed: Project, server: S3Server, tmp_path: Path
) -> None:
    author = clone(pushed, tmp_path / "author")
    author.environment.update(server.credentials)
    setup(author)
    bring_a_batch(author)
    colleague.git("pull", "--quiet", str(author.path), "main")
    printed = setup(colleague, code=1, **server.credentials)
    assert (
        "✗ pull    not in the remote: data/incoming\n    → dvc push   # where they were made; then here: make setup\n"
        in (printed)
    )
    author.dvc("push")
    assert "✓ pull    fetched 1: data/incoming" in setup(colleague, **server.credentials)
    assert hashes(colleague) == hashes(author)


# --- What can be wrong with a remote ---------------------------------------------------------------------------------

GIVE_KEYS = (
    "export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…   # or: make setup PROFILE=name,"
    " or: dvc remote modify --local storage access_key_id … (and secret_access_key)"
)
RIGHT_KEYS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
CLOSED = f"http://127.0.0.1:{free_ports(1)[0]}"
WRONG = {
    "wrong secret": (
        {**RIGHT_KEYS, "AWS_SECRET_ACCESS_KEY": "wrong"},
        (),
        (),
        "{endpoint} refuses these credentials for {url} (SignatureDoesNotMatch)",
        GIVE_KEYS,
    ),
    "unknown access key": (
        {**RIGHT_KEYS, "AWS_ACCESS_KEY_ID": "nobody"},
        (),
        (),
        "{endpoint} refuses these credentials for {url} (InvalidAccessKeyId)",
        GIVE_KEYS,
    ),
    "no credentials": ({}, (), (), "no credentials for {url}", GIVE_KEYS),
    "half a pair of keys": (
        {"AWS_ACCESS_KEY_ID": ACCESS_KEY},
        (),
        (),
        "no usable credentials for {url}: Partial credentials found in env, missing: AWS_SECRET_ACCESS_KEY",
        GIVE_KEYS,
    ),
    "missing bucket": (
        RIGHT_KEYS,
        ("url", "s3://nobody/knows"),
        (),
        "{endpoint} has no bucket 'nobody'",
        "dvc remote modify storage url s3://BUCKET/PREFIX   # or create the bucket; then: make setup",
    ),
    "unreachable endpoint": (
        RIGHT_KEYS,
        ("endpointurl", CLOSED),
        (),
        f"{CLOSED} cannot be reached",
        "make setup   # when it is up; if its address changed: dvc remote modify storage endpointurl URL",
    ),
    "unknown profile": (
        RIGHT_KEYS,
        (),
        ("--profile", "nobody"),
        "no AWS profile named 'nobody' on this machine; there are: none",
        "make setup PROFILE=name   # one of these, or a new one written into ~/.aws/credentials",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("keys", "option", "arguments", "problem", "remedy"), WRONG.values(), ids=WRONG)
def test_a_remote_that_cannot_be_used_is_said_in_one_line_and_changes_nothing(
    colleague: Project,
    pushed: Project,
    server: S3Server,
    keys: dict[str, str],
    option: tuple[str, ...],
    arguments: tuple[str, ...],
    problem: str,
    remedy: str,
) -> None:
    if option:
        colleague.dvc("remote", "modify", "--local", "storage", *option)
    local = (colleague.path / ".dvc/config.local").read_text() if option else ""
    before = workspace(colleague)
    began = time.perf_counter()
    done = colleague.run("python", "scripts/setup_project.py", *arguments, code=1, **keys)
    assert time.perf_counter() - began < 30  # DVC alone tries an unreachable endpoint for minutes
    text = problem.format(endpoint=server.endpoint, url=URL)
    assert [line for line in done.stdout.splitlines() if "✗" in line] == [f"✗ remote  {text}"]
    assert f"✗ remote  {text}\n    → {remedy}\n" in done.stdout
    missing = ", ".join(sorted(recorded_outputs(colleague.path)))
    assert f"– pull    not tried, still missing: {missing}\n" in done.stdout and "data/train.parquet" in missing
    assert "Traceback" not in done.stdout + done.stderr and done.stderr == ""
    after = workspace(colleague)
    assert after == before
    assert files(cache_of(colleague)) == {}
    assert colleague.git("status", "--porcelain") == ""
    assert local in (colleague.path / ".dvc/config.local").read_text()
    assert "profile" not in (colleague.path / ".dvc/config.local").read_text()
    if option:
        colleague.dvc("remote", "modify", "--local", "--unset", "storage", option[0])
    setup(colleague, **server.credentials)
    colleague.environment.update(server.credentials)
    assert_has_everything(colleague, pushed)


@pytest.mark.slow
def test_make_setup_fails_too_when_the_remote_cannot_be_used(colleague: Project) -> None:
    done = colleague.run("make", "setup", f"VENV={VENV}", code=2)
    assert f"✗ remote  no credentials for {URL}\n" in done.stdout
    assert "setup] Error 1" in done.stderr


@pytest.mark.slow
def test_a_profile_for_a_remote_that_is_a_folder_is_refused(bake: Callable[..., Project]) -> None:
    project = bake()
    before = (project.path / ".dvc/config.local").read_text()
    printed = setup(project, "--profile", "lab", code=1)
    assert "✗ remote  an AWS profile does not fit " in printed and "    → make setup   # without PROFILE" in printed
    assert (project.path / ".dvc/config.local").read_text() == before


@pytest.mark.slow
def test_dvc_push_with_a_wrong_key_fails_and_leaves_the_bucket_empty(server: S3Server, tmp_path: Path) -> None:
    project = bake_on_s3(tmp_path, server, "wrong-key")
    printed = project.dvc("push", code=255, AWS_SECRET_ACCESS_KEY="wrong")
    assert "Forbidden" in printed and "Traceback" not in printed
    assert objects(server, "wrong-key") == {}
    assert "5 files pushed" in project.dvc("push")
    assert set(objects(server, "wrong-key")) == {
        name for name in files(cache_of(project)) if name.startswith("files/md5/")
    }


@pytest.mark.slow
def test_a_server_killed_in_mid_push_comes_back_and_the_push_is_completed(tmp_path: Path) -> None:
    with s3_server(tmp_path / "s3", BUCKET, ACCESS_KEY, SECRET_KEY) as own:
        project = bake_on_s3(tmp_path / "project", own)
        project.environment["AWS_MAX_ATTEMPTS"] = "1"  # else DVC tries the dead server for 45 s
        images = project.path / "data/images"
        images.mkdir()
        for number in range(60):
            (images / f"{number:03d}.raw").write_bytes(os.urandom(2_000_000))
        project.dvc("add", "--quiet", "data/images")
        push = subprocess.Popen(
            ["dvc", "push"],
            cwd=project.path,
            env=project.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        client = own.client()  # to make one takes longer than to ask
        while push.poll() is None and client.list_objects_v2(Bucket=BUCKET, Prefix=PREFIX)["KeyCount"] < 12:
            time.sleep(0.02)
        own.kill()
        printed, _ = push.communicate(timeout=120)
        assert push.returncode != 0 and "Could not connect to the endpoint URL" in printed
        own.start()
        survived = objects(own)
        assert 12 <= len(survived) < 66, "the server was not killed in mid-push"
        assert not any(key.endswith(".dir") and b"000.raw" in content for key, content in survived.items())
        assert "files pushed" in project.dvc("push")
        wanted = {name: content for name, content in files(cache_of(project)).items() if name.startswith("files/md5/")}
        assert len(wanted) == 66 and objects(own) == wanted
        fresh = Project(tmp_path / "elsewhere", project.environment)
        shutil.copytree(project.path, fresh.path, ignore=shutil.ignore_patterns("images", "config.local"))
        fresh.dvc("cache", "dir", "--local", str(tmp_path / "another-cache"))
        fresh.dvc("pull", "data/images")
        assert files(fresh.path / "data/images") == files(images)


# --- Secrets ---------------------------------------------------------------------------------------------------------


def all_blobs(project: Project) -> bytes:
    """Everything that the repository stores, whether a branch reaches it or not."""
    done = subprocess.run(
        ["git", "cat-file", "--batch-all-objects", "--batch"], cwd=project.path, capture_output=True, check=True
    )
    return done.stdout


@pytest.mark.slow
def test_the_secret_is_in_no_commit_however_it_was_given(pushed: Project, colleague: Project, tmp_path: Path) -> None:
    colleague.dvc("remote", "modify", "--local", "storage", "access_key_id", ACCESS_KEY)
    colleague.dvc("remote", "modify", "--local", "storage", "secret_access_key", SECRET_KEY)
    setup(colleague)
    colleague.set_param("model.C", 0.5)
    colleague.repro()
    colleague.commit("another run")
    colleague.dvc("push")
    for project in (pushed, colleague):
        assert b"first results" in all_blobs(project)
        for key in (ACCESS_KEY, SECRET_KEY):
            assert key.encode() not in all_blobs(project)
            assert key not in project.git("log", "--patch", "--all")
            assert key not in (project.path / ".dvc/config").read_text()
    assert SECRET_KEY in (colleague.path / ".dvc/config.local").read_text()


@pytest.mark.slow
def test_setup_refuses_to_go_on_with_a_secret_in_the_committed_configuration(bake: Callable[..., Project]) -> None:
    project = bake()
    shutil.rmtree(project.path / ".git")
    project.dvc("config", "core.no_scm", "true")
    project.dvc("remote", "modify", "storage", "url", URL)
    project.dvc("remote", "modify", "storage", "secret_access_key", SECRET_KEY)
    printed = setup(project, code=1)
    assert printed == (
        "✓ git     repository initialised, branch main\n"
        "✗ secrets .dvc/config is committed and holds a secret: remote.storage.secret_access_key\n"
        "    → dvc config --local remote.storage.secret_access_key VALUE   # and take it out of .dvc/config;"
        " was it ever pushed? ask for a new one\n"
    )
    assert project.run("git", "rev-parse", "--verify", "--quiet", "HEAD", code=1).stdout == ""
    project.dvc("config", "--local", "remote.storage.secret_access_key", SECRET_KEY)
    project.dvc("config", "--unset", "remote.storage.secret_access_key")
    assert "✓ secrets none in .dvc/config" in setup(project, "--first")
    assert SECRET_KEY.encode() not in all_blobs(project)


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ("['remote \"storage\"']\n    url = s3://lab/x\n    region = eu\n", []),
        ("['remote \"storage\"']\n    access_key_id = A\n", ["remote.storage.access_key_id"]),
        ("['remote \"storage\"']\nSecret_Access_Key=A\n", ["remote.storage.secret_access_key"]),
        ("['remote \"storage\"']\n    session_token = 'A'\n", ["remote.storage.session_token"]),
        ("[remote \"my box\"]\n\tpassword = A\n", ["remote.my box.password"]),
        ("['remote \"a\"']\n    # password = A\n    ;token = B\n", ["remote.a.password", "remote.a.token"]),
        ("['remote \"a\"']\n    url = https://me:word@host/x\n", ["remote.a.url"]),
        ("['remote \"a\"']\n    url = \"ssh://me@host/x\"\n", []),
        ("[studio]\n    token = A\n", ["studio.token"]),
        ("['remote \"a\"']\n    password =\n    # nothing secret here = see the docs\n", []),
        ("access_key_id = A\n[broken\n", ["access_key_id"]),
        ("", []),
    ],
    ids=[
        "nothing secret", "access key", "capitals", "session token", "space in the name", "commented out",
        "password in the URL", "user in the URL", "studio", "empty", "broken file", "empty file",
    ],
)  # fmt: skip
def test_secrets_are_found_in_a_dvc_configuration(tmp_path: Path, config: str, found: list[str]) -> None:
    path = tmp_path / "config"
    path.write_text(config)
    assert find_secrets(path) == found


def test_a_missing_configuration_holds_no_secret(tmp_path: Path) -> None:
    assert find_secrets(tmp_path / "config") == []


@pytest.fixture(scope="module")
def hooked(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with its Git hooks installed by `make setup`, to copy only."""
    project = make_bakery(tmp_path_factory.mktemp("hooked"))()
    done = project.run("make", "setup", f"VENV={VENV}")
    assert "✓ hooks   pre-commit, pre-push, post-checkout" in done.stdout
    return project


@pytest.fixture
def guarded(hooked: Project, tmp_path: Path) -> Project:
    """A project of this test's own, with its Git hooks and a watcher that records network connections."""
    return watched(copy_project(hooked, tmp_path), tmp_path)


@pytest.fixture(scope="module")
def hooked_results(hooked: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """As `hooked`, after the first run, to copy only."""
    return train_light(copy_project(hooked, tmp_path_factory.mktemp("hooked_results")))


@pytest.fixture
def guarded_results(hooked_results: Project, tmp_path: Path) -> Project:
    """As `guarded`, after the first run."""
    return watched(copy_project(hooked_results, tmp_path), tmp_path)


def watched(project: Project, tmp_path: Path) -> Project:
    watcher = tmp_path / "watcher"
    watcher.mkdir()
    (watcher / "sitecustomize.py").write_text(
        "import sys\ndef hook(event, args):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.sendto'):\n"
        f"        open({str(tmp_path / 'connections')!r}, 'a').write(f'{{event}} {{args[1:]}}\\n')\n"
        "sys.addaudithook(hook)\n"
    )
    project.environment["PYTHONPATH"] = str(watcher)
    return project


def refused_commit(project: Project, path: str) -> str:
    """Try to commit one file; the commit must be refused, without any network connection."""
    head = project.git("rev-parse", "HEAD")
    project.git("add", path)
    done = project.run("git", "commit", "--message", "a change", code=1)
    assert project.git("rev-parse", "HEAD") == head
    assert not (project.path.parent / "connections").exists()
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("comment", ["", "# "], ids=["set", "commented out"])
def test_the_commit_hook_stops_a_key_pasted_into_the_dvc_configuration(guarded: Project, comment: str) -> None:
    with (guarded.path / ".dvc/config").open("a") as config:
        config.write(f"    {comment}secret_access_key = {SECRET_KEY}\n")
    printed = refused_commit(guarded, ".dvc/config")
    assert "error: .dvc/config is committed, and remote.storage.secret_access_key is a secret" in printed
    assert "  → dvc config --local remote.storage.secret_access_key VALUE   # and take it out of .dvc/config" in printed
    assert SECRET_KEY not in printed


PASTED = {
    "a value of YAML": ("params.yaml", "aws_access_key_id: {access}\naws_secret_access_key: {secret}\n"),
    "a comment of YAML": ("params.yaml", '# aws_access_key_id = "{access}"\n'),
    "a secret in a comment of YAML": ("params.yaml", "# secret_access_key: {secret}\n"),
    "Python": ("experiment.py", '# aws_access_key_id = "{access}"\n# aws_secret_access_key = "{secret}"\n'),
    "Markdown": ("notes.md", "export AWS_ACCESS_KEY_ID={access} AWS_SECRET_ACCESS_KEY={secret}\n"),
    "the DVC configuration, as a word": (".dvc/config", "    # region = {access}\n"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("path", "text"), PASTED.values(), ids=PASTED)
def test_the_commit_hook_stops_an_aws_key_pasted_into_any_file(guarded: Project, path: str, text: str) -> None:
    """Not even in a comment; and nobody asks AWS whether the key is one of theirs."""
    with (guarded.path / path).open("a") as file:
        file.write(text.format(access=ACCESS_KEY, secret=SECRET_KEY))
    printed = refused_commit(guarded, path)
    assert f"error: {path}:" in printed and " holds an AWS key\n  → take it out; keys belong into " in printed
    assert ACCESS_KEY not in printed and SECRET_KEY not in printed


@pytest.mark.slow
def test_the_commit_hook_stops_other_secrets_too(guarded: Project) -> None:
    with (guarded.path / "experiment.py").open("a") as file:
        file.write('PASSWORD = "Tr0ub4dor-and-3"\n')
    assert "Secret Type: Secret Keyword\nLocation:    experiment.py:" in refused_commit(guarded, "experiment.py")


@pytest.mark.slow
def test_a_clean_commit_passes_every_hook_without_a_network(guarded: Project) -> None:
    lighten(guarded).repro()
    guarded.set_param("experiment.description", "a first look")
    guarded.git("add", "--all")
    guarded.run("git", "commit", "--message", "first results")
    assert guarded.git("log", "-1", "--format=%s") == "first results"
    assert guarded.git("status", "--porcelain") == ""
    assert not (guarded.path.parent / "connections").exists()


@pytest.mark.slow
def test_every_file_of_a_fresh_project_passes_every_hook(guarded: Project) -> None:
    done = guarded.run("pre-commit", "run", "--all-files")
    lines = [line for line in done.stdout.splitlines() if "..." in line]
    results = {line.split("...")[0]: line.rpartition(".")[2] for line in lines}
    assert results.pop("shellcheck") in ("Passed", "(no files to check)Skipped")
    assert set(results) == {
        "no secret in the DVC configuration, no AWS key", "no secret anywhere",
        "no large file in Git (dvc add it)", "no outputs in notebooks (clear them, save, git add again)",
        "ruff check", "ruff format", "dvc status",
    }  # fmt: skip
    assert set(results.values()) == {"Passed"}
    assert not (guarded.path.parent / "connections").exists()


@pytest.mark.slow
def test_the_commit_hook_stops_a_large_file(guarded: Project) -> None:
    (guarded.path / "scan.bin").write_bytes(os.urandom(1_100_000))
    assert "scan.bin (1075 KB) exceeds 1024 KB." in refused_commit(guarded, "scan.bin")


# --- Git hooks that run DVC ------------------------------------------------------------------------------------------


def with_origin(project: Project, folder: Path) -> Path:
    origin = folder / "origin.git"
    project.git("init", "--quiet", "--bare", str(origin))
    project.git("remote", "add", "origin", str(origin))
    return origin


@pytest.mark.slow
def test_git_push_pushes_data_and_results_to_s3_first(server: S3Server, tmp_path: Path) -> None:
    project = bake_on_s3(tmp_path, server, "by-git-push")
    setup(project)
    origin = with_origin(project, tmp_path)
    wrong = project.run("git", "push", "--quiet", "origin", "main", code=1, AWS_SECRET_ACCESS_KEY="wrong")
    assert "dvc push" in wrong.stderr + wrong.stdout and "Forbidden" in wrong.stderr + wrong.stdout
    assert project.git("ls-remote", str(origin)) == "" and objects(server, "by-git-push") == {}
    project.git("push", "--quiet", "origin", "main")
    assert project.git("ls-remote", str(origin), "refs/heads/main").split()[0] == project.git("rev-parse", "HEAD")
    wanted = {name: content for name, content in files(cache_of(project)).items() if name.startswith("files/md5/")}
    assert len(wanted) == 5 and objects(server, "by-git-push") == wanted


@pytest.mark.slow
@pytest.mark.parametrize("ran", [False, True], ids=["before the first run", "with results"])
def test_switching_branches_brings_the_data_and_results_of_that_branch(
    request: pytest.FixtureRequest, ran: bool
) -> None:
    guarded = request.getfixturevalue("guarded_results" if ran else "guarded")
    first = hashes(guarded)
    assert ("results/experiments.db" in first) == ran
    guarded.git("checkout", "--quiet", "-b", "more-data")
    bring_a_batch(guarded)
    if ran:
        guarded.repro()
        guarded.commit("second results")
    second = hashes(guarded)
    assert "data/incoming/batch_002.parquet" in set(second) - set(first)
    guarded.git("checkout", "--quiet", "main")
    assert hashes(guarded) == first
    guarded.git("checkout", "--quiet", "more-data")
    assert hashes(guarded) == second
    assert guarded.git("status", "--porcelain") == ""


@pytest.mark.slow
def test_a_new_branch_keeps_a_batch_that_was_just_dropped(guarded: Project) -> None:
    guarded.drop_batch(2)
    before = hashes(guarded)
    guarded.git("checkout", "--quiet", "-b", "more-data")
    guarded.git("checkout", "--quiet", "--", "params.yaml")
    assert hashes(guarded) == before


@pytest.mark.slow
def test_a_branch_whose_data_is_not_on_this_machine_says_so(guarded_results: Project) -> None:
    guarded = guarded_results
    guarded.git("checkout", "--quiet", "-b", "more-data")
    bring_a_batch(guarded)
    pointer = yaml.safe_load((guarded.path / "data/incoming.dvc").read_text())["outs"][0]["md5"]
    guarded.git("checkout", "--quiet", "main")
    (guarded.path.parent / "cache/files/md5" / pointer[:2] / pointer[2:]).unlink()
    done = guarded.run("git", "checkout", "more-data", code=1)
    assert "Checkout failed for following targets:\ndata/incoming\nIs your cache up to date?" in done.stderr
    assert guarded.git("symbolic-ref", "--short", "HEAD") == "more-data"


# --- The server itself -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_several_servers_run_side_by_side_on_loopback_only_and_leave_nothing_behind(tmp_path: Path) -> None:
    with (
        s3_server(tmp_path / "one", BUCKET, ACCESS_KEY, SECRET_KEY) as one,
        s3_server(tmp_path / "two", BUCKET, "another", "secret") as two,
    ):
        one.client().put_object(Bucket=BUCKET, Key="a", Body=b"1")
        two.client().put_object(Bucket=BUCKET, Key="a", Body=b"2")
        assert [each.client().get_object(Bucket=BUCKET, Key="a")["Body"].read() for each in (one, two)] == [b"1", b"2"]
        assert listening_addresses(one) == {"127.0.0.1"} == listening_addresses(two)
        port = one.ports["s3.port"]
    sockets = {path.name for path in Path("/tmp").glob("seaweedfs-*.sock")}
    assert not any(str(number) in name for number in [*one.ports.values(), *two.ports.values()] for name in sockets)
    with s3_server(tmp_path / "one", BUCKET, ACCESS_KEY, SECRET_KEY, port) as again:
        assert again.endpoint == f"http://127.0.0.1:{port}"
        assert again.client().get_object(Bucket=BUCKET, Key="a")["Body"].read() == b"1"


def listening_addresses(server: S3Server) -> set[str]:
    """The addresses that a server's process listens on, from the kernel's tables."""
    assert server.process is not None
    folder = Path(f"/proc/{server.process.pid}")
    targets = {str(entry.readlink()) for entry in (folder / "fd").iterdir()}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in (folder / "net" / table).read_text().splitlines()[1:]:
            address, state, inode = (fields := line.split())[1].split(":")[0], fields[3], fields[9]
            if state == "0A" and f"socket:[{inode}]" in targets:
                found.add("127.0.0.1" if address == "0100007F" else address)
    return found
