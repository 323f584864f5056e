"""The remote is a real S3 server on loopback, which keeps what it is given and refuses wrong keys."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from baked_projects import Project
from light_project import train_light
from s3_project import (
    ACCESS_KEY,
    BUCKET,
    PREFIX,
    SECRET_KEY,
    URL,
    VENV,
    all_blobs,
    assert_has_everything,
    bake_on_s3,
    bring_a_batch,
    cache_of,
    clone,
    files,
    hashes,
    objects,
    setup,
    workspace,
)
from s3_server import S3Server, free_ports, s3_server

from lineage.tracked.recorded import recorded_outputs


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


def type_what_helps(project: Project, remedy: str, server: S3Server) -> None:
    """Type a remedy as somebody does who has the keys, and a profile with them."""
    home = Path(project.environment["HOME"])
    (home / ".aws").mkdir()
    lines = ("[name]", f"aws_access_key_id={ACCESS_KEY}", f"aws_secret_access_key={SECRET_KEY}")
    (home / ".aws/credentials").write_text("\n".join(lines))
    typed = remedy.partition("   #")[0].replace("make setup", f"make setup VENV={VENV}")
    typed = typed.replace("KEY_ID=…", f"KEY_ID='{ACCESS_KEY}'").replace("ACCESS_KEY=…", f"ACCESS_KEY='{SECRET_KEY}'")
    typed = typed.replace("BUCKET/PREFIX", f"{BUCKET}/{PREFIX}")
    if "make setup" not in typed:
        typed += " && python scripts/setup_project.py"
    keys = {} if "KEY" in typed or "PROFILE" in typed else server.credentials
    assert "✓ remote" in project.run("bash", "-c", typed, **keys).stdout
    project.git("checkout", "--", ".dvc/config")  # where DVC has written the same once more


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
    type_what_helps(colleague, remedy, server)
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
